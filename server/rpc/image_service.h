#pragma once

#include "server/core/server_core.h"
#include "server/loop/clock.h"
#include "tessera/v1/image_service.grpc.pb.h"

namespace tessera {

// The public contract, without logic: hands each call to the core. Thread-safe.
class ImageService final : public v1::ImageService::CallbackService {
 public:
  // `core` and `clock` outlive the service. A GenerateImage whose reply may take more than
  // `max_unary_reply_bytes` is refused.
  ImageService(ServerCore& core, const Clock& clock, int64_t max_unary_reply_bytes)
      : core_(core), clock_(clock), max_unary_reply_bytes_(max_unary_reply_bytes) {}

  grpc::ServerUnaryReactor* GenerateImage(grpc::CallbackServerContext* context,
                                          const v1::GenerateImageRequest* request,
                                          v1::GenerateImageResponse* response) override;
  grpc::ServerWriteReactor<v1::StreamGenerateImageResponse>* StreamGenerateImage(
      grpc::CallbackServerContext* context, const v1::GenerateImageRequest* request) override;
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) override;

 private:
  ServerCore& core_;
  const Clock& clock_;
  const int64_t max_unary_reply_bytes_;
};

}  // namespace tessera
