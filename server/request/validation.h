#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/model/model_info.h"
#include "common/request/request_fields.h"
#include "server/request/job_error.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// Requests are checked here and nowhere else: each field by its row in the table of fields, then
// fields together. Thread-safe.

// Everything that is wrong with a request, in the order of the table; empty when nothing is.
// `model` null: only what can be told without knowing the model.
std::vector<FieldViolation> ValidateRequest(const v1::GenerateImageRequest& request,
                                            const ModelInfo* model);

// A valid request with every field set but the three optional texts, whose absence means `prompt`,
// no true guidance, and `negative_prompt`. `drawn_seed` is used when the request has none.
v1::GenerateImageRequest FillDefaults(const v1::GenerateImageRequest& request,
                                      const ModelInfo& model, const RequestDefaults& defaults,
                                      uint32_t drawn_seed);

// The same for any message whose fields `rows` list: what is wrong with single fields, and the
// defaults of those that are not given.
std::vector<FieldViolation> ValidateFields(const google::protobuf::Message& request,
                                           const ModelLimits* limits,
                                           std::span<const RequestField> rows);
void FillFields(google::protobuf::Message& request, const DefaultSources& sources,
                std::span<const RequestField> rows);

}  // namespace tessera
