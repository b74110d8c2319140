#pragma once

#include "absl/status/statusor.h"
#include "tessera/internal/v1/worker_link.pb.h"
#include "tessera/v1/image_service.pb.h"
#include "worker/model/job_memory.h"
#include "worker/model/model_info.h"

namespace tessera {

// A request with every default filled in, as the workers take it.
internal::v1::ImageRequest ToLinkRequest(const v1::GenerateImageRequest& effective);

// INVALID_ARGUMENT names the field that a worker left out or that makes no sense.
absl::StatusOr<ModelInfo> FromLinkModel(const internal::v1::ModelInfo& model);

JobMemory FromLinkMemory(const internal::v1::JobMemory& memory);

// `size_multiple` pixels square make a token.
JobSize SizeOf(const v1::GenerateImageRequest& effective, int size_multiple, int ranks);

v1::ModelDescription DescribeModel(const ModelInfo& model);

// The most bytes a GenerateImageResponse for this request can have: pictures that do not compress,
// their text chunks, and the metadata.
int64_t WorstCaseReplyBytes(const v1::GenerateImageRequest& effective);

}  // namespace tessera
