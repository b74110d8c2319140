#include <gtest/gtest.h>

#include "tests/unit/server/rpc/server_harness.h"

namespace tessera {
namespace {

using testing::ServerHarness;

// A small message that inflates to a large one must not be inflated at all.
std::string ManyZeros() { return std::string(64 << 10, '\0'); }

TEST(CompressionTest, ACompressedRequestIsRefusedBeforeItIsInflated) {
  ServerHarness harness({});
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::GenerateImageRequest request;
    request.set_prompt(ManyZeros());
    v1::GenerateImageResponse response;
    const grpc::Status status = harness.stub->GenerateImage(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  }
}

TEST(CompressionTest, ACompressedLinkIsRefused) {
  ServerHarness harness({});
  const auto stub = internal::v1::WorkerLink::NewStub(
      grpc::CreateChannel(harness.LinkAddress(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.AddMetadata("x-tessera-token", testing::kToken);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  const auto stream = stub->Connect(&context);
  internal::v1::ConnectRequest message;
  message.mutable_register_()->set_name(ManyZeros());
  stream->Write(message);
  internal::v1::ConnectResponse answer;
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace tessera
