#include "server/jobs/position_teller.h"

#include <algorithm>

namespace tessera {
namespace {

int InFront(const Job* running) { return running == nullptr ? 0 : 1; }

}  // namespace

void PositionTeller::Tell(const JobTable::Line& line, const Job* running, bool predict) {
  TellFirst(kAtOnce, line, running, predict);
  if (line.size() > kAtOnce) rest_due_ = std::min(rest_due_, clock_.Now() + Seconds(kRestS));
}

void PositionTeller::TellLast(const JobTable::Line& line, const Job* running, bool predict) {
  if (line.size() <= kAtOnce) return Tell(line, running, predict);
  const int position = InFront(running) + static_cast<int>(line.size()) - 1;
  const std::optional<double> wait_s =
      predict ? predictor_.WaitAt(line.size() - 1, line, running) : std::nullopt;
  line.rbegin()->second->TellPosition(position, wait_s);
}

void PositionTeller::OnTime(TimePoint now, const JobTable::Line& line, const Job* running,
                            bool predict) {
  if (now < rest_due_) return;
  rest_due_ = kNever;
  TellFirst(line.size(), line, running, predict);
}

void PositionTeller::TellFirst(size_t places, const JobTable::Line& line, const Job* running,
                               bool predict) {
  std::optional<double> wait_s = predict ? predictor_.WaitBehind(running) : std::nullopt;
  int position = InFront(running);
  for (const auto& [place, job] : line) {
    if (places-- == 0) return;
    job->TellPosition(position++, wait_s);
    wait_s = predictor_.WaitBehind(*job, wait_s);
  }
}

}  // namespace tessera
