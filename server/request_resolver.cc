#include "server/request_resolver.h"

#include <utility>
#include <vector>

#include "server/job_errors.h"
#include "server/request_conversion.h"

namespace tessera {

RequestResolver::RequestResolver(const RequestDefaults& defaults, int64_t max_unary_reply_bytes,
                                 SeedSource draw_seed)
    : defaults_(defaults),
      max_unary_reply_bytes_(max_unary_reply_bytes),
      draw_seed_(std::move(draw_seed)) {}

std::optional<JobError> RequestResolver::Resolve(Job& job) {
  const v1::GenerateImageRequest& request = job.spec().request;
  std::vector<FieldViolation> violations =
      ValidateRequest(request, model_.has_value() ? &*model_ : nullptr);
  if (!violations.empty()) return InvalidRequest(std::move(violations));
  if (!model_.has_value()) return std::nullopt;
  const uint32_t seed = request.has_seed() ? 0 : draw_seed_();
  job.Resolve(FillDefaults(request, *model_, defaults_, seed));
  if (job.spec().reply == ReplyKind::kStream) return std::nullopt;
  const int64_t worst_case_bytes = WorstCaseReplyBytes(*job.effective());
  if (worst_case_bytes <= max_unary_reply_bytes_) return std::nullopt;
  return ReplyTooLarge(worst_case_bytes, max_unary_reply_bytes_);
}

}  // namespace tessera
