#include "server/jobs/generation_metadata.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/request/field_values.h"

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

PngText PngFields(const google::protobuf::Message& request, PngPlace place,
                  std::span<const RequestField> rows) {
  PngText text;
  for (const RequestField& row : rows) {
    if (row.png_place == place) text.emplace_back(row.png_keyword, FieldText(request, row));
  }
  return text;
}

PngText PngSettings(const v1::GenerationMetadata& metadata) {
  PngText text = {{"Software", absl::StrCat("Tessera ", metadata.tessera_version())},
                  {"model", metadata.model_fingerprint()}};
  const auto add_fields = [&](PngPlace place) {
    PngText fields = PngFields(metadata.effective_request(), place, RequestFields());
    std::move(fields.begin(), fields.end(), std::back_inserter(text));
  };
  add_fields(PngPlace::kSettings);
  text.emplace_back("ranks", absl::StrCat(metadata.ranks()));
  text.emplace_back("mode", metadata.ranks() == 1 ? "single" : "rotating");
  add_fields(PngPlace::kSharing);
  text.emplace_back("dtype", metadata.dtype());
  return text;
}

}  // namespace tessera
