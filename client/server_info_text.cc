#include "client/server_info_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/util/time_util.h"

namespace tessera {
namespace {

// "GROUP_STATE_READY" is "ready", "TEXT_MODE_SPLIT" is "split".
std::string EnumInWords(const std::string& name, const std::string& prefix) {
  if (name.empty()) return "unknown";  // of a newer server
  return absl::AsciiStrToLower(name.substr(prefix.size()));
}

std::string Line(const std::string& name, const std::string& value) {
  return absl::StrFormat("%-14s %s\n", name, value);
}

std::string ModelText(const v1::ModelDescription& model) {
  const v1::GenerateImageRequest& defaults = model.defaults();
  return absl::StrCat(
      Line("model", absl::StrCat(model.name(), " (", model.fingerprint(), ")",
                                 model.guidance_embeds() ? ", takes guidance" : "")),
      Line("defaults",
           absl::StrFormat("%dx%d, %d steps, guidance %g, %d text tokens", defaults.width(),
                           defaults.height(), defaults.num_inference_steps(),
                           defaults.guidance_scale(), defaults.max_sequence_length())),
      Line("limits",
           absl::StrFormat(
               "%d to %d pixels a side in steps of %d, %d pixels in all, %d steps, %d images, "
               "%d text tokens",
               model.min_size(), model.max_size(), model.size_multiple(), model.max_pixels(),
               model.max_inference_steps(), model.max_images(), model.max_sequence_length())));
}

std::string QueueText(const v1::QueueDescription& queue) {
  std::string text = absl::StrCat(queue.length(), " of ", queue.max_length());
  if (queue.has_predicted_wait()) {
    const int64_t wait_ms =
        google::protobuf::util::TimeUtil::DurationToMilliseconds(queue.predicted_wait());
    absl::StrAppendFormat(&text, ", a new job starts in about %.1f s",
                          static_cast<double>(wait_ms) / 1e3);
  }
  return Line("queue", text);
}

std::string JobsText(const v1::JobTallies& jobs) {
  std::string text = absl::StrFormat(
      "%d admitted: %d succeeded, %d failed, %d cancelled, %d expired; %d refused", jobs.admitted(),
      jobs.succeeded(), jobs.failed(), jobs.cancelled(), jobs.expired(), jobs.refused());
  if (jobs.joined() > 0) absl::StrAppend(&text, "; ", jobs.joined(), " joined others");
  return Line("jobs", text);
}

std::string GroupText(const v1::GroupDescription& group, int index) {
  const std::string state = EnumInWords(v1::GroupState_Name(group.state()), "GROUP_STATE_");
  std::string text =
      Line(absl::StrCat("group ", index),
           absl::StrCat(state, ", ", group.workers_size(), " of ", group.size(), " workers, epoch ",
                        group.epoch(), group.reason().empty() ? "" : ": " + group.reason()));
  if (group.workers().empty()) return text;
  absl::StrAppendFormat(&text, "  %4s  %-20s %-16s %-8s %-9s %7s  %s\n", "rank", "name", "host",
                        "device", "dtype", "threads", "pid");
  for (const v1::WorkerDescription& worker : group.workers()) {
    const std::string rank = worker.rank() < 0 ? "-" : absl::StrCat(worker.rank());
    absl::StrAppendFormat(&text, "  %4s  %-20s %-16s %-8s %-9s %7d  %d\n", rank, worker.name(),
                          worker.host(), worker.device(), worker.dtype(), worker.threads(),
                          worker.pid());
  }
  return text;
}

}  // namespace

std::string ServerInfoText(const v1::GetServerInfoResponse& info) {
  std::string text = Line("tessera", info.tessera_version());
  absl::StrAppend(&text,
                  info.has_model() ? ModelText(info.model()) : Line("model", "not known yet"));
  absl::StrAppend(
      &text,
      Line("parallelism",
           absl::StrCat("sync steps ", info.default_sync_steps(), ", refresh every ",
                        info.default_refresh_every(), ", text mode ",
                        EnumInWords(v1::TextMode_Name(info.default_text_mode()), "TEXT_MODE_"))));
  absl::StrAppend(
      &text, Line("unary reply", absl::StrCat("at most ", info.max_unary_reply_bytes(), " bytes")),
      QueueText(info.queue()), JobsText(info.jobs()));
  for (int i = 0; i < info.groups_size(); ++i) absl::StrAppend(&text, GroupText(info.groups(i), i));
  return text;
}

}  // namespace tessera
