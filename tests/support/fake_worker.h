#pragma once

#include <grpcpp/client_context.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "tessera/internal/v1/worker_link.grpc.pb.h"

namespace tessera::testing {

// A small model that takes any size from 16 to 4096.
internal::v1::ModelInfo FakeModel();

// What a worker of FakeModel says of itself; the name tells them apart.
internal::v1::Register FakeRegistration(const std::string& name);

// The pixels of the picture that a fake worker makes: noise, which depends on seed, prompt and
// index.
std::string FakePicture(const v1::GenerateImageRequest& request, int image_index);

enum class OnRunJob {
  kSucceed,  // at once: every step, every picture, done
  kHold,     // the test says what happens
};

struct FakeWorkerOptions {
  std::string server;  // HOST:PORT of the workers' listener
  std::string token;
  internal::v1::Register registration;
  OnRunJob on_run_job = OnRunJob::kSucceed;
};

// A worker without an engine that links to a server over gRPC. By itself it answers pings, joins
// epochs, leaves them (a job that it holds ends UNAVAILABLE), leaves a cancelled job as a vote
// would, and closes its link when told to leave. Every wait ends the test program after a minute.
// Thread-safe.
class FakeWorker {
 public:
  explicit FakeWorker(FakeWorkerOptions options);
  ~FakeWorker();  // as Die

  // Waits until this worker has joined an epoch above `epoch`; returns it.
  int64_t AwaitJoined(int64_t epoch = 0);
  // Waits for the next RunJob that was not awaited before.
  internal::v1::RunJob AwaitRun();
  // Waits for the link's end; returns the status with which the server closed it.
  grpc::Status AwaitClosed();

  // As rank 0: a finished step (0-based), and all pictures.
  void SendStep(const internal::v1::RunJob& job, int step);
  void SendPictures(const internal::v1::RunJob& job);
  // The job is over on this rank.
  void SendDone(const internal::v1::RunJob& job, const absl::Status& outcome,
                bool group_whole = true);
  void Send(const internal::v1::ConnectRequest& message);

  // From now on this worker answers nothing, as a stopped process.
  void Hang();
  // The link ends without a word, as a killed process's.
  void Die();

  int rank() const;
  int64_t jobs_received() const;

 private:
  void Read();
  void Handle(const internal::v1::ConnectResponse& message);
  void HandleRun(const internal::v1::RunJob& job);
  void SendOutcome(const internal::v1::JobKey& key, const absl::Status& outcome, bool group_whole);

  const FakeWorkerOptions options_;
  grpc::ClientContext context_;
  std::unique_ptr<internal::v1::WorkerLink::Stub> stub_;
  std::unique_ptr<
      grpc::ClientReaderWriter<internal::v1::ConnectRequest, internal::v1::ConnectResponse>>
      stream_;
  Mutex write_mutex_;

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  int64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  int rank_ ABSL_GUARDED_BY(mutex_) = -1;
  std::deque<internal::v1::RunJob> runs_ ABSL_GUARDED_BY(mutex_);
  std::optional<internal::v1::JobKey> held_ ABSL_GUARDED_BY(mutex_);
  int64_t jobs_received_ ABSL_GUARDED_BY(mutex_) = 0;
  bool hangs_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> closed_ ABSL_GUARDED_BY(mutex_);
  std::jthread reader_;
};

}  // namespace tessera::testing
