// The decode of N ranks beside the decode of one.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/model/checkpoint_folder.h"
#include "tests/support/rank_threads.h"
#include "tests/unit/worker/vae/random_vae.h"
#include "worker/base/status_exception.h"
#include "worker/comm/in_process_communicator.h"
#include "worker/comm/single_communicator.h"
#include "worker/vae/image.h"
#include "worker/vae/vae_decoder.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using testing::RandomVae;
using testing::RandomVaeSize;

constexpr int64_t kWhole = int64_t{1} << 40;

// Lets a test change what one rank has received.
class Intercepted : public Communicator {
 public:
  using Change = std::function<void(std::vector<at::Tensor>& piece)>;
  Intercepted(std::unique_ptr<Communicator> inner, Change change)
      : inner_(std::move(inner)), change_(std::move(change)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  void SetTimeout(double seconds) override { inner_->SetTimeout(seconds); }
  absl::Status AllGather(std::span<const std::vector<at::Tensor>> pieces) override {
    const absl::Status status = inner_->AllGather(pieces);
    for (int peer = 0; peer < size(); ++peer) {
      std::vector<at::Tensor> piece = pieces[peer];
      if (peer != rank()) change_(piece);
    }
    return status;
  }
  absl::StatusOr<std::vector<int64_t>> Vote(int64_t mine) override { return inner_->Vote(mine); }
  void Abort(const absl::Status& reason) override { inner_->Abort(reason); }
  int64_t bytes_received() const override { return inner_->bytes_received(); }

 private:
  const std::unique_ptr<Communicator> inner_;
  const Change change_;
};

std::vector<std::unique_ptr<Communicator>> Group(int ranks,
                                                 const Intercepted::Change& change = {}) {
  std::vector<std::unique_ptr<Communicator>> group;
  for (auto& communicator : InProcessCommunicator::MakeGroup(ranks, /*timeout_s=*/60)) {
    if (!change) {
      group.push_back(std::move(communicator));
    } else {
      group.push_back(std::make_unique<Intercepted>(std::move(communicator), change));
    }
  }
  return group;
}

VaeDecoder Load(const RandomVae& vae, at::ScalarType dtype = at::kFloat) {
  at::set_num_threads(1);
  WeightOptions options;
  options.dtype = dtype;
  options.cache_dir = vae.dir() + "/cache";
  return VaeDecoder::Load(CheckpointFolder(vae.dir()), options).value();
}

RandomVaeSize FluxLike() {
  RandomVaeSize size;
  size.block_out_channels = {32, 64, 64, 64};
  size.layers_per_block = 2;
  size.latent_channels = 16;
  size.norm_num_groups = 32;
  return size;
}

at::Tensor Levels(const at::Tensor& image) {
  return (image.to(at::kFloat) * 0.5 + 0.5).clamp(0, 1) * 255;
}

double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kFloat) - b.to(at::kFloat)).abs().max().item<double>();
}

// The rows of all ranks, one below the other.
at::Tensor Split(const VaeDecoder& decoder, const at::Tensor& latents,
                 const std::vector<std::unique_ptr<Communicator>>& group, int64_t max_band_bytes) {
  const int64_t owners = std::min<int64_t>(std::ssize(group), latents.size(2));
  std::vector<at::Tensor> rows = RunRanks(group, [&](Communicator& communicator) {
    at::set_num_threads(1);
    const c10::InferenceMode inference;
    return decoder.DecodeRows(latents, RowSplit(communicator, latents.size(2)), max_band_bytes);
  });
  rows.resize(owners);
  return at::cat(rows, 2);
}

struct Case {
  RandomVaeSize size;
  int64_t height, width;  // latent
  const char* name;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }
};

std::vector<Case> Cases() {
  RandomVaeSize small;
  RandomVaeSize plain = small;
  plain.mid_block_add_attention = false;
  plain.use_post_quant_conv = true;
  return {{FluxLike(), 10, 6, "FluxLike"},
          {FluxLike(), 7, 9, "OddHeight"},
          {small, 3, 4, "FewerRowsThanFive"},
          {small, 1, 8, "OneRow"},
          {plain, 6, 5, "WithoutAttention"}};
}

class SplitDecodeTest : public ::testing::TestWithParam<std::tuple<int, Case, int64_t>> {};

// The largest difference seen is 0.0006 levels.
TEST_P(SplitDecodeTest, EqualsTheWholeDecode) {
  const auto& [ranks, c, max_band_bytes] = GetParam();
  const RandomVae vae(c.size);
  const VaeDecoder decoder = Load(vae);
  const at::Tensor latents = at::randn({1, c.size.latent_channels, c.height, c.width});
  const at::Tensor whole = decoder.Decode(latents, kWhole);
  const at::Tensor split = Split(decoder, latents, Group(ranks), max_band_bytes);
  ASSERT_EQ(split.sizes(), whole.sizes());
  EXPECT_LE(MaxDifference(Levels(split), Levels(whole)), 0.01);
}

// One activation rounded otherwise, and bfloat16 gives another picture, equally far from the exact
// one.
TEST_P(SplitDecodeTest, InBfloat16IsAsNearToFloat32AsTheWholeDecode) {
  const auto& [ranks, c, max_band_bytes] = GetParam();
  const RandomVae vae(c.size);
  const at::Tensor latents = at::randn({1, c.size.latent_channels, c.height, c.width});
  const at::Tensor exact = Levels(Load(vae).Decode(latents, kWhole));
  const VaeDecoder decoder = Load(vae, at::kBFloat16);
  const auto error = [&exact](const at::Tensor& image) {
    return (Levels(image) - exact).square().mean().sqrt().item<double>();
  };
  const at::Tensor split = Split(decoder, latents, Group(ranks), max_band_bytes);
  EXPECT_EQ(split.scalar_type(), at::kBFloat16);
  EXPECT_LE(error(split), 1.25 * error(decoder.Decode(latents, kWhole)));
}

INSTANTIATE_TEST_SUITE_P(RanksSizesAndBands, SplitDecodeTest,
                         ::testing::Combine(::testing::Values(2, 3, 5),
                                            ::testing::ValuesIn(Cases()),
                                            ::testing::Values(1, kWhole)));

class SplitBytesTest : public ::testing::TestWithParam<int> {};

TEST_P(SplitBytesTest, AreTheSameOnAllRanksAndTwice) {
  const RandomVae vae(FluxLike());
  const VaeDecoder decoder = Load(vae);
  const at::Tensor batch = at::randn({3, 16, 7, 6});
  const auto group = Group(GetParam());
  const auto decode = [&](Communicator& communicator) {
    at::set_num_threads(1);
    std::vector<at::Tensor> pictures;
    for (const at::Tensor& one : batch.split(1)) {
      pictures.push_back(decoder.DecodeRgb8(one, communicator, 20'000));
    }
    return at::stack(pictures);
  };
  const std::vector<at::Tensor> pictures = RunRanks(group, decode);
  const at::Tensor expected = ToRgb8(decoder.Decode(batch));
  ASSERT_EQ(pictures[0].sizes(), expected.sizes());
  EXPECT_LE(MaxDifference(pictures[0], expected), 1.0);
  EXPECT_LE(pictures[0].ne(expected).sum().item<int64_t>(), expected.numel() / 1000);
  for (const at::Tensor& each : pictures) EXPECT_TRUE(at::equal(each, pictures[0]));
  EXPECT_TRUE(at::equal(RunRanks(Group(GetParam()), decode)[0], pictures[0]));
}

INSTANTIATE_TEST_SUITE_P(Ranks, SplitBytesTest, ::testing::Values(2, 3, 5, 9));

TEST(SplitBytesTest, OneRanksAreThoseOfTheWholeDecode) {
  const RandomVae vae(FluxLike());
  const VaeDecoder decoder = Load(vae);
  const at::Tensor latents = at::randn({1, 16, 7, 6});
  SingleCommunicator alone;
  EXPECT_TRUE(at::equal(decoder.DecodeRgb8(latents, alone), ToRgb8(decoder.Decode(latents))[0]));
}

// An edge comes as [W, C], the sums as [2, C] of float64.
class AlteredExchangeTest : public ::testing::TestWithParam<bool> {};

TEST_P(AlteredExchangeTest, IsSeenInThePicture) {
  const RandomVae vae(FluxLike());
  const VaeDecoder decoder = Load(vae);
  const at::Tensor latents = at::randn({1, 16, 8, 6});
  const auto alter = [sums = GetParam()](std::vector<at::Tensor>& piece) {
    for (at::Tensor& tensor : piece) {
      if (piece.size() > 1 && (tensor.scalar_type() == at::kDouble) == sums) tensor.mul_(1.2);
    }
  };
  const at::Tensor whole = Levels(decoder.Decode(latents, kWhole));
  const at::Tensor altered = Levels(Split(decoder, latents, Group(3, alter), kWhole));
  EXPECT_GT(MaxDifference(altered, whole), 2.0);
}

INSTANTIATE_TEST_SUITE_P(SumsAndEdges, AlteredExchangeTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Sums" : "Edges"; });

std::string ErrorOf(const VaeDecoder& decoder, const at::Tensor& latents,
                    Communicator& communicator) {
  try {
    decoder.DecodeRgb8(latents, communicator);
  } catch (const StatusException& error) {
    return error.what();
  }
  return "";
}

TEST(SplitDecodeErrorTest, ARankThatFailsIsNamedByTheOthers) {
  const RandomVae vae(RandomVaeSize{});
  const VaeDecoder decoder = Load(vae);
  const at::Tensor latents = at::randn({1, 5, 6, 4});
  const auto errors = RunRanks(Group(3), [&](Communicator& communicator) -> std::string {
    if (communicator.rank() == 2) communicator.Abort(absl::InternalError("made to fail"));
    return ErrorOf(decoder, latents, communicator);
  });
  for (const std::string& error : errors) {
    EXPECT_THAT(error, HasSubstr("rank 2"));
    EXPECT_THAT(error, HasSubstr("made to fail"));
  }
}

TEST(SplitDecodeErrorTest, APictureThatIsNotFiniteIsNeverGathered) {
  const RandomVae vae(RandomVaeSize{});
  const VaeDecoder decoder = Load(vae);
  at::Tensor latents = at::randn({1, 5, 6, 4});
  latents[0][0][5][0] = std::numeric_limits<float>::quiet_NaN();
  const auto errors = RunRanks(Group(3), [&](Communicator& communicator) {
    return ErrorOf(decoder, latents, communicator);
  });
  for (const std::string& error : errors) EXPECT_THAT(error, HasSubstr("not finite"));
}

}  // namespace
}  // namespace tessera
