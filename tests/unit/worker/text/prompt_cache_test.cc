#include "worker/text/prompt_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

constexpr size_t kTensorBytes = 400;
constexpr size_t kEntryBytes = kTensorBytes + 1;  // and a key of one byte

PromptEmbedding Embedding(int clip_tokens) {
  PromptEmbedding embedding;
  embedding.text = at::zeros({1, 10, 9});
  embedding.pooled = at::zeros({1, 10});
  embedding.clip_tokens = clip_tokens;
  return embedding;
}

TEST(PromptCacheTest, ReturnsWhatWasPut) {
  PromptCache cache(10 * kEntryBytes);
  EXPECT_EQ(cache.Get("a"), nullptr);
  cache.Put("a", Embedding(1));
  cache.Put("b", Embedding(2));
  ASSERT_NE(cache.Get("a"), nullptr);
  EXPECT_EQ(cache.Get("a")->clip_tokens, 1);
  EXPECT_EQ(cache.Get("b")->clip_tokens, 2);
  EXPECT_EQ(cache.bytes(), 2 * kEntryBytes);
}

TEST(PromptCacheTest, DropsTheLeastRecentlyUsed) {
  PromptCache cache(2 * kEntryBytes);
  cache.Put("a", Embedding(1));
  cache.Put("b", Embedding(2));
  cache.Get("a");
  cache.Put("c", Embedding(3));
  EXPECT_EQ(cache.Get("b"), nullptr);
  EXPECT_NE(cache.Get("a"), nullptr);
  EXPECT_NE(cache.Get("c"), nullptr);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.bytes(), 2 * kEntryBytes);
}

TEST(PromptCacheTest, OneLargeEntryDropsSeveral) {
  PromptCache cache(3 * kEntryBytes);
  for (const char* key : {"a", "b", "c"}) cache.Put(key, Embedding(1));
  PromptEmbedding large = Embedding(9);
  large.text = at::zeros({1, 15, 10});
  cache.Put("d", large);
  EXPECT_EQ(cache.Get("a"), nullptr);
  EXPECT_EQ(cache.Get("b"), nullptr);
  EXPECT_NE(cache.Get("c"), nullptr);
  EXPECT_EQ(cache.Get("d")->clip_tokens, 9);
  EXPECT_LE(cache.bytes(), 3 * kEntryBytes);
}

TEST(PromptCacheTest, WhatNeverFitsIsNotKept) {
  PromptCache cache(kEntryBytes);
  cache.Put("a", Embedding(1));
  cache.Put("bb", Embedding(2));
  EXPECT_EQ(cache.Get("bb"), nullptr);
  EXPECT_NE(cache.Get("a"), nullptr);
}

TEST(PromptCacheTest, ASecondPutReplacesTheFirst) {
  PromptCache cache(2 * kEntryBytes);
  cache.Put("a", Embedding(1));
  cache.Put("a", Embedding(2));
  EXPECT_EQ(cache.Get("a")->clip_tokens, 2);
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_EQ(cache.bytes(), kEntryBytes);
}

}  // namespace
}  // namespace tessera
