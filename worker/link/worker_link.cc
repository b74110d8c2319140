#include "worker/link/worker_link.h"

#include <grpcpp/create_channel.h>
#include <unistd.h>

#include <random>
#include <thread>
#include <utility>

#include "common/base/backoff.h"
#include "common/base/sleep.h"
#include "common/base/status_macros.h"
#include "common/wire/link_conversion.h"
#include "spdlog/spdlog.h"
#include "worker/link/local_address.h"

namespace tessera {
namespace {

namespace pb = internal::v1;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  // A server that is stopped or unplugged closes nothing: keepalive finds it.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The link never goes through the proxy that http_proxy or grpc_proxy may name.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A channel a session, sharing nothing: the link's own backoff is the only one.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

bool IsRefusal(grpc::StatusCode code) {
  return code == grpc::StatusCode::UNAUTHENTICATED || code == grpc::StatusCode::PERMISSION_DENIED ||
         code == grpc::StatusCode::INVALID_ARGUMENT ||
         code == grpc::StatusCode::FAILED_PRECONDITION || code == grpc::StatusCode::UNIMPLEMENTED;
}

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

WorkerLink::WorkerLink(WorkerLinkOptions options, std::unique_ptr<Engine> engine)
    : options_(std::move(options)), device_(std::move(engine)) {}

absl::Status WorkerLink::Run(const std::stop_token& stop) {
  Backoff backoff(options_.first_backoff_s, options_.max_backoff_s, std::random_device()());
  while (!stop.stop_requested()) {
    TESSERA_ASSIGN_OR_RETURN(const SessionEnd end, RunSession(stop));
    if (end == SessionEnd::kLeave) break;
    if (end == SessionEnd::kLostAfterWelcome) backoff.Reset();
    SleepFor(backoff.NextS(), stop);
  }
  return absl::OkStatus();
}

absl::StatusOr<WorkerLink::SessionEnd> WorkerLink::RunSession(const std::stop_token& stop) {
  std::string address = options_.advertised_address;
  if (address.empty()) {
    absl::StatusOr<std::string> local = LocalAddressTowards(options_.server);
    if (absl::IsInvalidArgument(local.status())) return local.status();
    if (!local.ok()) {
      spdlog::warn("event=server_lost server={} why=\"{}\"", options_.server,
                   local.status().ToString());
      return SessionEnd::kLost;
    }
    address = *std::move(local);
  }

  grpc::ClientContext context;
  context.AddMetadata("x-tessera-token", options_.token);
  const std::stop_callback cancel(stop, [&] { context.TryCancel(); });
  const auto stub = pb::WorkerLink::NewStub(MakeChannel(options_.server));
  const std::unique_ptr<Stream> stream = stub->Connect(&context);

  Outbox outbox;
  outbox.Add(MakeRegister(address));
  device_.BeginSession(address,
                       [&](pb::ConnectRequest message) { outbox.Add(std::move(message)); });
  std::jthread writer([&] {
    while (const std::optional<pb::ConnectRequest> message = outbox.Take()) {
      if (!stream->Write(*message)) break;
    }
  });
  const SessionEnd end = ReadUntilLost(*stream, outbox);
  device_.EndSession("the link to the server was lost");
  outbox.Close();
  if (end == SessionEnd::kLeave) context.TryCancel();  // a write may be waiting for the server
  writer.join();

  const grpc::Status status = stream->Finish();
  if (IsRefusal(status.error_code())) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  if (end != SessionEnd::kLeave && !stop.stop_requested()) {
    spdlog::warn("event=server_lost server={} why=\"{}\"", options_.server, status.error_message());
  }
  return end;
}

WorkerLink::SessionEnd WorkerLink::ReadUntilLost(Stream& stream, Outbox& outbox) {
  SessionEnd end = SessionEnd::kLost;
  pb::ConnectResponse message;
  while (stream.Read(&message)) {
    if (message.has_welcome()) {
      end = SessionEnd::kLostAfterWelcome;
      spdlog::info("event=registered server={} worker_id={}", options_.server,
                   message.welcome().worker_id());
    } else if (message.has_ping()) {
      outbox.Add(MakeHeartbeat(message.ping()));
    } else if (message.has_leave()) {
      spdlog::info("event=leave why=\"{}\"", message.leave().reason());
      return SessionEnd::kLeave;
    } else {
      device_.Handle(std::move(message));
    }
  }
  return end;
}

pb::ConnectRequest WorkerLink::MakeHeartbeat(const pb::Ping& ping) {
  const DeviceThread::Attempts attempts = device_.attempts();
  pb::ConnectRequest message;
  pb::Heartbeat& heartbeat = *message.mutable_heartbeat();
  heartbeat.set_number(ping.number());
  heartbeat.set_device_thread_silent_ms(device_.SilentMs());
  heartbeat.set_attempts_succeeded(attempts.succeeded);
  heartbeat.set_attempts_stopped(attempts.stopped);
  heartbeat.set_attempts_failed(attempts.failed);
  return message;
}

pb::ConnectRequest WorkerLink::MakeRegister(const std::string& address) const {
  const Engine& engine = device_.engine();
  pb::ConnectRequest message;
  pb::Register& registration = *message.mutable_register_();
  registration.set_name(options_.name);
  registration.set_build(TESSERA_VERSION);
  registration.set_device(options_.device);
  registration.set_device_kind(engine.device_kind());
  registration.set_dtype(engine.dtype());
  registration.set_threads(engine.threads());
  registration.set_pid(getpid());
  registration.set_host(HostName());
  registration.set_advertised_address(address);
  *registration.mutable_model() = ToProto(engine.model());
  registration.set_supervised_index(options_.supervised_index);
  registration.set_text_encoder(options_.text_encoder);
  *registration.mutable_job_memory() = ToProto(engine.job_memory());
  return message;
}

}  // namespace tessera
