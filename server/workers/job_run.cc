#include "server/workers/job_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tessera {

JobRun::JobRun(int ranks, const internal::v1::RunJob& job)
    : key_(job.key()),
      picture_bytes_(size_t{3} * job.request().width() * job.request().height()),
      ranks_(ranks),
      pictures_(job.request().num_images()) {}

absl::Status JobRun::AddChunk(const internal::v1::PixelChunk& chunk) {
  const int index = chunk.image_index();
  if (index < 0 || index >= static_cast<int>(pictures_.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("pixel_chunk.image_index: ", index, " of ", pictures_.size()));
  }
  if (pictures_[index].size() + chunk.data().size() > picture_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pixel_chunk: image ", index, " has more than its ", picture_bytes_, " bytes"));
  }
  pictures_[index].append(chunk.data());
  return absl::OkStatus();
}

JobRun::RankEnd JobRun::EndOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return RankEnd::kOk;
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
      return RankEnd::kCancelled;
    case absl::StatusCode::kUnavailable:         // another rank was lost, or the epoch ended
    case absl::StatusCode::kAborted:             // another rank failed; it reports for itself
    case absl::StatusCode::kFailedPrecondition:  // the rank is in no group
      return RankEnd::kInterrupted;
    default:
      return RankEnd::kOwnError;
  }
}

void JobRun::Report(int rank, const internal::v1::JobDone& done) {
  if (ranks_[rank].has_value()) return;
  const auto code = static_cast<absl::StatusCode>(done.outcome().code());
  ranks_[rank] = Rank{EndOf(code), absl::Status(code, done.outcome().message())};
  if (rank == 0) report_ = done.report();
}

void JobRun::Lose(int rank, const absl::Status& why) {
  if (ranks_[rank].has_value()) return;
  RankEnd end = RankEnd::kLost;
  if (absl::IsDeadlineExceeded(why)) end = RankEnd::kSilent;
  if (absl::IsAborted(why)) end = RankEnd::kInterrupted;
  ranks_[rank] = Rank{end, why};
}

bool JobRun::complete() const {
  return std::all_of(ranks_.begin(), ranks_.end(),
                     [](const std::optional<Rank>& rank) { return rank.has_value(); });
}

absl::Status JobRun::CheckPictures() const {
  for (size_t i = 0; i < pictures_.size(); ++i) {
    if (pictures_[i].size() != picture_bytes_) {
      return absl::InternalError(absl::StrCat("rank 0 succeeded with ", pictures_[i].size(), " of ",
                                              picture_bytes_, " bytes of image ", i));
    }
  }
  return absl::OkStatus();
}

RunResult JobRun::TakeResult() {
  const auto heaviest = std::max_element(
      ranks_.begin(), ranks_.end(),
      [](const auto& a, const auto& b) { return a->end < b->end; });  // the lowest such rank
  RunResult result;
  result.key = key_;
  result.status = (*heaviest)->status;
  result.rank = static_cast<int>(heaviest - ranks_.begin());
  switch ((*heaviest)->end) {
    case RankEnd::kOk:
      result.status = CheckPictures();
      result.rank = result.status.ok() ? -1 : 0;
      result.outcome = result.status.ok() ? RunOutcome::kSucceeded : RunOutcome::kFailed;
      break;
    case RankEnd::kCancelled:
      result.outcome = RunOutcome::kCancelled;
      break;
    case RankEnd::kInterrupted:
    case RankEnd::kSilent:
      result.outcome = RunOutcome::kInterrupted;
      break;
    case RankEnd::kLost:
      result.outcome = RunOutcome::kBroken;
      break;
    case RankEnd::kOwnError:
      result.outcome = RunOutcome::kFailed;
      break;
  }
  if (result.outcome == RunOutcome::kSucceeded) {
    result.pictures = std::move(pictures_);
    result.report = std::move(report_);
  }
  return result;
}

}  // namespace tessera
