#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "common/model/checkpoint_folder.h"
#include "tests/support/golden.h"
#include "worker/text/clip_encoder.h"
#include "worker/text/t5_encoder.h"
#include "worker/weights/safetensors_file.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera {
namespace {

using testing::CheckpointCopy;
using ::testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

class EncodersTest : public ::testing::Test {
 protected:
  EncodersTest() { options_.cache_dir = cache_.path(); }

  Tensors Read(const std::string& part) const {
    const auto file = SafetensorsFile::Open(checkpoint_.dir() + "/" + part + "/model.safetensors");
    EXPECT_TRUE(file.ok()) << file.status();
    Tensors tensors;
    for (const auto& [name, info] : file->tensors()) tensors[name] = file->Read(name)->clone();
    return tensors;
  }

  void Write(const std::string& part, const Tensors& tensors) const {
    const std::string path = checkpoint_.dir() + "/" + part + "/model.safetensors";
    std::filesystem::remove(path);
    ASSERT_TRUE(WriteSafetensors(path, tensors).ok());
  }

  ClipEncoder Clip(const std::string& model_dir) const {
    absl::StatusOr<ClipEncoder> encoder = ClipEncoder::Load(CheckpointFolder(model_dir), options_);
    EXPECT_TRUE(encoder.ok()) << encoder.status();
    return *std::move(encoder);
  }

  T5Encoder T5(const std::string& model_dir) const {
    absl::StatusOr<T5Encoder> encoder = T5Encoder::Load(CheckpointFolder(model_dir), options_);
    EXPECT_TRUE(encoder.ok()) << encoder.status();
    return *std::move(encoder);
  }

  static at::Tensor Ids() { return at::arange(3, 23, at::kLong).unsqueeze(0); }

  const c10::InferenceMode inference_;
  const testing::TempDir cache_;
  const CheckpointCopy checkpoint_;
  WeightOptions options_;
};

TEST_F(EncodersTest, ClipKeysWithoutPrefix) {
  Tensors bare;
  for (const auto& [name, tensor] : Read("text_encoder")) {
    ASSERT_EQ(name.rfind("text_model.", 0), 0U);
    bare[name.substr(std::string("text_model.").size())] = tensor;
  }
  Write("text_encoder", bare);
  EXPECT_TRUE(
      at::equal(Clip(checkpoint_.dir()).Hidden(Ids()), Clip(testing::TinyFluxDir()).Hidden(Ids())));
}

TEST_F(EncodersTest, ClipPositionIdsAreIgnored) {
  Tensors tensors = Read("text_encoder");
  tensors["text_model.embeddings.position_ids"] = at::arange(77, at::kLong).unsqueeze(0);
  Write("text_encoder", tensors);
  EXPECT_TRUE(ClipEncoder::Load(CheckpointFolder(checkpoint_.dir()), options_).ok());
}

TEST_F(EncodersTest, ClipSeesNoLaterToken) {
  const ClipEncoder encoder = Clip(testing::TinyFluxDir());
  at::Tensor ids = Ids().clone();
  const at::Tensor before = encoder.Hidden(ids);
  ids[0][10] = 100;
  const at::Tensor after = encoder.Hidden(ids);
  EXPECT_TRUE(at::allclose(before.narrow(1, 0, 10), after.narrow(1, 0, 10)));
  EXPECT_FALSE(at::allclose(before.narrow(1, 10, 10), after.narrow(1, 10, 10)));
}

TEST_F(EncodersTest, ClipActivationsDiffer) {
  const at::Tensor quick = Clip(checkpoint_.dir()).Hidden(Ids());
  checkpoint_.EditJson("text_encoder/config.json", R"({"hidden_act": "gelu"})");
  const at::Tensor exact = Clip(checkpoint_.dir()).Hidden(Ids());
  EXPECT_FALSE(at::allclose(quick, exact, 1e-3, 1e-3));
  EXPECT_TRUE(at::allclose(quick, exact, 0.3, 0.3));
}

TEST_F(EncodersTest, ClipPoolsTheFirstOfTheLargestIdOrOfTheEndToken) {
  ClipEncoder encoder;
  encoder.config.eos_token_id = 2;
  EXPECT_EQ(encoder.PoolPosition({5, 2, 9, 1, 9}), 2);
  encoder.config.eos_token_id = 1;
  EXPECT_EQ(encoder.PoolPosition({5, 2, 9, 1, 1}), 3);
  encoder.config.eos_token_id = 8;
  EXPECT_EQ(encoder.PoolPosition({5, 2, 9}), 0);
}

class T5EmbeddingNameTest : public EncodersTest,
                            public ::testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(T5EmbeddingNameTest, IsAccepted) {
  Tensors tensors = Read("text_encoder_2");
  const at::Tensor embedding = tensors.at("shared.weight");
  tensors.erase("shared.weight");
  tensors.erase("encoder.embed_tokens.weight");
  for (const std::string& name : GetParam()) tensors[name] = embedding.clone();
  Write("text_encoder_2", tensors);
  EXPECT_TRUE(
      at::equal(T5(checkpoint_.dir()).Encode(Ids()), T5(testing::TinyFluxDir()).Encode(Ids())));
}

INSTANTIATE_TEST_SUITE_P(Names, T5EmbeddingNameTest,
                         ::testing::Values(std::vector<std::string>{"shared.weight"},
                                           std::vector<std::string>{"encoder.embed_tokens.weight"},
                                           std::vector<std::string>{
                                               "shared.weight", "encoder.embed_tokens.weight"}));

TEST_F(EncodersTest, T5BiasFollowsTheLength) {
  T5Encoder encoder = T5(testing::TinyFluxDir());
  const at::Tensor first = encoder.Encode(Ids());
  EXPECT_EQ(encoder.Encode(Ids().narrow(1, 0, 7)).size(1), 7);
  EXPECT_TRUE(at::equal(encoder.Encode(Ids()), first));
}

TEST_F(EncodersTest, T5BucketsOfOtherSizes) {
  T5Config config;
  config.relative_attention_num_buckets = 8;
  config.relative_attention_max_distance = 16;
  // half 4, exact 2: distances 0 and 1 alone, 2 .. 5 and 6 .. share a bucket.
  const at::Tensor buckets = T5DistanceBuckets(9, config);
  EXPECT_TRUE(at::equal(buckets,
                        at::tensor({3, 3, 3, 2, 2, 2, 2, 1, 0, 5, 6, 6, 6, 6, 7, 7, 7}, at::kLong)))
      << buckets;
}

TEST_F(EncodersTest, EveryWrongTensorIsNamed) {
  Tensors tensors = Read("text_encoder_2");
  tensors.erase("encoder.final_layer_norm.weight");
  tensors["encoder.block.0.layer.0.SelfAttention.q.weight"] = at::zeros({3, 3});
  tensors["decoder.weight"] = at::zeros({1});
  Write("text_encoder_2", tensors);
  const auto encoder = T5Encoder::Load(CheckpointFolder(checkpoint_.dir()), options_);
  const std::string message(encoder.status().message());
  EXPECT_EQ(encoder.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message, HasSubstr("encoder.final_layer_norm.weight"));
  EXPECT_THAT(message, HasSubstr("SelfAttention.q.weight"));
  EXPECT_THAT(message, HasSubstr("decoder.weight"));
}

TEST_F(EncodersTest, EncodersOfOtherSizesNeedTheirConfig) {
  checkpoint_.EditJson("text_encoder/config.json", R"({"intermediate_size": 65})");
  EXPECT_THAT(
      std::string(
          ClipEncoder::Load(CheckpointFolder(checkpoint_.dir()), options_).status().message()),
      HasSubstr("fc1"));
}

class HalfT5Test : public EncodersTest {
 protected:
  // Multiplies one weight of the checkpoint, so that its layer's sums leave float16's range.
  void Scale(const std::string& name, double factor) const {
    Tensors tensors = Read("text_encoder_2");
    tensors.at(name).mul_(factor);
    Write("text_encoder_2", tensors);
  }

  at::Tensor Encode(at::ScalarType dtype) {
    options_.dtype = dtype;
    return T5(checkpoint_.dir()).Encode(Ids());
  }
};

TEST_F(HalfT5Test, StaysNearFloat32) {
  const at::Tensor half = Encode(at::kHalf);
  EXPECT_EQ(half.scalar_type(), at::kHalf);
  EXPECT_LT((half.to(at::kFloat) - Encode(at::kFloat)).abs().max().item<double>(), 0.02);
}

TEST_F(HalfT5Test, SumsBehindAttentionAreClamped) {
  Scale("encoder.block.0.layer.0.SelfAttention.v.weight", 1e3);
  Scale("encoder.block.0.layer.0.SelfAttention.o.weight", 1e4);
  EXPECT_TRUE(at::isfinite(Encode(at::kHalf)).all().item<bool>());
}

TEST_F(HalfT5Test, TheFeedForwardEndsInFloat32) {
  Scale("encoder.block.0.layer.1.DenseReluDense.wo.weight", 5e4);
  const at::Tensor half = Encode(at::kHalf).to(at::kFloat);
  // Only float32 keeps apart what is far above float16's range.
  EXPECT_LT((half - Encode(at::kFloat)).abs().max().item<double>(), 0.02);
}

}  // namespace
}  // namespace tessera
