#include "tests/integration/mock_clients/mock_requests.h"

#include <algorithm>
#include <random>
#include <utility>

namespace tessera::testing {
namespace {

using std::chrono::milliseconds;

constexpr int kEndlessSteps = 1000;
// Long for a server to refuse a request, short for a thousand steps.
constexpr milliseconds kShortDeadline{1000};

v1::GenerateImageRequest Picture(const std::string& prompt, int width, int height, int steps,
                                 uint64_t seed) {
  v1::GenerateImageRequest request;
  request.set_prompt(prompt);
  request.set_width(width);
  request.set_height(height);
  request.set_num_inference_steps(steps);
  request.set_seed(seed);
  request.set_max_sequence_length(48);
  return request;
}

void AddPictures(std::vector<MockRequest>& requests) {
  const std::vector<v1::GenerateImageRequest> pictures = PictureRequests();
  for (size_t i = 0; i < pictures.size(); ++i) {
    const bool fits = i + 1 < pictures.size();
    requests.push_back({.name = "picture", .request = pictures[i], .reply = Reply::kStream});
    requests.push_back({.name = "picture",
                        .request = pictures[i],
                        .reply = fits ? Reply::kUnary : Reply::kStream});
  }
}

void AddCancelled(std::vector<MockRequest>& requests) {
  for (const int step : {1, 2, 5, 8}) {
    v1::GenerateImageRequest request = EndlessRequest();
    request.set_width(16 * (step + 2));
    request.set_text_mode(step % 2 == 0 ? v1::TEXT_MODE_SPLIT : v1::TEXT_MODE_REPLICATED);
    requests.push_back({.name = "cancelled at a step",
                        .request = std::move(request),
                        .cancel_at_step = step,
                        .code = grpc::StatusCode::CANCELLED});
  }
}

void AddExpired(std::vector<MockRequest>& requests) {
  for (const Reply reply : {Reply::kUnary, Reply::kStream}) {
    requests.push_back({.name = "its deadline passes",
                        .request = EndlessRequest(),
                        .reply = reply,
                        .deadline = kShortDeadline,
                        .code = grpc::StatusCode::DEADLINE_EXCEEDED});
  }
  v1::GenerateImageRequest measured = PictureRequests().front();
  measured.set_num_inference_steps(kEndlessSteps);
  requests.push_back({.name = "its deadline cannot be met",
                      .request = std::move(measured),
                      .deadline = kShortDeadline,
                      .code = grpc::StatusCode::DEADLINE_EXCEEDED,
                      .reason = "DEADLINE_CANNOT_BE_MET"});
}

void AddInvalid(std::vector<MockRequest>& requests) {
  std::vector<std::pair<v1::GenerateImageRequest, int>> invalid(5);
  for (auto& [request, violations] : invalid) violations = 1;
  invalid[0].first.set_width(100);
  invalid[1].first.set_num_inference_steps(0);
  invalid[2].first.set_text_mode(static_cast<v1::TextMode>(7));
  invalid[3].first.set_prompt(std::string("a\0b", 3));
  v1::GenerateImageRequest& five = invalid[4].first;
  invalid[4].second = 5;
  five.set_true_cfg_scale(-1);
  five.set_num_images(0);
  five.set_max_sequence_length(1'000'000);
  five.set_height(8);
  five.set_sync_steps(0);
  for (size_t i = 0; i < invalid.size(); ++i) {
    requests.push_back({.name = "invalid",
                        .request = std::move(invalid[i].first),
                        .reply = i % 2 == 0 ? Reply::kUnary : Reply::kStream,
                        .code = grpc::StatusCode::INVALID_ARGUMENT,
                        .reason = "INVALID_REQUEST",
                        .violations = invalid[i].second});
  }
}

void AddTooLarge(std::vector<MockRequest>& requests) {
  v1::GenerateImageRequest many = Picture("many", 256, 256, 1, 1);
  many.set_num_images(16);
  for (const v1::GenerateImageRequest& request : {PictureRequests().back(), many}) {
    requests.push_back({.name = "its reply may not fit",
                        .request = request,
                        .reply = Reply::kUnary,
                        .code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                        .reason = "REPLY_TOO_LARGE"});
  }
}

}  // namespace

std::vector<v1::GenerateImageRequest> PictureRequests() {
  std::vector<v1::GenerateImageRequest> pictures = {
      Picture("a red fox", 64, 64, 4, 1),
      Picture("another of the same shape", 64, 64, 4, 0xFFFFFFFF),
      Picture("", 32, 32, 1, 2),
      Picture("Füchsin im Schnee 雪", 112, 80, 8, 3),
      Picture("several", 64, 48, 3, 4),
      Picture("two texts", 48, 128, 5, 5),
      Picture("what it should not show", 80, 80, 4, 6),
      Picture("text on every device", 96, 64, 6, 7),
      Picture("exact for longer", 64, 96, 7, 8),
      Picture("exact", 96, 96, 4, 9),
      Picture("little text", 128, 32, 5, 10),
      Picture("larger than a chunk of the stream", 768, 768, 1, 11),
  };
  pictures[4].set_num_images(3);
  pictures[5].set_prompt_2("the second");
  pictures[5].set_guidance_scale(7.5);
  pictures[6].set_negative_prompt("snow");
  pictures[6].set_true_cfg_scale(4);
  pictures[7].set_text_mode(v1::TEXT_MODE_REPLICATED);
  pictures[8].set_sync_steps(3);
  pictures[8].set_refresh_every(2);
  pictures[9].set_refresh_every(1);
  pictures[10].set_max_sequence_length(1);
  return pictures;
}

v1::GenerateImageRequest EndlessRequest() { return Picture("endless", 256, 256, kEndlessSteps, 0); }

std::vector<MockRequest> MixedRequests() {
  std::vector<MockRequest> requests;
  AddPictures(requests);
  AddCancelled(requests);
  AddExpired(requests);
  AddInvalid(requests);
  AddTooLarge(requests);
  std::shuffle(requests.begin(), requests.end(), std::mt19937(1));
  return requests;
}

std::vector<MockRequest> WaitingRequests() {
  std::vector<MockRequest> requests;
  for (v1::GenerateImageRequest& picture : PictureRequests()) {
    if (requests.size() == kMaxQueueLength) break;
    requests.push_back({.name = "waits", .request = std::move(picture)});
  }
  requests[kLeavingPosition - 1] = {
      .name = "leaves the queue", .request = EndlessRequest(), .code = grpc::StatusCode::CANCELLED};
  return requests;
}

}  // namespace tessera::testing
