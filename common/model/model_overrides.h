#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/model/model_info.h"

namespace tessera {

// Applies tessera.json, {"name": "...", "defaults": {...}, "limits": {...}} with the fields of
// ModelDefaults and ModelLimits, all optional, to an `info` that holds FLUX's own values. Returns
// every problem: unknown fields, wrong types, values out of range, and defaults outside the limits.
// `info` is of use only when there is none.
std::vector<std::string> ApplyOverrides(const nlohmann::json& file, ModelInfo& info);

}  // namespace tessera
