#include "server/rpc/image_service.h"

#include <chrono>
#include <utility>

#include "server/rpc/stream_call.h"
#include "server/rpc/unary_call.h"

namespace tessera {

using std::chrono::system_clock;

TimePoint ImageService::DeadlineOf(const grpc::CallbackServerContext& context) const {
  const system_clock::time_point deadline = context.deadline();
  if (deadline == system_clock::time_point::max()) return kNever;
  return clock_.Now() +
         std::chrono::duration_cast<TimePoint::duration>(deadline - system_clock::now());
}

grpc::ServerUnaryReactor* ImageService::GenerateImage(grpc::CallbackServerContext* context,
                                                      const v1::GenerateImageRequest* request,
                                                      v1::GenerateImageResponse* response) {
  return UnaryCall::Start(core_, *context, *request, DeadlineOf(*context), *response);
}

grpc::ServerWriteReactor<v1::StreamGenerateImageResponse>* ImageService::StreamGenerateImage(
    grpc::CallbackServerContext* context, const v1::GenerateImageRequest* request) {
  return StreamCall::Start(core_, *context, *request, DeadlineOf(*context));
}

grpc::ServerUnaryReactor* ImageService::GetServerInfo(grpc::CallbackServerContext* context,
                                                      const v1::GetServerInfoRequest*,
                                                      v1::GetServerInfoResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.Describe([reactor, response](v1::GetServerInfoResponse info) {
    *response = std::move(info);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

}  // namespace tessera
