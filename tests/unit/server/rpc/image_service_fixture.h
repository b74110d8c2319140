#pragma once

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "tests/unit/server/rpc/server_harness.h"

namespace tessera::testing {

inline constexpr int kSize = 3;

inline TesseraServerOptions Options() {
  TesseraServerOptions options;
  options.core.group.size = kSize;
  options.core.scheduler.max_queue_length = 2;
  return options;
}

inline void SetDeadline(double deadline_s, grpc::ClientContext& context) {
  if (deadline_s == 0) return;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(deadline_s * 1000)));
}

// The pixels that fake workers made for a call.
inline std::string FakePixels(const v1::GenerationMetadata& metadata, int image_index) {
  return FakePicture(metadata.effective_request(), image_index);
}

// The client's side of a stream.
class StreamReader {
 public:
  StreamReader(ServerHarness& harness, const v1::GenerateImageRequest& request,
               double deadline_s = 0) {
    SetDeadline(deadline_s, context_);
    stream_ = harness.stub->StreamGenerateImage(&context_, request);
  }

  // The next event; a default one at the stream's end.
  v1::StreamGenerateImageResponse Next() {
    v1::StreamGenerateImageResponse event;
    stream_->Read(&event);
    return event;
  }
  grpc::Status Finish() {
    v1::StreamGenerateImageResponse event;
    while (stream_->Read(&event)) {
    }
    return stream_->Finish();
  }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::StreamGenerateImageResponse>> stream_;
};

class ImageServiceTest : public ::testing::Test {
 protected:
  grpc::Status Generate(const v1::GenerateImageRequest& request,
                        v1::GenerateImageResponse* response = nullptr, double deadline_s = 0) {
    grpc::ClientContext context;
    SetDeadline(deadline_s, context);
    v1::GenerateImageResponse unused;
    return h_.stub->GenerateImage(&context, request, response == nullptr ? &unused : response);
  }

  v1::GetServerInfoResponse Info() {
    grpc::ClientContext context;
    v1::GetServerInfoResponse info;
    EXPECT_TRUE(h_.stub->GetServerInfo(&context, {}, &info).ok());
    return info;
  }

  ServerHarness h_{Options()};
};

}  // namespace tessera::testing
