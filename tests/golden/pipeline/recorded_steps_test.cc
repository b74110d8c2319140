#include <functional>

#include "tests/golden/pipeline/pipeline_run.h"

namespace tessera {
namespace {

using testing::Prompts;
using testing::RotatingRequest;
using testing::RunSeries;

struct Counts {
  int recorded = 0, replayed = 0;
};

// Stands in for a device's graphs: a replay is the work once more, over the places that it was
// recorded with.
class CallAgainRecorder : public GraphRecorder {
 public:
  explicit CallAgainRecorder(Counts& counts) : counts_(counts) {}

  std::unique_ptr<DeviceGraph> Record(const std::function<void()>& work) override {
    ++counts_.recorded;
    return std::make_unique<CallAgain>(work, counts_);
  }

 private:
  class CallAgain : public DeviceGraph {
   public:
    CallAgain(std::function<void()> work, Counts& counts)
        : work_(std::move(work)), counts_(counts) {}
    void Replay() override {
      ++counts_.replayed;
      work_();
    }

   private:
    const std::function<void()> work_;
    Counts& counts_;
  };

  Counts& counts_;
};

// What the ranks recorded and replayed, after a check that every run gave the latents of one
// without a recorder.
std::vector<Counts> RunRecorded(int ranks, const std::vector<ImageRequest>& requests,
                                KvStorage kv_storage = KvStorage::kAsComputed) {
  std::vector<Counts> counts(ranks);
  const auto none = [](int) { return nullptr; };
  const auto recorder = [&](int rank) { return std::make_unique<CallAgainRecorder>(counts[rank]); };
  const auto plain = RunSeries(ranks, requests, none, "cpu", kv_storage);
  const auto replayed = RunSeries(ranks, requests, recorder, "cpu", kv_storage);
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_TRUE(at::equal(plain[i], replayed[i])) << ranks << " ranks, run " << i;
  }
  return counts;
}

ImageRequest OfWidth(int width) {
  ImageRequest request = RotatingRequest();
  request.width = width;
  return request;
}

TEST(RecordedStepsTest, ReplayStaleStepsFromTheSecondVisitOfAChunkOn) {
  ImageRequest other = RotatingRequest();
  other.prompt = Prompts()[10];
  other.seed = 1;
  for (int ranks = 2; ranks <= 3; ++ranks) {
    for (const Counts& counts : RunRecorded(ranks, {RotatingRequest(), other})) {
      // Seven stale steps of eight; of the first run all but the first visit of each chunk.
      EXPECT_EQ(counts.recorded, ranks);
      EXPECT_EQ(counts.replayed, 7 - ranks + 7);
    }
  }
}

TEST(RecordedStepsTest, OneRankExchangesNothingAndReplaysAll) {
  const Counts counts = RunRecorded(1, {RotatingRequest(), RotatingRequest()})[0];
  EXPECT_EQ(counts.recorded, 1);
  EXPECT_EQ(counts.replayed, 7 + 8);
}

TEST(RecordedStepsTest, SyncStepsOfSeveralRanksAreNeverReplayed) {
  ImageRequest exact = RotatingRequest();
  exact.refresh_every = 1;
  for (const Counts& counts : RunRecorded(3, {exact, exact})) EXPECT_EQ(counts.recorded, 0);
}

TEST(RecordedStepsTest, TrueCfgRecordsBothPasses) {
  ImageRequest request = RotatingRequest();
  request.true_cfg_scale = 3;
  request.negative_prompt = "blurry, low quality";
  for (const Counts& counts : RunRecorded(2, {request, request})) {
    EXPECT_EQ(counts.recorded, 2 * 2);
    EXPECT_EQ(counts.replayed, 2 * (5 + 7));
  }
}

TEST(RecordedStepsTest, ReplayStepsOverAnFp8Cache) {
  const std::vector<ImageRequest> requests = {OfWidth(112), OfWidth(64), OfWidth(112)};
  for (const Counts& counts : RunRecorded(3, requests, KvStorage::kFp8)) {
    EXPECT_EQ(counts.recorded, 2 * 3);
    EXPECT_EQ(counts.replayed, 2 * 4 + 7);
  }
}

TEST(RecordedStepsTest, SmallerSizesLeaveTheRecordingsOfLargerOnes) {
  const std::vector<ImageRequest> requests = {OfWidth(112), OfWidth(64), OfWidth(112), OfWidth(64)};
  for (const Counts& counts : RunRecorded(2, requests)) {
    EXPECT_EQ(counts.recorded, 2 * 2);
    EXPECT_EQ(counts.replayed, 2 * (5 + 7));
  }
}

TEST(RecordedStepsTest, ALargerSizeMovesTheCacheAndDropsThem) {
  const std::vector<ImageRequest> requests = {OfWidth(64), OfWidth(112), OfWidth(64)};
  for (const Counts& counts : RunRecorded(2, requests)) {
    EXPECT_EQ(counts.recorded, 3 * 2);
    EXPECT_EQ(counts.replayed, 3 * 5);
  }
}

TEST(RecordedStepsTest, TheSizesUsedLastAreKept) {
  std::vector<ImageRequest> requests;
  for (int i = 0; i <= DenoisePass::kRecordedSizes; ++i) requests.push_back(OfWidth(112 - 16 * i));
  requests.push_back(requests.back());
  requests.push_back(OfWidth(112));  // one too many came since
  const auto sizes = static_cast<int>(requests.size());
  for (const Counts& counts : RunRecorded(2, requests)) {
    EXPECT_EQ(counts.recorded, (sizes - 1) * 2);
    EXPECT_EQ(counts.replayed, (sizes - 1) * 5 + 7);
  }
}

TEST(RecordedStepsTest, TheNegativePassIsForgottenWithItsCache) {
  ImageRequest guided = RotatingRequest();
  guided.true_cfg_scale = 3;
  guided.negative_prompt = "blurry, low quality";
  for (const Counts& counts : RunRecorded(2, {guided, RotatingRequest(), guided})) {
    EXPECT_EQ(counts.recorded, 2 + 2 * 2);
    EXPECT_EQ(counts.replayed, (5 + 7 + 7) + (5 + 5));
  }
}

// Text mode and the number of pictures change what a step computes.
TEST(RecordedStepsTest, WhateverElseChangesAStepIsRecordedApart) {
  ImageRequest replicated = RotatingRequest();
  replicated.text_mode = TextMode::kReplicated;
  ImageRequest two = RotatingRequest();
  two.num_images = 2;
  for (const Counts& counts : RunRecorded(3, {two, replicated, RotatingRequest(), two})) {
    EXPECT_EQ(counts.recorded, 3 * 3);
    EXPECT_EQ(counts.replayed, 3 * 4 + 7);
  }
}

}  // namespace
}  // namespace tessera
