#include "server/jobs/request_resolver.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/wire/link_conversion.h"
#include "server/jobs/job_errors.h"
#include "server/request/request_conversion.h"

namespace tessera {

RequestResolver::RequestResolver(const RequestDefaults& defaults, int ranks, SeedSource draw_seed)
    : defaults_(defaults), ranks_(ranks), draw_seed_(std::move(draw_seed)) {}

std::optional<JobError> RequestResolver::Resolve(Job& job) {
  const v1::GenerateImageRequest& request = job.spec().request;
  std::vector<FieldViolation> violations =
      ValidateRequest(request, model_.has_value() ? &*model_ : nullptr);
  if (!violations.empty()) return InvalidRequest(std::move(violations));
  if (!model_.has_value()) return std::nullopt;
  const uint32_t seed = request.has_seed() ? 0 : draw_seed_();
  v1::GenerateImageRequest effective = FillDefaults(request, *model_, defaults_, seed);
  const JobSize size = SizeOf(FromProto(effective), model_->limits.size_multiple, ranks_);
  job.Resolve(std::move(effective), size);
  if (std::optional<FieldViolation> violation = TooSmall(size)) {
    return InvalidRequest({*std::move(violation)});
  }
  const int64_t worst_case_bytes = WorstCaseReplyBytes(*job.effective());
  if (worst_case_bytes <= job.spec().max_reply_bytes) return std::nullopt;
  return ReplyTooLarge(worst_case_bytes, job.spec().max_reply_bytes);
}

std::optional<FieldViolation> RequestResolver::TooSmall(const JobSize& size) const {
  if (size.image_tokens >= size.ranks) return std::nullopt;
  const int side = model_->limits.size_multiple;  // of the pixels that make one token
  return FieldViolation{
      size.width <= size.height ? "width" : "height",
      absl::StrCat("width x height must hold a square of ", side, " pixels for each of ",
                   size.ranks, " workers, is ", size.width, " x ", size.height)};
}

}  // namespace tessera
