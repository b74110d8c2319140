#pragma once

#include "common/model/model_info.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

v1::ModelDescription DescribeModel(const ModelInfo& model);

// The most bytes a GenerateImageResponse for this request can have: pictures that do not compress,
// their text chunks, and the metadata.
int64_t WorstCaseReplyBytes(const v1::GenerateImageRequest& effective);

}  // namespace tessera
