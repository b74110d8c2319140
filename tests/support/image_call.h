#pragma once

#include <grpcpp/client_context.h>

#include <condition_variable>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/base/mutex.h"
#include "tessera/v1/image_service.grpc.pb.h"
#include "tests/support/service_process.h"

namespace tessera::testing {

// How a call ended.
struct CallResult {
  grpc::Status status;
  std::vector<std::string> pngs;                        // when OK
  v1::GenerationMetadata metadata;                      // when OK
  std::vector<v1::StreamGenerateImageResponse> events;  // queued, attempts and steps, in order
};

// A StreamGenerateImage call on a thread of its own. Thread-safe.
class ImageCall {
 public:
  using Event = v1::StreamGenerateImageResponse;
  using Matcher = std::function<bool(const Event& event)>;
  // Called on the call's thread, after each queued, attempt and step event, before the next one is
  // read.
  using OnEvent = std::function<void(ImageCall& call, const Event& event)>;

  // `service` outlives the call. Absent deadline: none.
  ImageCall(const ServiceProcess& service, const v1::GenerateImageRequest& request,
            OnEvent on_event = {}, std::optional<std::chrono::milliseconds> deadline = {})
      : ImageCall(service.stub(), request, std::move(on_event), deadline) {}
  // By a connection of the test's own; `stub` outlives the call.
  ImageCall(v1::ImageService::Stub& stub, const v1::GenerateImageRequest& request,
            OnEvent on_event = {}, std::optional<std::chrono::milliseconds> deadline = {});
  ~ImageCall();  // cancels and waits
  ImageCall(const ImageCall&) = delete;
  ImageCall& operator=(const ImageCall&) = delete;

  void Cancel() { context_.TryCancel(); }

  // Waits for an event, past ones included; a test failure when the call ends without it, or it
  // does not come within the limit.
  void Await(const Matcher& matches);

  // Waits for the call's end; past the limit a test failure, and the call is cancelled.
  const CallResult& Wait();

 private:
  void Run(v1::ImageService::Stub& stub, const v1::GenerateImageRequest& request,
           const OnEvent& on_event);
  grpc::Status Read(grpc::ClientReader<Event>& stream, const OnEvent& on_event);

  grpc::ClientContext context_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  CallResult result_ ABSL_GUARDED_BY(mutex_);  // constant once ended
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

// A GenerateImage call on this thread.
CallResult GenerateUnary(const ServiceProcess& service, const v1::GenerateImageRequest& request,
                         std::optional<std::chrono::milliseconds> deadline = {});

// At least `step` steps (1-based) of the attempt are done. (The server tells a slow reader of the
// latest step only.)
ImageCall::Matcher StepReached(int step);
ImageCall::Matcher WaitsAtPosition(int position);
ImageCall::Matcher AttemptBegan(int attempt);

// Does something at the first event that matches: faults and cancels come at a point of progress.
ImageCall::OnEvent OnceAt(ImageCall::Matcher matches, std::function<void(ImageCall& call)> action);

}  // namespace tessera::testing
