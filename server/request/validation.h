#pragma once

#include <cstdint>
#include <vector>

#include "common/model/model_info.h"
#include "server/request/job_error.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// What the server itself fills in where a request is silent.
struct RequestDefaults {
  int sync_steps = 1;
  int refresh_every = 0;
  v1::TextMode text_mode = v1::TEXT_MODE_SPLIT;
};

// Everything that is wrong with a request, in the order of its fields; empty when nothing is.
// `model` null: only what can be told without knowing the model.
std::vector<FieldViolation> ValidateRequest(const v1::GenerateImageRequest& request,
                                            const ModelInfo* model);

// A valid request with every field set but the three optional texts, whose absence means `prompt`,
// no true guidance, and `negative_prompt`. `drawn_seed` is used when the request has none.
v1::GenerateImageRequest FillDefaults(const v1::GenerateImageRequest& request,
                                      const ModelInfo& model, const RequestDefaults& defaults,
                                      uint32_t drawn_seed);

}  // namespace tessera
