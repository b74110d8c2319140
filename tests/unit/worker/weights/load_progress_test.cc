#include "worker/weights/load_progress.h"

#include <gtest/gtest.h>

#include <vector>

namespace tessera {
namespace {

TEST(LoadMeterTest, TellsWhatIsDone) {
  std::vector<LoadProgress> calls;
  LoadMeter meter(
      "vae", 100, [&](const LoadProgress& progress) { calls.push_back(progress); },
      /*interval_s=*/0);
  meter.Add(30);
  meter.Add(50);
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[1].part, "vae");
  EXPECT_EQ(calls[1].done_bytes, 80);
  EXPECT_EQ(calls[1].total_bytes, 100);
  EXPECT_GE(calls[1].elapsed_s, calls[0].elapsed_s);
}

TEST(LoadMeterTest, IsSilentWithinTheInterval) {
  int calls = 0;
  LoadMeter meter(
      "vae", 100, [&](const LoadProgress&) { ++calls; }, /*interval_s=*/1e6);
  for (int i = 0; i < 10; ++i) meter.Add(10);
  EXPECT_EQ(calls, 0);
}

TEST(LoadMeterTest, NeedsNobodyToListen) { LoadMeter("vae", 100, nullptr, 0).Add(10); }

}  // namespace
}  // namespace tessera
