#include "tests/support/image_call.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "client/image_assembler.h"

namespace tessera::testing {

using std::chrono::system_clock;

ImageCall::ImageCall(v1::ImageService::Stub& stub, const v1::GenerateImageRequest& request,
                     OnEvent on_event, std::optional<std::chrono::milliseconds> deadline) {
  if (deadline.has_value()) context_.set_deadline(system_clock::now() + *deadline);
  thread_ = std::jthread(
      [this, &stub, request, on_event = std::move(on_event)] { Run(stub, request, on_event); });
}

ImageCall::~ImageCall() { Cancel(); }

void ImageCall::Run(v1::ImageService::Stub& stub, const v1::GenerateImageRequest& request,
                    const OnEvent& on_event) {
  const auto stream = stub.StreamGenerateImage(&context_, request);
  grpc::Status status = Read(*stream, on_event);
  MutexLock lock(mutex_);
  result_.status = std::move(status);
  ended_ = true;
  changed_.notify_all();
}

grpc::Status ImageCall::Read(grpc::ClientReader<Event>& stream, const OnEvent& on_event) {
  ImageAssembler assembler;
  std::optional<v1::GenerationMetadata> metadata;
  Event event;
  while (stream.Read(&event)) {
    EXPECT_FALSE(metadata.has_value()) << "an event after the last";
    if (event.has_image_chunk()) {
      const absl::Status added = assembler.Add(event.image_chunk());
      EXPECT_TRUE(added.ok()) << added;
    } else if (event.has_metadata()) {
      metadata = event.metadata();
    } else {
      {
        MutexLock lock(mutex_);
        result_.events.push_back(event);
        changed_.notify_all();
      }
      if (on_event) on_event(*this, event);
    }
  }
  grpc::Status status = stream.Finish();
  if (!status.ok()) return status;
  absl::StatusOr<std::vector<std::string>> pngs = std::move(assembler).Finish();
  EXPECT_TRUE(pngs.ok()) << pngs.status();
  EXPECT_TRUE(metadata.has_value()) << "a picture without metadata";
  MutexLock lock(mutex_);
  if (pngs.ok()) result_.pngs = *std::move(pngs);
  if (metadata.has_value()) result_.metadata = *std::move(metadata);
  return status;
}

void ImageCall::Await(const Matcher& matches) {
  const auto limit = std::chrono::steady_clock::now() + kLivenessLimit;
  MutexLock lock(mutex_);
  bool late = false;
  while (std::none_of(result_.events.begin(), result_.events.end(), matches)) {
    if (ended_ || late) {
      ADD_FAILURE() << "the awaited event did not come: " << result_.status.error_message();
      return;
    }
    late = changed_.wait_until(mutex_, limit) == std::cv_status::timeout;
  }
}

const CallResult& ImageCall::Wait() {
  const auto limit = std::chrono::steady_clock::now() + kLivenessLimit;
  MutexLock lock(mutex_);
  bool late = false;
  while (!ended_ && !late) {
    late = changed_.wait_until(mutex_, limit) == std::cv_status::timeout;
  }
  if (!ended_) {
    ADD_FAILURE() << "the call was not answered";
    Cancel();
    while (!ended_) changed_.wait(mutex_);
  }
  return result_;
}

CallResult GenerateUnary(const ServiceProcess& service, const v1::GenerateImageRequest& request,
                         std::optional<std::chrono::milliseconds> deadline) {
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + deadline.value_or(kLivenessLimit));
  v1::GenerateImageResponse response;
  CallResult result;
  result.status = service.stub().GenerateImage(&context, request, &response);
  for (v1::Image& image : *response.mutable_images()) {
    result.pngs.push_back(std::move(*image.mutable_png()));
  }
  result.metadata = std::move(*response.mutable_metadata());
  return result;
}

ImageCall::Matcher StepReached(int step) {
  return [step](const ImageCall::Event& event) {
    return event.has_step_done() && event.step_done().step() >= step;
  };
}

ImageCall::Matcher WaitsAtPosition(int position) {
  return [position](const ImageCall::Event& event) {
    return event.has_queued() && event.queued().position() == position;
  };
}

ImageCall::Matcher AttemptBegan(int attempt) {
  return [attempt](const ImageCall::Event& event) {
    return event.has_attempt_started() && event.attempt_started().attempt() == attempt;
  };
}

ImageCall::OnEvent OnceAt(ImageCall::Matcher matches, std::function<void(ImageCall& call)> action) {
  return [matches = std::move(matches), action = std::move(action), done = false](
             ImageCall& call, const ImageCall::Event& event) mutable {
    if (done || !matches(event)) return;
    done = true;
    action(call);
  };
}

}  // namespace tessera::testing
