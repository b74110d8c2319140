#include "worker/pipeline/prompt_encoder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/model/checkpoint.h"
#include "tests/golden/pipeline/pipeline_run.h"
#include "tests/support/golden.h"
#include "worker/base/status_exception.h"

namespace tessera {
namespace {

using testing::InProcessGroup;
using testing::TinyFluxDir;

constexpr int kLength = 50;

// (ranks, place)
class PromptEncoderTest : public ::testing::TestWithParam<std::tuple<int, TextEncoderPlace>> {
 protected:
  void SetUp() override {
    for (int rank = 0; rank < ranks(); ++rank) encoders_.push_back(Load(std::get<1>(GetParam())));
  }

  static PromptEncoder Load(TextEncoderPlace place) {
    return PromptEncoder::Load(Checkpoint::Open(TinyFluxDir()).value(), WeightOptions(), place)
        .value();
  }
  static int ranks() { return std::get<0>(GetParam()); }

  // As every rank finds it; encoders_[0] is that of rank 0.
  std::vector<PromptEmbedding> Encode(const std::string& prompt) {
    return RunRanks(group_, [&](Communicator& communicator) {
      const c10::InferenceMode inference;
      return encoders_[communicator.rank()].Encode(prompt, std::nullopt, kLength, communicator);
    });
  }

  void ExpectEqualOnAllRanks(const std::string& prompt) {
    PromptEncoder alone = Load(TextEncoderPlace::kEveryRank);
    const c10::InferenceMode inference;
    const PromptEmbedding expected =
        alone.Encode(prompt, std::nullopt, kLength, *InProcessGroup(1)[0]);
    for (const PromptEmbedding& embedding : Encode(prompt)) {
      EXPECT_TRUE(at::equal(embedding.text, expected.text));
      EXPECT_TRUE(at::equal(embedding.pooled, expected.pooled));
      EXPECT_EQ(embedding.clip_tokens, expected.clip_tokens);
      EXPECT_EQ(embedding.t5_tokens, expected.t5_tokens);
      EXPECT_EQ(embedding.clip_truncated, expected.clip_truncated);
      EXPECT_EQ(embedding.t5_truncated, expected.t5_truncated);
    }
  }

  std::vector<PromptEncoder> encoders_;
  std::vector<std::unique_ptr<Communicator>> group_ = InProcessGroup(ranks());
};

TEST_P(PromptEncoderTest, GivesEveryRankTheBytesOfItsOwnEncoding) {
  ExpectEqualOnAllRanks("a lighthouse");
  ExpectEqualOnAllRanks("");
  std::string longer;
  for (int i = 0; i < 100; ++i) longer += " sea";
  ExpectEqualOnAllRanks(longer);
  ExpectEqualOnAllRanks("a lighthouse");  // from rank 0's cache
}

TEST_P(PromptEncoderTest, AnInvalidPromptIsFoundByAllAndTheGroupStaysWhole) {
  const auto statuses = RunRanks(group_, [&](Communicator& communicator) -> absl::Status {
    try {
      encoders_[communicator.rank()].Encode("\xff", std::nullopt, kLength, communicator);
    } catch (const StatusException& error) {
      return error.status();
    }
    return absl::OkStatus();
  });
  for (const absl::Status& status : statuses) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  }
  ExpectEqualOnAllRanks("a lighthouse");
}

// A new epoch's rank 0 was another rank, or is new.
TEST_P(PromptEncoderTest, RanksChangeFromEpochToEpoch) {
  ExpectEqualOnAllRanks("a lighthouse");
  std::swap(encoders_.front(), encoders_.back());
  group_ = InProcessGroup(ranks());
  ExpectEqualOnAllRanks("a lighthouse");
  encoders_.front() = Load(std::get<1>(GetParam()));
  group_ = InProcessGroup(ranks());
  ExpectEqualOnAllRanks("a lighthouse");
}

std::string PlaceName(TextEncoderPlace place) {
  if (place == TextEncoderPlace::kRank0) return "Rank0";
  return place == TextEncoderPlace::kCpu ? "Cpu" : "EveryRank";
}

INSTANTIATE_TEST_SUITE_P(RanksAndPlaces, PromptEncoderTest,
                         ::testing::Combine(::testing::Values(1, 2, 3),
                                            ::testing::Values(TextEncoderPlace::kEveryRank,
                                                              TextEncoderPlace::kRank0,
                                                              TextEncoderPlace::kCpu)),
                         [](const auto& test) {
                           return absl::StrCat("N", std::get<0>(test.param),
                                               PlaceName(std::get<1>(test.param)));
                         });

// (ranks, place): a whole job with two prompts.
class TextPlaceTest : public ::testing::TestWithParam<std::tuple<int, TextEncoderPlace>> {
 protected:
  static ImageResult Picture(int ranks, TextEncoderPlace place) {
    ImageRequest request = testing::RotatingRequest();
    request.negative_prompt = "blurry";
    request.true_cfg_scale = 3;
    std::vector<std::unique_ptr<FluxPipeline>> pipelines;
    for (int rank = 0; rank < ranks; ++rank) {
      pipelines.push_back(
          FluxPipeline::Load({.model_dir = TinyFluxDir(), .threads = 1, .text_encoder = place})
              .value());
    }
    const auto results = RunRanks(InProcessGroup(ranks), [&](Communicator& communicator) {
      return pipelines[communicator.rank()]->Generate(request, communicator, {}).value();
    });
    EXPECT_EQ(results.back().t5_tokens, results.front().t5_tokens);
    return results[0];
  }
};

TEST_P(TextPlaceTest, MakesTheBytesOfEveryRankEncoding) {
  const auto [ranks, place] = GetParam();
  EXPECT_TRUE(Picture(ranks, place).pictures ==
              Picture(ranks, TextEncoderPlace::kEveryRank).pictures);
}

INSTANTIATE_TEST_SUITE_P(RanksAndPlaces, TextPlaceTest,
                         ::testing::Combine(::testing::Values(2, 3),
                                            ::testing::Values(TextEncoderPlace::kRank0,
                                                              TextEncoderPlace::kCpu)),
                         [](const auto& test) {
                           return absl::StrCat("N", std::get<0>(test.param),
                                               PlaceName(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace tessera
