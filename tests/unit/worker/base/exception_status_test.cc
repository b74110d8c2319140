#include "worker/base/exception_status.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <new>
#include <stdexcept>
#include <string>

#include "worker/base/status_exception.h"

namespace tessera {
namespace {

template <typename Throwing>
absl::Status StatusOf(const Throwing& throwing) {
  return CatchExceptions([&]() -> absl::Status {
    throwing();
    return absl::OkStatus();
  });
}

TEST(ExceptionStatusTest, AFunctionThatDoesNotThrowGivesItsOwnStatus) {
  EXPECT_TRUE(StatusOf([] {}).ok());
  EXPECT_EQ(CatchExceptions([] { return absl::DataLossError("short"); }),
            absl::DataLossError("short"));
}

TEST(ExceptionStatusTest, AThrownStatusComesBack) {
  const absl::Status status = absl::UnavailableError("rank 2 is gone");
  EXPECT_EQ(StatusOf([&] { throw StatusException(status); }), status);
}

TEST(ExceptionStatusTest, ATorchErrorIsInternalWithoutItsStackTrace) {
  std::string expected;
  try {
    at::zeros({2, 3}).matmul(at::zeros({2, 3}));
  } catch (const c10::Error& error) {
    expected = error.what_without_backtrace();
    EXPECT_GT(std::string(error.what()).size(), expected.size());
  }
  EXPECT_EQ(StatusOf([] {
              at::zeros({2, 3}).matmul(at::zeros({2, 3}));
            }),
            absl::InternalError(expected));
}

TEST(ExceptionStatusTest, ADeviceWithoutMemoryIsExhausted) {
  EXPECT_EQ(StatusOf([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "no 2 GiB are free"); }),
            absl::ResourceExhaustedError("out of device memory: no 2 GiB are free"));
}

TEST(ExceptionStatusTest, AHostWithoutMemoryIsExhausted) {
  EXPECT_EQ(StatusOf([] { throw std::bad_alloc(); }),
            absl::ResourceExhaustedError("out of host memory"));
  const absl::Status status =
      StatusOf([] { at::empty({std::numeric_limits<int64_t>::max() / 8}, at::kByte); });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST(ExceptionStatusTest, AnythingElseIsInternal) {
  EXPECT_EQ(StatusOf([] { throw std::runtime_error("two\nlines"); }),
            absl::InternalError("two\nlines"));
  EXPECT_EQ(StatusOf([] { throw 42; }).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace tessera
