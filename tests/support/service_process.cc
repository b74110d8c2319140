#include "tests/support/service_process.h"

#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace tessera::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr char kPortsName[] = "ports";
constexpr milliseconds kBetweenAsking{5};

int Milliseconds(milliseconds duration) { return static_cast<int>(duration.count()); }

}  // namespace

ServiceProcess::ServiceProcess(int workers, const std::vector<std::string>& flags)
    : ServiceProcess({.spawn_workers = workers, .flags = flags}) {
  AwaitServing();
}

ServiceProcess::ServiceProcess(const ServiceProcessOptions& options) {
  Start(options);
  const std::string ports = folder_.Read(kPortsName);
  if (std::sscanf(ports.c_str(), "listen=%d worker_listen=%d", &port_, &worker_port_) != 2) {
    GiveUp("its port file is no good");
  }
  address_ = absl::StrCat("127.0.0.1:", port_);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // knows no earlier server of this port
  channel_ = grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  stub_ = v1::ImageService::NewStub(channel_);
}

ServiceProcess::~ServiceProcess() {
  if (process_.pid > 0) {
    Signal(SIGKILL);
    ReapChild(process_);
  }
  if (::testing::Test::HasFailure()) {
    std::fprintf(stderr, "--- log of tessera-server ---\n%s---\n", Log().c_str());
  }
}

void ServiceProcess::Start(const ServiceProcessOptions& options) {
  const UniqueFd ports_watch(inotify_init1(IN_CLOEXEC));
  inotify_add_watch(ports_watch.get(), folder_.path().c_str(), IN_MOVED_TO);
  const auto address = [](int port) { return absl::StrCat("127.0.0.1:", port); };
  ChildCommand command = {
      .binary = "/bin/sh",
      .args = {"-c", "log=$1; shift; exec \"$@\" 2>\"$log\"", "sh",
               options.log.empty() ? folder_ / kLogName : options.log, TESSERA_SERVER_PROGRAM,
               "--model", options.model.empty() ? TESSERA_TINY_FLUX_DIR : options.model, "--device",
               "cpu", "--spawn-workers", absl::StrCat(options.spawn_workers), "--threads", "1",
               "--listen", address(options.port), "--worker-listen", address(options.worker_port),
               "--port-file", folder_ / kPortsName},
      .environment = {}};
  command.args.insert(command.args.end(), options.flags.begin(), options.flags.end());
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  absl::StatusOr<ChildProcess> started = StartChild(command, null.get());
  if (!started.ok()) GiveUp(std::string(started.status().message()));
  process_ = *std::move(started);
  AwaitPortFile(ports_watch.get());
}

void ServiceProcess::AwaitPortFile(int inotify_fd) const {
  std::array<pollfd, 2> ready = {{{.fd = inotify_fd, .events = POLLIN, .revents = 0},
                                  {.fd = process_.pidfd.get(), .events = POLLIN, .revents = 0}}};
  poll(ready.data(), ready.size(), Milliseconds(kLivenessLimit));
  if (ready[0].revents == 0) GiveUp("it wrote no port file");
}

void ServiceProcess::AwaitServing() const {
  using grpc::health::v1::HealthCheckResponse;
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + kLivenessLimit);
  context.set_wait_for_ready(true);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(v1::ImageService::service_full_name());
  const auto stub = grpc::health::v1::Health::NewStub(channel_);
  const auto states = stub->Watch(&context, request);
  HealthCheckResponse state;
  while (state.status() != HealthCheckResponse::SERVING) {
    if (!states->Read(&state)) GiveUp("it is not SERVING: " + states->Finish().error_message());
  }
  context.TryCancel();
}

v1::GetServerInfoResponse ServiceProcess::Info() const {
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + kLivenessLimit);
  v1::GetServerInfoResponse info;
  const grpc::Status status = stub_->GetServerInfo(&context, {}, &info);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return info;
}

v1::GetServerInfoResponse ServiceProcess::AwaitInfo(const std::string& what,
                                                    const Condition& holds) const {
  const auto limit = system_clock::now() + kLivenessLimit;
  v1::GetServerInfoResponse info = Info();
  while (!holds(info)) {
    if (EndsWithin(kBetweenAsking) || system_clock::now() > limit) {
      ADD_FAILURE() << what << ": did not come about; " << info.ShortDebugString();
      break;
    }
    info = Info();
  }
  return info;
}

pid_t ServiceProcess::WorkerPid(int rank) const {
  const v1::GetServerInfoResponse info = Info();
  for (const v1::WorkerDescription& worker : GroupOf(info).workers()) {
    if (worker.rank() == rank) return static_cast<pid_t>(worker.pid());
  }
  GiveUp(absl::StrCat("it has no rank ", rank, ": ", info.ShortDebugString()));
}

void ServiceProcess::Signal(int number) const { SendSignal(process_, number); }

std::string ServiceProcess::AwaitEnd() {
  if (!EndsWithin(kLivenessLimit)) GiveUp("it does not end");
  const std::string how = ReapChild(process_);
  process_.pid = -1;
  return how;
}

bool ServiceProcess::EndsWithin(milliseconds wait) const {
  pollfd ended = {.fd = process_.pidfd.get(), .events = POLLIN, .revents = 0};
  return poll(&ended, 1, Milliseconds(wait)) > 0;
}

void ServiceProcess::GiveUp(const std::string& why) const {
  if (process_.pid > 0) SendSignal(process_, SIGKILL);
  std::fprintf(stderr, "tessera-server: %s\n--- its log ---\n%s---\n", why.c_str(), Log().c_str());
  std::exit(EXIT_FAILURE);
}

}  // namespace tessera::testing
