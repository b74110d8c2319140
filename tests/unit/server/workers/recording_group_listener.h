#pragma once

#include <utility>
#include <vector>

#include "server/workers/worker_group.h"

namespace tessera::testing {

// Remembers what a group told. One thread uses it.
class RecordingGroupListener final : public WorkerGroup::Listener {
 public:
  void OnModelKnown(const ModelInfo&) override {}
  void OnGroupChanged() override { ++changed; }
  void OnStageBegun(const internal::v1::JobKey&, JobStage stage) override {
    stages.push_back(stage);
  }
  void OnStepDone(const internal::v1::JobKey&, int step) override { steps.push_back(step); }
  void OnRunFinished(RunResult result) override { results.push_back(std::move(result)); }

  int changed = 0;
  std::vector<JobStage> stages;
  std::vector<int> steps;
  std::vector<RunResult> results;
};

}  // namespace tessera::testing
