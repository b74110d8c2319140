#include "server/job_success.h"

#include <utility>

namespace tessera {

JobSuccess MakeSuccess(const Job& job, RunResult result, const internal::v1::Register& worker,
                       TimePoint now) {
  JobSuccess success = {.pngs = std::move(result.pngs), .metadata = {}};
  v1::GenerationMetadata& metadata = success.metadata;
  const internal::v1::JobReport& report = result.report;
  metadata.set_job_id(job.id());
  *metadata.mutable_effective_request() = *job.effective();
  metadata.set_ranks(job.attempt().ranks);
  metadata.set_first_attempt_ranks(job.first_attempt_ranks());
  metadata.set_attempts(job.attempt().number);
  metadata.set_model_name(worker.model().name());
  metadata.set_model_fingerprint(worker.model().fingerprint());
  metadata.set_dtype(worker.dtype());
  metadata.set_tessera_version(TESSERA_VERSION);
  metadata.set_clip_tokens(report.clip_tokens());
  metadata.set_clip_truncated(report.clip_truncated());
  metadata.set_t5_tokens(report.t5_tokens());
  metadata.set_t5_truncated(report.t5_truncated());
  metadata.set_bytes_exchanged(report.bytes_received());
  v1::StageSeconds& seconds = *metadata.mutable_stage_seconds();
  seconds.set_queue(SecondsBetween(job.spec().submitted_at, job.attempt().started_at));
  seconds.set_text_encode(report.text_encode_s());
  seconds.set_denoise(report.denoise_s());
  seconds.set_vae_decode(report.decode_s());
  seconds.set_png(report.png_s());
  seconds.set_total(SecondsBetween(job.spec().submitted_at, now));
  return success;
}

}  // namespace tessera
