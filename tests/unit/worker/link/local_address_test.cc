#include "worker/link/local_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(LocalAddressTest, IsLoopbackForAServerOnLoopback) {
  EXPECT_EQ(LocalAddressTowards("127.0.0.1:50052").value(), "127.0.0.1");
}

TEST(LocalAddressTest, RefusesAServerWithoutAPort) {
  for (const std::string server : {"example", "example:", ""}) {
    EXPECT_EQ(LocalAddressTowards(server).status().code(), absl::StatusCode::kInvalidArgument)
        << server;
  }
}

TEST(LocalAddressTest, NamesAServerThatCannotBeReached) {
  const absl::Status status = LocalAddressTowards("127.0.0.1:no-such-service").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), testing::HasSubstr("127.0.0.1:no-such-service"));
}

}  // namespace
}  // namespace tessera
