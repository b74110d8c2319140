#include "worker/parallel/kv_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

const KvCache::Shape kShape = {.layers = 3, .batch = 2, .rows = 5, .heads = 4, .head_dim = 6};

KvCache::Shape InFp8(KvCache::Shape shape) {
  shape.storage = KvStorage::kFp8;
  return shape;
}

// Whether the buffers had to be new ones.
bool ReserveMoves(KvCache& cache, const KvCache::Shape& shape, const at::TensorOptions& options) {
  const bool moves = !cache.HasRoomFor(shape, options);
  cache.Reserve(shape, options);
  EXPECT_TRUE(cache.HasRoomFor(shape, options));
  return moves;
}

TEST(KvCacheTest, KeepsBuffersThatAreLargeEnough) {
  KvCache cache;
  EXPECT_TRUE(ReserveMoves(cache, kShape, at::kFloat));
  const void* first = cache.Layer(0).const_data_ptr();
  EXPECT_NE(cache.Layer(0).const_data_ptr(), cache.Layer(1).const_data_ptr());
  KvCache::Shape smaller = kShape;
  smaller.layers = 2;
  smaller.rows = 3;
  for (const KvCache::Shape& shape : {kShape, smaller, kShape}) {
    EXPECT_FALSE(ReserveMoves(cache, shape, at::kFloat));
    EXPECT_EQ(cache.Layer(0).const_data_ptr(), first);
    EXPECT_EQ(cache.Layer(0).sizes(), (at::IntArrayRef{2, 2, shape.rows, 4, 6}));
    EXPECT_TRUE(cache.Layer(0).is_contiguous());
    EXPECT_EQ(cache.bytes(), 3 * 2 * 2 * 5 * 4 * 6 * 4);
  }
}

TEST(KvCacheTest, MakesNewBuffersForMoreRowsMoreLayersOrAnotherDtype) {
  KvCache cache;
  cache.Reserve(kShape, at::kFloat);
  KvCache::Shape longer = kShape;
  longer.rows = 9;
  EXPECT_TRUE(ReserveMoves(cache, longer, at::kFloat));
  EXPECT_EQ(cache.Layer(2).sizes(), (at::IntArrayRef{2, 2, 9, 4, 6}));
  longer.layers = 4;
  EXPECT_TRUE(ReserveMoves(cache, longer, at::kFloat));
  EXPECT_TRUE(ReserveMoves(cache, longer, at::kBFloat16));
  EXPECT_EQ(cache.Layer(2).scalar_type(), at::kBFloat16);
}

TEST(KvCacheTest, OneLayerIsSharedByAll) {
  KvCache cache;
  KvCache::Shape shared = kShape;
  shared.layers = 1;
  cache.Reserve(shared, at::kFloat);
  EXPECT_EQ(cache.Layer(0).const_data_ptr(), cache.Layer(17).const_data_ptr());
}

// Keys and values of one layer, drawn anew.
at::Tensor Fill(KvCache& cache, int64_t layer) {
  return cache.Layer(layer).copy_(at::randn_like(cache.Layer(layer))).clone();
}

at::Tensor Rounded(const at::Tensor& rows) { return Dequantized(QuantizeRows(rows, {})); }

TEST(KvCacheTest, Fp8LayersShareOneBufferAndComeBackRounded) {
  KvCache cache;
  EXPECT_TRUE(ReserveMoves(cache, InFp8(kShape), at::kFloat));
  constexpr int64_t kRows = 2 * 2 * 5 * 4;  // of one head
  EXPECT_EQ(cache.bytes(), kRows * 6 * 4 + 3 * kRows * (6 + 4));
  EXPECT_EQ(cache.Layer(0).const_data_ptr(), cache.Layer(2).const_data_ptr());
  std::vector<at::Tensor> layers;
  for (int64_t layer = 0; layer < 3; ++layer) {
    layers.push_back(Fill(cache, layer));
    cache.Store(layer, {0, 5});
  }
  for (int64_t layer : {1, 0, 2}) {
    cache.Restore(layer);
    EXPECT_TRUE(at::equal(cache.Layer(layer), Rounded(layers[layer]))) << layer;
  }
}

TEST(KvCacheTest, Fp8StoresOnlyTheRowsThatItIsTold) {
  KvCache cache;
  cache.Reserve(InFp8(kShape), at::kBFloat16);
  const at::Tensor before = Fill(cache, 1);
  cache.Store(1, {0, 5});
  at::Tensor expected = Rounded(before).to(at::kBFloat16);
  const at::Tensor after = Fill(cache, 1);
  cache.Store(1, {1, 3});
  cache.Store(1, {4, 4});
  expected.narrow(2, 1, 2).copy_(Rounded(after.narrow(2, 1, 2)));
  cache.Restore(1);
  EXPECT_TRUE(at::equal(cache.Layer(1), expected));
}

TEST(KvCacheTest, RowsAsComputedAreNeitherStoredNorRestored) {
  KvCache cache;
  cache.Reserve(kShape, at::kFloat);
  const at::Tensor rows = Fill(cache, 1);
  cache.Store(1, {0, 5});
  cache.Restore(1);
  EXPECT_TRUE(at::equal(cache.Layer(1), rows));
}

TEST(KvCacheTest, AnotherStorageNeedsItsBuffers) {
  KvCache cache;
  KvCache::Shape one = kShape;
  one.layers = 1;
  EXPECT_TRUE(ReserveMoves(cache, one, at::kFloat));
  EXPECT_TRUE(ReserveMoves(cache, InFp8(kShape), at::kFloat));
  EXPECT_FALSE(ReserveMoves(cache, one, at::kFloat));  // all it needs is the shared one
  EXPECT_FALSE(ReserveMoves(cache, InFp8(kShape), at::kFloat));
}

TEST(KvCacheTest, FreeGivesTheMemoryBack) {
  KvCache cache;
  cache.Reserve(kShape, at::kFloat);
  cache.Free();
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace tessera
