#include "worker/comm/host_staging.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace tessera {
namespace {

constexpr int kSize = 3;

// What rank `owner` contributes: uneven, of two dtypes, with an empty tensor.
std::vector<at::Tensor> Piece(int owner) {
  return {at::full({3 - owner, 5}, owner + 1, at::kBFloat16), at::full({0, 4}, 0, at::kFloat),
          at::full({1 + owner, 7}, 10 + owner, at::kFloat)};
}

std::vector<std::vector<at::Tensor>> Pieces(int rank) {
  std::vector<std::vector<at::Tensor>> pieces;
  for (int owner = 0; owner < kSize; ++owner) {
    pieces.push_back(Piece(owner));
    if (owner == rank) continue;
    for (at::Tensor& tensor : pieces.back()) tensor.zero_();
  }
  return pieces;
}

TEST(HostStagingTest, CarriesEveryRanksPieceAcross) {
  std::vector<HostStaging> staging(kSize);
  // The second time the buffers are there already.
  for (int repetition = 0; repetition < 2; ++repetition) {
    std::vector<std::vector<std::vector<at::Tensor>>> pieces;
    std::vector<std::vector<std::vector<at::Tensor>>> runs;
    for (int rank = 0; rank < kSize; ++rank) {
      pieces.push_back(Pieces(rank));
      runs.push_back(staging[rank].CopyToHost(pieces[rank], rank));
    }
    for (int from = 0; from < kSize; ++from) {
      for (int to = 0; to < kSize; ++to) {
        ASSERT_EQ(runs[to][from].size(), 1);
        ASSERT_EQ(runs[to][from][0].numel(), runs[from][from][0].numel());
        runs[to][from][0].copy_(runs[from][from][0]);
      }
    }
    for (int rank = 0; rank < kSize; ++rank) {
      staging[rank].CopyToDevice(pieces[rank], rank);
      for (int owner = 0; owner < kSize; ++owner) {
        const std::vector<at::Tensor> expected = Piece(owner);
        for (size_t i = 0; i < expected.size(); ++i) {
          EXPECT_TRUE(at::equal(pieces[rank][owner][i], expected[i]))
              << "rank " << rank << ", piece of " << owner << ", tensor " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera
