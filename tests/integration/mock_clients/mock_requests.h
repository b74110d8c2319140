#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "grpcpp/support/status.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera::testing {

enum class Reply { kUnary, kStream };

// What a client asks for, what it does meanwhile, and how it must be answered.
struct MockRequest {
  std::string name;
  v1::GenerateImageRequest request;
  Reply reply = Reply::kStream;
  std::optional<int> cancel_at_step;  // of a stream
  std::optional<std::chrono::milliseconds> deadline;
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason;  // google.rpc.ErrorInfo's; empty: not looked at
  int violations = 0;  // google.rpc.BadRequest's
};

// Flags of tessera-server that the requests are made for.
inline constexpr int kMaxQueueLength = 8;
inline constexpr int kMaxUnaryReplyBytes = 1'000'000;

// Requests that differ in every setting. The last one's reply fits no unary message, and two are of
// one shape (so that a deadline may be refused by what they take).
std::vector<v1::GenerateImageRequest> PictureRequests();

// Runs for so long that whoever waits for its end waits in vain; no picture request is of its
// shape.
v1::GenerateImageRequest EndlessRequest();

// Of all kinds, each picture request twice, in a mixed order that is always the same. No answer
// depends on the order in which the server gets to them.
std::vector<MockRequest> MixedRequests();

// As many as may wait in the queue, streams; the one at this position leaves it.
inline constexpr int kLeavingPosition = 4;
std::vector<MockRequest> WaitingRequests();

}  // namespace tessera::testing
