#include "server/rpc/status_conversion.h"

#include <gmock/gmock.h>
#include <grpcpp/support/error_details.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace tessera {
namespace {

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(grpc::ExtractErrorDetails(status, &details).ok());
  return details;
}

TEST(StatusConversionTest, CarriesCodeMessageAndReason) {
  const grpc::Status status = ToGrpcStatus({.code = absl::StatusCode::kInternal,
                                            .reason = reason::kGenerationFailed,
                                            .message = "NaN",
                                            .metadata = {{"job_id", "7"}}});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(), "NaN");
  const google::rpc::Status details = DetailsOf(status);
  EXPECT_EQ(details.code(), 13);
  EXPECT_EQ(details.message(), "NaN");
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "GENERATION_FAILED");
  EXPECT_EQ(info.domain(), "tessera");
  EXPECT_EQ(info.metadata().at("job_id"), "7");
}

TEST(StatusConversionTest, CarriesRetryInfoWhenARetryMaySucceed) {
  const grpc::Status status = ToGrpcStatus({.code = absl::StatusCode::kResourceExhausted,
                                            .reason = reason::kQueueFull,
                                            .message = "full",
                                            .retry_after_s = 2.5});
  const google::rpc::Status details = DetailsOf(status);
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
}

TEST(StatusConversionTest, CarriesEveryViolation) {
  const grpc::Status status =
      ToGrpcStatus({.code = absl::StatusCode::kInvalidArgument,
                    .reason = reason::kInvalidRequest,
                    .message = "bad",
                    .violations = {{"width", "too wide"}, {"height", "too high"}}});
  const google::rpc::Status details = DetailsOf(status);
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(details.details(1).UnpackTo(&bad_request));
  ASSERT_EQ(bad_request.field_violations_size(), 2);
  EXPECT_EQ(bad_request.field_violations(0).field(), "width");
  EXPECT_EQ(bad_request.field_violations(1).description(), "too high");
}

TEST(StatusConversionTest, CutsALongMessageBetweenCharacters) {
  std::string message;
  while (message.size() < 2000) message += "\u20AC";  // three bytes
  const grpc::Status status = ToGrpcStatus({.code = absl::StatusCode::kInternal,
                                            .reason = reason::kGenerationFailed,
                                            .message = message});
  EXPECT_EQ(status.error_message(), message.substr(0, 999) + "...");
  EXPECT_EQ(DetailsOf(status).message(), status.error_message());
}

}  // namespace
}  // namespace tessera
