#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/plan/chunk_layout.h"
#include "worker/comm/communicator.h"
#include "worker/vae/group_norm.h"
#include "worker/vae/row_bands.h"

namespace tessera {

// How the rows of one picture are spread over the ranks of a group, from top to bottom in rank
// order, and what the ranks tell each other of them. All ranks make the same calls in the same
// order. Exchanges throw the communicator's StatusException.
//
// Why edges are exchanged before every convolution: the sums of the group norms, which no rank
// knows alone, have to be exchanged there anyhow (29 times a picture with FLUX's VAE; three times
// there are edges only), and the edges ride along. Rows computed twice instead, by a halo that
// shrinks from layer to layer, would be 15 on each side of a border at latent size: another 4, 16,
// 33% of a rank's work at 1024x1024 with N = 2, 4, 8, and twice that at 512x512. The edges of one
// picture of 1024x1024 in bfloat16 are 7, 37, 97 MB received by a rank, most of them meant for
// others, as the exchange is an all-gather. By computation (nothing has run on GPUs) that is 0.3 ms
// over NVLink with N = 8, where a third of the work would be 1 ms.
class RowSplit {
 public:
  RowSplit() = default;  // this rank has all rows
  // Latent rows in chunks (common/plan/chunk_layout.h). Where there are fewer rows than ranks,
  // each rank beyond them computes what the last row's owner does and contributes nothing.
  RowSplit(Communicator& communicator, int64_t latent_rows);

  // Which of the latents' rows are this rank's; of an activation s times as high, s times these.
  RowRange Mine(int64_t latent_rows) const { return ChunkOf(latent_rows, owners_, chunk_); }

  // The neighbours' rows beside `bands`, which are all rows of this rank, in one exchange. The
  // second form also adds the other ranks' sums to this rank's, with the same bits on all ranks.
  Halo ExchangeEdges(const RowBands& bands) const;
  Halo ExchangeEdges(const RowBands& bands, ChannelSums& sums) const;

  // This rank's rows [1, rows, W, C] of any type, contiguous -> the whole [1, H, W, C].
  at::Tensor Gather(const at::Tensor& rows) const;

 private:
  // Whether a rank's first row is needed by the one above, its last by the one below.
  bool FirstIsNeeded(int rank) const { return rank > 0 && rank < owners_; }
  bool LastIsNeeded(int rank) const { return rank + 1 < owners_; }

  Communicator* communicator_ = nullptr;  // null: one rank
  int64_t latent_rows_ = 0;
  int owners_ = 1;  // ranks that have rows
  int chunk_ = 0;   // what this rank computes
};

}  // namespace tessera
