#include "client/progress_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/util/time_util.h"

namespace tessera {
namespace {

// "850 ms", "12 s" or "3 min 5 s".
std::string InWords(const google::protobuf::Duration& time) {
  const int64_t milliseconds = google::protobuf::util::TimeUtil::DurationToMilliseconds(time);
  if (milliseconds < 1000) return absl::StrCat(milliseconds, " ms");
  const int64_t seconds = (milliseconds + 500) / 1000;
  if (seconds < 60) return absl::StrCat(seconds, " s");
  return absl::StrCat(seconds / 60, " min ", seconds % 60, " s");
}

std::string Queued(const v1::Queued& queued) {
  std::string text = queued.position() == 0 ? "queued: next"
                                            : absl::StrCat("queued: ", queued.position(), " ahead");
  if (queued.has_predicted_wait())
    absl::StrAppend(&text, ", starts in about ", InWords(queued.predicted_wait()));
  return text;
}

std::string Started(const v1::AttemptStarted& started) {
  const std::string on =
      absl::StrCat(" on ", started.ranks(), started.ranks() == 1 ? " worker" : " workers");
  if (started.attempt() == 1) return "started" + on;
  return absl::StrCat("started again", on, " (attempt ", started.attempt(), ")");
}

std::string Step(const v1::StepDone& done, int columns) {
  std::string text = absl::StrFormat(" step %d/%d", done.step(), done.steps());
  if (done.has_predicted_remaining()) {
    absl::StrAppend(&text, ", about ", InWords(done.predicted_remaining()), " left");
  }
  const int room = columns - static_cast<int>(text.size()) - 2;
  const int width = std::clamp(room, 0, 40);
  const int64_t steps = std::max(done.steps(), 1);
  const auto filled = static_cast<int>(width * std::clamp<int64_t>(done.step(), 0, steps) / steps);
  return absl::StrCat("[", std::string(filled, '#'), std::string(width - filled, '.'), "]", text);
}

std::string Cut(std::string text, int columns) {
  return static_cast<int>(text.size()) <= columns ? text : text.substr(0, columns - 3) + "...";
}

}  // namespace

std::string ProgressText(const v1::StreamGenerateImageResponse& event, int columns) {
  switch (event.event_case()) {
    case v1::StreamGenerateImageResponse::kQueued:
      return Cut(Queued(event.queued()), columns);
    case v1::StreamGenerateImageResponse::kAttemptStarted:
      return Cut(Started(event.attempt_started()), columns);
    case v1::StreamGenerateImageResponse::kStepDone:
      return Cut(Step(event.step_done(), columns), columns);
    default:
      return "";
  }
}

std::string RetryText(const absl::Status& why, double wait_s, int columns) {
  const std::string message(why.message());
  const std::string line = message.substr(0, message.find('\n'));
  return Cut(absl::StrFormat("trying again in %.1f s: %s", wait_s, line), columns);
}

}  // namespace tessera
