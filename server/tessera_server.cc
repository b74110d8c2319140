#include "server/tessera_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <mutex>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.pb.h"
#include "spdlog/spdlog.h"

namespace tessera {
namespace {

constexpr int kMaxRequestBytes = 256 << 10;
constexpr int kMaxLinkMessageBytes = 2 << 20;  // a PixelChunk has at most 1 MiB
// A client that vanished without closing its connection is found within their sum.
constexpr int kKeepaliveTimeMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kMinClientPingIntervalMs = 20'000;  // lets clients keep alive every 30 s

constexpr int kMinWorkerPingIntervalMs = 5'000;

// A few hundred kilobytes of compressed zeros would take hundreds of megabytes before any limit on
// a message's size is looked at.
void RefuseCompression(grpc::ServerBuilder& builder) {
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
}

// gRPC's default health service and reflection are switched on for the whole process.
void RegisterPlugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::health::v1::HealthCheckRequest::descriptor();  // links it, for reflection to describe
  });
}

std::shared_ptr<grpc::ServerCredentials> PublicCredentials(const std::optional<TlsOptions>& tls) {
  if (!tls.has_value()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      tls->client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                             : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls->client_ca;
  options.pem_key_cert_pairs.push_back({tls->private_key, tls->certificate_chain});
  return grpc::SslServerCredentials(options);
}

uint32_t DrawSeed() { return std::random_device()(); }

}  // namespace

absl::StatusOr<std::unique_ptr<TesseraServer>> TesseraServer::Start(TesseraServerOptions options) {
  RegisterPlugins();
  std::unique_ptr<TesseraServer> server(new TesseraServer(std::move(options)));
  const absl::Status started = server->StartListeners();
  if (!started.ok()) return started;
  return server;
}

TesseraServer::TesseraServer(TesseraServerOptions options)
    : options_(std::move(options)),
      loop_(clock_),
      core_(options_.core, clock_, loop_, options_.model, options_.launcher, DrawSeed,
            [this](bool ready) { SetServing(ready); }),
      image_service_(core_, clock_, options_.max_unary_reply_bytes),
      worker_link_service_(core_, options_.worker_token) {}

TesseraServer::~TesseraServer() { Stop(); }

absl::Status TesseraServer::StartListeners() {
  const absl::Status public_started = StartPublic();
  if (!public_started.ok()) return public_started;
  SetServing(false);
  const absl::Status link_started = StartWorkerLink();
  if (!link_started.ok()) return link_started;
  loop_thread_ = std::jthread([this] { loop_.Run(); });
  return absl::OkStatus();
}

absl::Status TesseraServer::StartPublic() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options_.listen, PublicCredentials(options_.tls), &port_);
  builder.RegisterService(&image_service_);
  RefuseCompression(builder);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinClientPingIntervalMs);
  public_server_ = builder.BuildAndStart();
  if (public_server_ != nullptr && port_ != 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", options_.listen,
                   options_.tls.has_value() ? " (or the TLS certificate or key is no good)" : ""));
}

absl::Status TesseraServer::StartWorkerLink() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options_.worker_listen, grpc::InsecureServerCredentials(),
                           &worker_port_);
  builder.RegisterService(&worker_link_service_);
  RefuseCompression(builder);
  builder.SetMaxReceiveMessageSize(kMaxLinkMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinWorkerPingIntervalMs);
  worker_server_ = builder.BuildAndStart();
  if (worker_server_ != nullptr && worker_port_ != 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", options_.worker_listen, " for workers"));
}

void TesseraServer::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = public_server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  health->SetServingStatus(v1::ImageService::service_full_name(), serving);
  spdlog::info("event=health serving={}", serving);
}

void TesseraServer::Drain(absl::AnyInvocable<void()> drained) {
  public_server_->GetHealthCheckService()->Shutdown();  // NOT_SERVING, for good
  core_.Drain(std::move(drained));
}

void TesseraServer::Stop() {
  if (!loop_thread_.joinable()) return;
  const auto deadline =
      std::chrono::system_clock::now() +
      std::chrono::milliseconds(static_cast<int64_t>(options_.shutdown_grace_s * 1000));
  public_server_->GetHealthCheckService()->Shutdown();
  core_.Drain([] {});
  core_.FailAll();
  public_server_->Shutdown(deadline);
  core_.DismissWorkers("the server stops");
  worker_server_->Shutdown(deadline);
  loop_.Stop();
  loop_thread_.join();
}

}  // namespace tessera
