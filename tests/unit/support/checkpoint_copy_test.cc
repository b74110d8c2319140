#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/golden.h"
#include "tests/support/open_weights.h"

namespace tessera::testing {
namespace {

at::Tensor ReadOne(const std::string& dir) {
  auto reader = OpenWeights(dir + "/transformer", "diffusion_pytorch_model", {});
  return reader.value().Take("x_embedder.bias", {96});
}

TEST(CheckpointCopyTest, AlterTensorAddsAHalfToTheFirstHalfOfItAlone) {
  const CheckpointCopy copy;
  copy.AlterTensor("transformer", "x_embedder.bias");
  const at::Tensor change = ReadOne(copy.dir()) - ReadOne(TinyFluxDir());
  EXPECT_TRUE(at::allclose(change, at::cat({at::full({48}, 0.5), at::zeros({48})})));
  auto reader = OpenWeights(copy.dir() + "/vae", "diffusion_pytorch_model", {});
  EXPECT_TRUE(reader.ok()) << reader.status();
}

TEST(CheckpointCopyTest, RemoveTensorsKeepsTheOthersInOneFile) {
  const CheckpointCopy copy;
  copy.RemoveTensors("transformer", "x_embedder.");
  const auto open = [](const std::string& dir) {
    return OpenWeights(dir + "/transformer", "diffusion_pytorch_model", {}).value();
  };
  EXPECT_TRUE(open(TinyFluxDir()).Has("x_embedder.bias"));
  EXPECT_FALSE(open(copy.dir()).Has("x_embedder.bias"));
  EXPECT_TRUE(open(copy.dir()).Has("norm_out.linear.bias"));
}

TEST(CheckpointCopyTest, EditJsonSetsFieldsAndKeepsTheOthers) {
  const CheckpointCopy copy;
  copy.EditJson("transformer/config.json", R"({"guidance_embeds": false})");
  const auto config = nlohmann::json::parse(std::ifstream(copy.dir() + "/transformer/config.json"));
  EXPECT_EQ(config.at("guidance_embeds"), false);
  EXPECT_EQ(config.at("num_layers"), 2);
}

TEST(CheckpointCopyTest, LeavesNothingBehind) {
  std::string dir;
  {
    const CheckpointCopy copy;
    dir = copy.dir();
    ASSERT_TRUE(std::filesystem::exists(dir + "/model_index.json"));
  }
  EXPECT_FALSE(std::filesystem::exists(dir));
}

}  // namespace
}  // namespace tessera::testing
