#pragma once

#include <grpcpp/channel.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/supervisor/child_process.h"
#include "tessera/v1/image_service.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace tessera::testing {

// How long anything under test may take: a limit for what hangs, not a measure.
inline constexpr std::chrono::seconds kLivenessLimit{60};

struct ServiceProcessOptions {
  int spawn_workers = 0;  // 0: workers dial in, see WorkerProcess; `flags` say how many
  std::string model;      // empty: tests/reference/tiny-flux
  int port = 0;           // 0: any
  int worker_port = 0;    // 0: any
  std::string log;        // file for standard error; empty: one that Log() reads
  std::vector<std::string> flags;
};

// A real tessera-server that has spawned real workers of tests/reference/tiny-flux on the CPU, one
// thread each, on free ports of loopback. A server that does not start ends the test program.
// Killed with the object, its workers too; when the test has failed, its log is printed then. One
// thread constructs and destroys it; the rest is thread-safe.
class ServiceProcess {
 public:
  // Returns once the service is SERVING. `flags` go to tessera-server besides its own.
  explicit ServiceProcess(int workers, const std::vector<std::string>& flags = {});
  // Returns once it listens.
  explicit ServiceProcess(const ServiceProcessOptions& options);
  ~ServiceProcess();
  ServiceProcess(const ServiceProcess&) = delete;
  ServiceProcess& operator=(const ServiceProcess&) = delete;

  const std::string& address() const { return address_; }
  int port() const { return port_; }
  int worker_port() const { return worker_port_; }
  v1::ImageService::Stub& stub() const { return *stub_; }
  pid_t pid() const { return process_.pid; }

  v1::GetServerInfoResponse Info() const;

  // Asks for the server's info until `holds` does; a test failure that says `what` when it does not
  // within the limit, or the server ends.
  using Condition = std::function<bool(const v1::GetServerInfoResponse& info)>;
  v1::GetServerInfoResponse AwaitInfo(const std::string& what, const Condition& holds) const;

  // Waits until a whole group answers heartbeats.
  void AwaitServing() const;

  // The process id of a rank of the current epoch; a test failure when there is none.
  pid_t WorkerPid(int rank) const;

  // SIGTERM or SIGKILL to the server.
  void Signal(int number) const;
  // Waits for the server's end: "exit code 0", "signal 9 (Killed)". Once.
  std::string AwaitEnd();

  // What server and workers have written to standard error.
  std::string Log() const { return folder_.Read(kLogName); }

 private:
  static constexpr char kLogName[] = "log";

  void Start(const ServiceProcessOptions& options);
  void AwaitPortFile(int inotify_fd) const;
  // Whether the server has ended, or does within `wait`.
  bool EndsWithin(std::chrono::milliseconds wait) const;
  // For when there is nothing left to test.
  [[noreturn]] void GiveUp(const std::string& why) const;

  const TempDir folder_;
  ChildProcess process_;  // its pid is -1 once reaped
  int port_ = 0;
  int worker_port_ = 0;
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ImageService::Stub> stub_;
};

// The only group's.
inline const v1::GroupDescription& GroupOf(const v1::GetServerInfoResponse& info) {
  return info.groups(0);
}

}  // namespace tessera::testing
