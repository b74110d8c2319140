#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "common/job/job_size.h"
#include "common/model/model_info.h"
#include "server/jobs/job.h"
#include "server/request/validation.h"

namespace tessera {

// Turns what clients ask for into what workers run, as soon as the model is known. Used on the
// event loop's thread.
class RequestResolver {
 public:
  using SeedSource = absl::AnyInvocable<uint32_t()>;

  // `ranks` cut a picture's tokens among them: each needs one.
  RequestResolver(const RequestDefaults& defaults, int64_t max_unary_reply_bytes, int ranks,
                  SeedSource draw_seed);

  void SetModel(const ModelInfo& model) { model_ = model; }

  // Fills in the job's effective request, or says what is wrong with it. While the model is not
  // known, the job stays unresolved and only what no model could serve is refused.
  std::optional<JobError> Resolve(Job& job);

 private:
  std::optional<FieldViolation> TooSmall(const JobSize& size) const;

  const RequestDefaults defaults_;
  const int64_t max_unary_reply_bytes_;
  const int ranks_;
  SeedSource draw_seed_;
  std::optional<ModelInfo> model_;
};

}  // namespace tessera
