#include "server/rpc/image_service.h"

#include <utility>

#include "server/rpc/call_deadline.h"
#include "server/rpc/stream_call.h"
#include "server/rpc/unary_call.h"

namespace tessera {

grpc::ServerUnaryReactor* ImageService::GenerateImage(grpc::CallbackServerContext* context,
                                                      const v1::GenerateImageRequest* request,
                                                      v1::GenerateImageResponse* response) {
  return UnaryCall::Start(core_, *context, *request, max_unary_reply_bytes_,
                          DeadlineOf(context->raw_deadline(), clock_.Now()), *response);
}

grpc::ServerWriteReactor<v1::StreamGenerateImageResponse>* ImageService::StreamGenerateImage(
    grpc::CallbackServerContext* context, const v1::GenerateImageRequest* request) {
  return StreamCall::Start(core_, *context, *request,
                           DeadlineOf(context->raw_deadline(), clock_.Now()));
}

grpc::ServerUnaryReactor* ImageService::GetServerInfo(grpc::CallbackServerContext* context,
                                                      const v1::GetServerInfoRequest*,
                                                      v1::GetServerInfoResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  core_.Describe([reactor, response, this](v1::GetServerInfoResponse info) {
    *response = std::move(info);
    response->set_max_unary_reply_bytes(max_unary_reply_bytes_);
    reactor->Finish(grpc::Status::OK);
  });
  return reactor;
}

}  // namespace tessera
