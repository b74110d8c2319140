#include "tests/support/fake_worker.h"

#include <grpcpp/create_channel.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tessera::testing {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

// Waits until `done` holds; a test that waits for a minute is over.
template <typename Predicate>
void Await(std::condition_variable_any& changed, Mutex& mutex, const char* what,
           Predicate done) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  if (changed.wait_until(mutex, limit, done)) return;
  std::fprintf(stderr, "a fake worker waited for a minute for %s\n", what);
  std::abort();
}

}  // namespace

internal::v1::ModelInfo FakeModel() {
  internal::v1::ModelInfo model;
  model.set_name("fake-flux");
  model.set_fingerprint("0123456789abcdef");
  model.set_guidance_embeds(true);
  model.set_default_width(64);
  model.set_default_height(64);
  model.set_default_inference_steps(4);
  model.set_default_guidance_scale(3.5);
  model.set_default_max_sequence_length(32);
  model.set_size_multiple(16);
  model.set_min_size(16);
  model.set_max_size(4096);
  model.set_max_pixels(4096LL * 4096);
  model.set_max_inference_steps(100);
  model.set_max_images(4);
  model.set_max_sequence_length(64);
  return model;
}

internal::v1::Register FakeRegistration(const std::string& name) {
  internal::v1::Register registration;
  registration.set_name(name);
  registration.set_build("fake");
  registration.set_device("cpu");
  registration.set_device_kind("cpu");
  registration.set_dtype("float32");
  registration.set_threads(1);
  registration.set_pid(1);
  registration.set_host("fake-host");
  registration.set_advertised_address("127.0.0.1");
  *registration.mutable_model() = FakeModel();
  registration.set_supervised_index(-1);
  return registration;
}

std::string FakePicture(const v1::GenerateImageRequest& request, int image_index) {
  const size_t seed = std::hash<std::string>()(request.prompt()) + 31 * request.seed();
  std::minstd_rand random(static_cast<uint32_t>(seed + static_cast<size_t>(image_index)));
  std::string pixels(size_t{3} * request.width() * request.height(), '\0');
  for (char& byte : pixels) byte = static_cast<char>(random() >> 8);
  return pixels;
}

FakeWorker::FakeWorker(FakeWorkerOptions options) : options_(std::move(options)) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  stub_ = internal::v1::WorkerLink::NewStub(
      grpc::CreateCustomChannel(options_.server, grpc::InsecureChannelCredentials(), arguments));
  context_.AddMetadata("x-tessera-token", options_.token);
  context_.set_wait_for_ready(true);  // a connection attempt may fail on a busy machine
  stream_ = stub_->Connect(&context_);
  internal::v1::ConnectRequest message;
  *message.mutable_register_() = options_.registration;
  Send(message);
  reader_ = std::jthread([this] { Read(); });
}

FakeWorker::~FakeWorker() { Die(); }

void FakeWorker::Send(const internal::v1::ConnectRequest& message) {
  {
    MutexLock lock(mutex_);
    if (hangs_) return;
  }
  MutexLock lock(write_mutex_);
  stream_->Write(message);
}

void FakeWorker::Read() {
  internal::v1::ConnectResponse message;
  while (stream_->Read(&message)) Handle(message);
  const grpc::Status status = stream_->Finish();
  MutexLock lock(mutex_);
  closed_ = status;
  changed_.notify_all();
}

void FakeWorker::Handle(const internal::v1::ConnectResponse& message) {
  internal::v1::ConnectRequest answer;
  switch (message.message_case()) {
    case internal::v1::ConnectResponse::kPing:
      answer.mutable_heartbeat()->set_number(message.ping().number());
      return Send(answer);
    case internal::v1::ConnectResponse::kHostStore:
      answer.mutable_store_ready()->set_epoch(message.host_store().epoch());
      answer.mutable_store_ready()->set_port(1);
      return Send(answer);
    case internal::v1::ConnectResponse::kJoinGroup: {
      answer.mutable_group_joined()->set_epoch(message.join_group().epoch());
      Send(answer);
      MutexLock lock(mutex_);
      epoch_ = message.join_group().epoch();
      rank_ = message.join_group().rank();
      changed_.notify_all();
      return;
    }
    case internal::v1::ConnectResponse::kRunJob:
      return HandleRun(message.run_job());
    case internal::v1::ConnectResponse::kCancelJob: {
      const bool deadline = message.cancel_job().reason() == internal::v1::STOP_REASON_DEADLINE;
      return SendOutcome(
          message.cancel_job().key(),
          deadline ? absl::DeadlineExceededError("voted") : absl::CancelledError("voted"), true);
    }
    case internal::v1::ConnectResponse::kEndEpoch: {
      std::optional<internal::v1::JobKey> held;
      {
        MutexLock lock(mutex_);
        held = std::exchange(held_, std::nullopt);
      }
      if (held.has_value()) SendOutcome(*held, absl::UnavailableError("the epoch ended"), false);
      answer.mutable_epoch_ended()->set_epoch(message.end_epoch().epoch());
      return Send(answer);
    }
    case internal::v1::ConnectResponse::kLeave:
      return context_.TryCancel();
    default:
      return;
  }
}

void FakeWorker::HandleRun(const internal::v1::RunJob& job) {
  const bool is_first = rank() == 0;
  {
    MutexLock lock(mutex_);
    ++jobs_received_;
    held_ = job.key();
    runs_.push_back(job);
    changed_.notify_all();
  }
  if (options_.on_run_job == OnRunJob::kHold) return;
  if (is_first) {
    for (int step = 0; step < job.request().num_inference_steps(); ++step) SendStep(job, step);
    SendPictures(job);
  }
  SendDone(job, absl::OkStatus());
}

void FakeWorker::SendStep(const internal::v1::RunJob& job, int step) {
  internal::v1::ConnectRequest message;
  *message.mutable_step_done()->mutable_key() = job.key();
  message.mutable_step_done()->set_step(step);
  message.mutable_step_done()->set_steps(job.request().num_inference_steps());
  Send(message);
}

void FakeWorker::SendPictures(const internal::v1::RunJob& job) {
  for (int i = 0; i < job.request().num_images(); ++i) {
    const std::string pixels = FakePicture(job.request(), i);
    for (size_t offset = 0; offset < pixels.size(); offset += kChunkBytes) {
      internal::v1::ConnectRequest message;
      internal::v1::PixelChunk& chunk = *message.mutable_pixel_chunk();
      *chunk.mutable_key() = job.key();
      chunk.set_image_index(i);
      chunk.set_data(pixels.substr(offset, kChunkBytes));
      Send(message);
    }
  }
}

void FakeWorker::SendDone(const internal::v1::RunJob& job, const absl::Status& outcome,
                          bool group_whole) {
  SendOutcome(job.key(), outcome, group_whole);
}

void FakeWorker::SendOutcome(const internal::v1::JobKey& key, const absl::Status& outcome,
                             bool group_whole) {
  internal::v1::ConnectRequest message;
  internal::v1::JobDone& done = *message.mutable_job_done();
  *done.mutable_key() = key;
  done.mutable_outcome()->set_code(static_cast<int>(outcome.code()));
  done.mutable_outcome()->set_message(std::string(outcome.message()));
  done.set_group_whole(group_whole);
  done.mutable_report()->set_text_encode_s(0.25);
  done.mutable_report()->set_denoise_s(2);
  done.mutable_report()->set_clip_tokens(7);
  {
    MutexLock lock(mutex_);
    held_.reset();
  }
  Send(message);
}

int64_t FakeWorker::AwaitJoined(int64_t epoch) {
  MutexLock lock(mutex_);
  Await(changed_, mutex_, "JoinGroup",
        [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return epoch_ > epoch; });
  return epoch_;
}

internal::v1::RunJob FakeWorker::AwaitRun() {
  MutexLock lock(mutex_);
  Await(changed_, mutex_, "RunJob",
        [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !runs_.empty(); });
  internal::v1::RunJob job = std::move(runs_.front());
  runs_.pop_front();
  return job;
}

grpc::Status FakeWorker::AwaitClosed() {
  MutexLock lock(mutex_);
  Await(changed_, mutex_, "the link's end",
        [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return closed_.has_value(); });
  return *closed_;
}

void FakeWorker::Hang() {
  MutexLock lock(mutex_);
  hangs_ = true;
}

void FakeWorker::Die() { context_.TryCancel(); }

int FakeWorker::rank() const {
  MutexLock lock(mutex_);
  return rank_;
}

int64_t FakeWorker::jobs_received() const {
  MutexLock lock(mutex_);
  return jobs_received_;
}

}  // namespace tessera::testing
