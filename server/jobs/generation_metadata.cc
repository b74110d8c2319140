#include "server/jobs/generation_metadata.h"

#include "absl/strings/str_cat.h"

namespace tessera {

v1::GenerationMetadata MakeMetadata(const Job& job, const internal::v1::JobReport& report,
                                    const internal::v1::Register& worker) {
  v1::GenerationMetadata metadata;
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
  return metadata;
}

PngText PngSettings(const v1::GenerationMetadata& metadata) {
  const v1::GenerateImageRequest& request = metadata.effective_request();
  return {{"Software", absl::StrCat("Tessera ", metadata.tessera_version())},
          {"model", metadata.model_fingerprint()},
          {"seed", absl::StrCat(request.seed())},
          {"steps", absl::StrCat(request.num_inference_steps())},
          {"guidance", absl::StrCat(request.guidance_scale())},
          {"true_cfg", absl::StrCat(request.true_cfg_scale())},
          {"ranks", absl::StrCat(metadata.ranks())},
          {"mode", metadata.ranks() == 1 ? "single" : "rotating"},
          {"sync_steps", absl::StrCat(request.sync_steps())},
          {"refresh_every", absl::StrCat(request.refresh_every())},
          {"text_mode", request.text_mode() == v1::TEXT_MODE_REPLICATED ? "replicated" : "split"},
          {"dtype", metadata.dtype()}};
}

}  // namespace tessera
