#include "worker/kernels/cuda/cuda_library.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gpu.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(CudaLibraryTest, GpuHasAName) {
  TESSERA_SKIP_WITHOUT_GPU();
  const absl::StatusOr<std::string> name = CudaDeviceName(0);
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_THAT(*name, HasSubstr("NVIDIA"));
}

TEST(CudaLibraryTest, Float32IsNotTf32) {
  TESSERA_SKIP_WITHOUT_GPU();
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
}

// With a GPU or without: there are never that many.
TEST(CudaLibraryTest, SaysWhatIsMissing) {
  const absl::Status status = LoadCuda(100);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("unknown")));
}

}  // namespace
}  // namespace tessera
