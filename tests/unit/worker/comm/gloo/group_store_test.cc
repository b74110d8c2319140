#include "worker/comm/gloo/group_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>

#include <string>

#include "common/base/unique_fd.h"
#include "worker/comm/gloo/scoped_no_dns.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

// Takes the place of the name servers of the thread that creates it, and never answers.
class SilentNameServer {
 public:
  SilentNameServer() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_.get(), generic, length), 0);
    EXPECT_EQ(getsockname(socket_.get(), generic, &length), 0);
    EXPECT_EQ(res_ninit(&_res), 0);
    _res.nscount = 1;
    _res.nsaddr_list[0] = address;
    _res.retrans = 1;  // seconds
    _res.retry = 1;
  }
  ~SilentNameServer() { res_nclose(&_res); }

  bool WasAsked() const {
    char byte = 0;
    return recv(socket_.get(), &byte, 1, MSG_DONTWAIT) >= 0;
  }

 private:
  const UniqueFd socket_{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

// Looks up the name of an address set aside for documentation, which no hosts file holds.
int LookUpName() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0xC0000201);  // 192.0.2.1
  char name[NI_MAXHOST];
  return getnameinfo(reinterpret_cast<sockaddr*>(&address), sizeof(address), name, sizeof(name),
                     nullptr, 0, NI_NAMEREQD);
}

TEST(DnsPauseTest, AsksNoNameServerWhileItLives) {
  const SilentNameServer server;
  {
    const ScopedNoDns no_dns;
    EXPECT_NE(LookUpName(), 0);
    EXPECT_FALSE(server.WasAsked());
  }
  EXPECT_NE(LookUpName(), 0);
  EXPECT_TRUE(server.WasAsked());
}

TEST(GroupStoreTest, NeitherHostNorClientAsksANameServer) {
  const SilentNameServer server;
  const auto host = GroupStore::Host("127.0.0.1");
  ASSERT_TRUE(host.ok()) << host.status();
  const auto client = GroupStore::Connect("127.0.0.1", (*host)->port(), DeadlineIn(20));
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_FALSE(server.WasAsked());
}

TEST(GroupStoreTest, NamesTheAddressThatCannotBeResolved) {
  const auto host = GroupStore::Host("no address");
  EXPECT_THAT(std::string(host.status().message()), HasSubstr("'no address'"));
  const auto client = GroupStore::Connect("no address", 1, DeadlineIn(1));
  EXPECT_THAT(std::string(client.status().message()), HasSubstr("rank 0 was lost"));
  EXPECT_THAT(std::string(client.status().message()), HasSubstr("'no address'"));
}

}  // namespace
}  // namespace tessera
