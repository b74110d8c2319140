#include "worker/parallel/rotating_strategy.h"

#include <ATen/ATen.h>

#include "worker/base/status_exception.h"

namespace tessera {
namespace {

JointAttention::KeyValue RowsAt(const at::Tensor& key_value, int64_t begin, int64_t size) {
  return {key_value[0].narrow(1, begin, size), key_value[1].narrow(1, begin, size)};
}

}  // namespace

RotatingAttention::RotatingAttention(const ParallelPlan& plan, KvCache& cache,
                                     Communicator& communicator)
    : plan_(plan), layout_(plan.layout()), cache_(cache), communicator_(communicator) {}

void RotatingAttention::BeginStep(int step) {
  step_ = step;
  kind_ = plan_.KindOf(step);
  mine_ = plan_.RowsOf(step, communicator_.rank());
  open_layer_ = -1;
}

// The layer's rows: a stale step reads those of earlier steps, a sync step gets all of them anew.
const at::Tensor& RotatingAttention::Open(int64_t layer) {
  if (open_layer_ != layer && kind_ == StepKind::kStale) cache_.Restore(layer);
  open_layer_ = layer;
  return cache_.Layer(layer);
}

void RotatingAttention::Close(int64_t layer) {
  if (kind_ == StepKind::kSync) return cache_.Store(layer, {0, layout_.tokens()});
  cache_.Store(layer, mine_.text);
  cache_.Store(layer,
               {layout_.text_tokens + mine_.image.begin, layout_.text_tokens + mine_.image.end});
}

JointAttention::KeyValue RotatingAttention::TextRows(int64_t layer) {
  return RowsAt(Open(layer), mine_.text.begin, mine_.text.size());
}

JointAttention::KeyValue RotatingAttention::ImageRows(int64_t layer) {
  return RowsAt(Open(layer), layout_.text_tokens + mine_.image.begin, mine_.image.size());
}

at::Tensor RotatingAttention::Attend(int64_t layer, const at::Tensor& q) {
  const at::Tensor& key_value = Open(layer);  // [2, B, rows, heads, head_dim]
  if (plan_.Exchanges(step_)) GatherRows(key_value);
  const at::Tensor k = key_value[0].transpose(1, 2), v = key_value[1].transpose(1, 2);
  const at::Tensor out =
      at::scaled_dot_product_attention(q.transpose(1, 2), k, v);  // [B, heads, rows, head_dim]
  Close(layer);
  return out.transpose(1, 2).flatten(2);
}

void RotatingAttention::GatherRows(const at::Tensor& key_value) const {
  std::vector<std::vector<at::Tensor>> pieces(communicator_.size());
  for (int rank = 0; rank < communicator_.size(); ++rank) {
    const TokenRows rows = plan_.RowsOf(step_, rank);
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

KvCache::Shape RotatingStrategy::CacheShape(const KvCache::Shape& all) const {
  if (plan().MostRows().outlive_step) return all;
  KvCache::Shape shared = all;
  shared.layers = 1;
  shared.storage = KvStorage::kAsComputed;
  return shared;
}

std::unique_ptr<StepAttention> RotatingStrategy::MakeAttention(KvCache& cache,
                                                               Communicator& communicator) const {
  return std::make_unique<RotatingAttention>(plan(), cache, communicator);
}

}  // namespace tessera
