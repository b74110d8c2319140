#include "worker/weights/weight_uploader.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <tuple>
#include <vector>

#include "tests/support/temp_dir.h"
#include "worker/weights/safetensors_file.h"
#include "worker/weights/safetensors_writer.h"

namespace tessera {
namespace {

// (stored type, compute type)
class WeightUploaderTest
    : public ::testing::TestWithParam<std::tuple<at::ScalarType, at::ScalarType>> {};

// Buffers of 40 bytes: less than a row, and no tensor's size is a multiple of them.
TEST_P(WeightUploaderTest, EqualsAPlainCopyByteForByte) {
  const auto [stored_type, compute_type] = GetParam();
  WeightUploader uploader(at::kCPU, /*buffer_bytes=*/40);
  const std::vector<std::vector<int64_t>> shapes = {{7, 13}, {1}, {0, 4}, {}, {3, 2, 3, 3}, {40}};
  for (const std::vector<int64_t>& shape : shapes) {
    const at::Tensor stored = at::randn(shape).to(stored_type);
    const at::Tensor uploaded = uploader.Upload(stored, compute_type);
    EXPECT_EQ(uploaded.scalar_type(), compute_type);
    EXPECT_TRUE(at::equal(uploaded, stored.to(compute_type)));
    EXPECT_FALSE(uploaded.is_alias_of(stored));
  }
  uploader.Finish();
}

INSTANTIATE_TEST_SUITE_P(StoredAndComputeType, WeightUploaderTest,
                         ::testing::Combine(::testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                                            ::testing::Values(at::kFloat, at::kHalf,
                                                              at::kBFloat16)),
                         [](const auto& param_info) {
                           return SafetensorsDtype(std::get<0>(param_info.param)) + "To" +
                                  SafetensorsDtype(std::get<1>(param_info.param));
                         });

TEST(WeightUploaderTest, SurvivesAFileThatShrinks) {
  const testing::TempDir dir;
  const std::string path = dir / "model.safetensors";
  ASSERT_TRUE(WriteSafetensors(path, {{"w", at::ones({100'000})}}).ok());
  const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Open(path);
  const at::Tensor stored = file->Read("w").value();
  std::filesystem::resize_file(path, 200'000);
  WeightUploader uploader(at::kCPU, /*buffer_bytes=*/4096);
  EXPECT_LT(uploader.Upload(stored, at::kBFloat16).to(at::kFloat).sum().item<float>(), 60'000);
  EXPECT_EQ(file->file().Check().code(), absl::StatusCode::kDataLoss);
}

TEST(WeightUploaderTest, FillsItsBuffersAgainAndAgain) {
  WeightUploader uploader(at::kCPU, /*buffer_bytes=*/4096);
  const at::Tensor stored = at::arange(100'000, at::kFloat);
  const at::Tensor fp8 = stored.remainder(127).to(at::kFloat8_e4m3fn);
  EXPECT_TRUE(at::equal(uploader.Upload(stored, at::kFloat), stored));
  EXPECT_TRUE(
      at::equal(uploader.Upload(fp8, at::kFloat8_e4m3fn).view(at::kByte), fp8.view(at::kByte)));
  EXPECT_TRUE(at::equal(uploader.Upload(stored, at::kHalf), stored.to(at::kHalf)));
}

}  // namespace
}  // namespace tessera
