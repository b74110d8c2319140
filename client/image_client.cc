#include "client/image_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/image_assembler.h"
#include "common/base/backoff.h"
#include "common/base/random_hex.h"
#include "common/base/sleep.h"
#include "common/base/status_macros.h"

namespace tessera {
namespace {

using std::chrono::duration;
using std::chrono::system_clock;

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const std::optional<ClientTls>& tls) {
  if (!tls.has_value()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({.pem_root_certs = tls->root_certificates,
                               .pem_private_key = tls->private_key,
                               .pem_cert_chain = tls->certificate_chain});
}

// Whether the server is on this machine, which no proxy has to reach.
bool IsLoopback(const std::string& server) {
  constexpr std::string_view kPrefixes[] = {"127.", "localhost:", "[::1]:", "unix:"};
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](std::string_view prefix) { return server.rfind(prefix, 0) == 0; });
}

std::shared_ptr<grpc::Channel> MakeChannel(const ImageClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);  // finds a server that vanished in mid-call
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  if (IsLoopback(options.server)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // the tries are ours
  return grpc::CreateCustomChannel(options.server, MakeCredentials(options.tls), arguments);
}

system_clock::time_point After(double seconds) {
  return system_clock::now() +
         std::chrono::duration_cast<system_clock::duration>(duration<double>(seconds));
}

ImageClientOptions Complete(ImageClientOptions options) {
  if (!options.wait) options.wait = SleepFor;
  return options;
}

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace

ImageClient::ImageClient(const ImageClientOptions& options)
    : ImageClient(options, MakeChannel(options)) {}

ImageClient::ImageClient(const ImageClientOptions& options,
                         const std::shared_ptr<grpc::Channel>& channel)
    : options_(Complete(options)),
      images_(v1::ImageService::NewStub(channel)),
      health_(grpc::health::v1::Health::NewStub(channel)) {}

absl::StatusOr<GeneratedImages> ImageClient::Generate(const v1::GenerateImageRequest& request,
                                                      const GenerateHooks& hooks,
                                                      const std::stop_token& stop) {
  v1::GenerateImageRequest identified = request;
  if (options_.max_tries > 1 && request.request_id().empty()) {
    identified.set_request_id(RandomHex());
  }
  GeneratedImages result;
  const auto generate = [&](grpc::ClientContext& context) {
    return GenerateOnce(context, identified, hooks, result);
  };
  TESSERA_RETURN_IF_ERROR(Call(generate, hooks.on_retry, stop));
  return result;
}

absl::StatusOr<v1::GetServerInfoResponse> ImageClient::GetServerInfo(const std::stop_token& stop) {
  v1::GetServerInfoResponse info;
  TESSERA_RETURN_IF_ERROR(Call(
      [&](grpc::ClientContext& context) { return images_->GetServerInfo(&context, {}, &info); }, {},
      stop));
  return info;
}

absl::Status ImageClient::CheckHealth(const std::stop_token& stop) {
  using grpc::health::v1::HealthCheckResponse;
  HealthCheckResponse response;
  const auto check = [&](grpc::ClientContext& context) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(v1::ImageService::service_full_name());
    return health_->Check(&context, request, &response);
  };
  TESSERA_RETURN_IF_ERROR(CallOnce(check, DeadlineOfCall(), stop).status);
  if (response.status() == HealthCheckResponse::SERVING) return absl::OkStatus();
  return absl::UnavailableError(HealthCheckResponse::ServingStatus_Name(response.status()));
}

ImageClient::Deadline ImageClient::DeadlineOfCall() const {
  return options_.deadline_s > 0 ? After(options_.deadline_s) : Deadline::max();
}

absl::Status ImageClient::Call(const Try& one_try, const OnRetry& on_retry,
                               const std::stop_token& stop) const {
  const Deadline deadline = DeadlineOfCall();
  Backoff backoff(options_.first_backoff_s, options_.max_backoff_s, std::random_device()());
  for (int tries = 1;; ++tries) {
    const ServerError error = CallOnce(one_try, deadline, stop);
    if (error.status.ok() || !error.may_retry || tries == options_.max_tries) return error.status;
    const double wait_s = error.retry_delay_s.value_or(backoff.NextS());
    if (After(wait_s) >= deadline) return error.status;
    if (on_retry) on_retry(error.status, wait_s);
    options_.wait(wait_s, stop);
  }
}

ServerError ImageClient::CallOnce(const Try& one_try, Deadline deadline,
                                  const std::stop_token& stop) const {
  grpc::ClientContext context;
  context.set_deadline(deadline);
  const std::stop_callback cancel(stop, [&] { context.TryCancel(); });
  const grpc::Status status = one_try(context);
  if (!status.ok() && stop.stop_requested()) return {.status = absl::CancelledError("cancelled")};
  return ReadServerError(status, context);
}

grpc::Status ImageClient::GenerateOnce(grpc::ClientContext& context,
                                       const v1::GenerateImageRequest& request,
                                       const GenerateHooks& hooks, GeneratedImages& result) const {
  const auto stream = images_->StreamGenerateImage(&context, request);
  ImageAssembler assembler;
  absl::Status assembled;
  bool has_metadata = false;
  v1::StreamGenerateImageResponse event;
  while (assembled.ok() && stream->Read(&event)) {
    if (event.has_image_chunk()) {
      assembled = assembler.Add(event.image_chunk());
    } else if (event.has_metadata()) {
      has_metadata = true;
      result.metadata = std::move(*event.mutable_metadata());
    } else if (hooks.on_event) {
      hooks.on_event(event);
    }
  }
  if (!assembled.ok()) context.TryCancel();
  const grpc::Status status = stream->Finish();
  if (!assembled.ok()) return ToGrpc(assembled);
  if (!status.ok()) return status;
  if (!has_metadata)
    return {grpc::StatusCode::INTERNAL, "the server's stream ended without its metadata"};
  absl::StatusOr<std::vector<std::string>> pngs = std::move(assembler).Finish();
  if (!pngs.ok()) return ToGrpc(pngs.status());
  result.pngs = *std::move(pngs);
  return grpc::Status::OK;
}

}  // namespace tessera
