#pragma once

#include "common/job/job_memory.h"
#include "common/model/model_info.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

// `size_multiple` pixels square make a token.
JobSize SizeOf(const v1::GenerateImageRequest& effective, int size_multiple, int ranks);

v1::ModelDescription DescribeModel(const ModelInfo& model);

// The most bytes a GenerateImageResponse for this request can have: pictures that do not compress,
// their text chunks, and the metadata.
int64_t WorstCaseReplyBytes(const v1::GenerateImageRequest& effective);

}  // namespace tessera
