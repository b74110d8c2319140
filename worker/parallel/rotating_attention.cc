#include "worker/parallel/rotating_attention.h"

#include <ATen/ATen.h>

#include <utility>

#include "worker/base/status_exception.h"

namespace tessera {
namespace {

JointAttention::KeyValue RowsAt(const at::Tensor& key_value, int64_t begin, int64_t size) {
  return {key_value[0].narrow(1, begin, size), key_value[1].narrow(1, begin, size)};
}

}  // namespace

RotatingAttention::RotatingAttention(const KvCache& cache, const ChunkLayout& layout,
                                     Communicator& communicator)
    : cache_(cache), layout_(layout), communicator_(communicator) {}

void RotatingAttention::BeginStep(StepKind kind, std::vector<int> chunk_of_rank) {
  kind_ = kind;
  chunk_of_rank_ = std::move(chunk_of_rank);
  open_layer_ = -1;
}

// The layer's rows: a stale step reads those of earlier steps, a sync step gets all of them anew.
const at::Tensor& RotatingAttention::Open(int64_t layer) {
  if (open_layer_ != layer && kind_ == StepKind::kStale) cache_.Restore(layer);
  open_layer_ = layer;
  return cache_.Layer(layer);
}

void RotatingAttention::Close(int64_t layer) {
  if (kind_ == StepKind::kSync) {
    return cache_.Store(layer, {0, layout_.text_tokens + layout_.image_tokens});
  }
  const TokenRows mine = RowsOf(communicator_.rank());
  cache_.Store(layer, mine.text);
  cache_.Store(layer,
               {layout_.text_tokens + mine.image.begin, layout_.text_tokens + mine.image.end});
}

JointAttention::KeyValue RotatingAttention::TextRows(int64_t layer) {
  const RowRange rows = RowsOf(communicator_.rank()).text;
  return RowsAt(Open(layer), rows.begin, rows.size());
}

JointAttention::KeyValue RotatingAttention::ImageRows(int64_t layer) {
  const RowRange rows = RowsOf(communicator_.rank()).image;
  return RowsAt(Open(layer), layout_.text_tokens + rows.begin, rows.size());
}

at::Tensor RotatingAttention::Attend(int64_t layer, const at::Tensor& q) {
  const at::Tensor& key_value = Open(layer);  // [2, B, rows, heads, head_dim]
  if (kind_ == StepKind::kSync && communicator_.size() > 1) GatherRows(key_value);
  const at::Tensor k = key_value[0].transpose(1, 2), v = key_value[1].transpose(1, 2);
  const at::Tensor out =
      at::scaled_dot_product_attention(q.transpose(1, 2), k, v);  // [B, heads, rows, head_dim]
  Close(layer);
  return out.transpose(1, 2).flatten(2);
}

void RotatingAttention::GatherRows(const at::Tensor& key_value) const {
  std::vector<std::vector<at::Tensor>> pieces(communicator_.size());
  for (int rank = 0; rank < communicator_.size(); ++rank) {
    const TokenRows rows = RowsOf(rank);
    for (const at::Tensor& side :
         {key_value[0], key_value[1]}) {  // K, then V: [B, rows, heads, head_dim]
      for (int64_t b = 0; b < side.size(0); ++b) {
        if (layout_.text_mode == TextMode::kSplit) {
          pieces[rank].push_back(side[b].narrow(0, rows.text.begin, rows.text.size()));
        }
        pieces[rank].push_back(
            side[b].narrow(0, layout_.text_tokens + rows.image.begin, rows.image.size()));
      }
    }
  }
  ThrowIfError(communicator_.AllGather(pieces));
}

}  // namespace tessera
