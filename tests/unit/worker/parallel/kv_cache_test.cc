#include "worker/parallel/kv_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

const KvCache::Shape kShape = {.layers = 3, .batch = 2, .rows = 5, .heads = 4, .head_dim = 6};

TEST(KvCacheTest, KeepsBuffersThatAreLargeEnough) {
  KvCache cache;
  EXPECT_TRUE(cache.Reserve(kShape, at::kFloat));
  const void* first = cache.Layer(0).const_data_ptr();
  EXPECT_NE(cache.Layer(0).const_data_ptr(), cache.Layer(1).const_data_ptr());
  KvCache::Shape smaller = kShape;
  smaller.layers = 2;
  smaller.rows = 3;
  for (const KvCache::Shape& shape : {kShape, smaller, kShape}) {
    EXPECT_FALSE(cache.Reserve(shape, at::kFloat));
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
  EXPECT_TRUE(cache.Reserve(longer, at::kFloat));
  EXPECT_EQ(cache.Layer(2).sizes(), (at::IntArrayRef{2, 2, 9, 4, 6}));
  longer.layers = 4;
  EXPECT_TRUE(cache.Reserve(longer, at::kFloat));
  EXPECT_TRUE(cache.Reserve(longer, at::kBFloat16));
  EXPECT_EQ(cache.Layer(2).scalar_type(), at::kBFloat16);
}

TEST(KvCacheTest, OneLayerIsSharedByAll) {
  KvCache cache;
  KvCache::Shape shared = kShape;
  shared.layers = 1;
  cache.Reserve(shared, at::kFloat);
  EXPECT_EQ(cache.Layer(0).const_data_ptr(), cache.Layer(17).const_data_ptr());
}

TEST(KvCacheTest, FreeGivesTheMemoryBack) {
  KvCache cache;
  cache.Reserve(kShape, at::kFloat);
  cache.Free();
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace tessera
