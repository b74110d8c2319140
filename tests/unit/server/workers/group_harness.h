#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/workers/worker_group.h"
#include "server/workers/worker_pool.h"
#include "tests/support/fake_worker.h"
#include "tests/unit/server/loop/fake_clock.h"

namespace tessera::testing {

// A link without a network: remembers what the server said.
class FakeLink final : public WorkerChannel {
 public:
  void Send(internal::v1::ConnectResponse message) override { sent.push_back(message); }
  void Close(const absl::Status& status) override {
    if (!closed.has_value()) closed = status;
  }

  int Count(internal::v1::ConnectResponse::MessageCase kind) const {
    int count = 0;
    for (const auto& message : sent) count += message.message_case() == kind ? 1 : 0;
    return count;
  }
  // The latest of its kind.
  const internal::v1::ConnectResponse& Last(internal::v1::ConnectResponse::MessageCase kind) const {
    for (auto it = sent.rbegin(); it != sent.rend(); ++it) {
      if (it->message_case() == kind) return *it;
    }
    ADD_FAILURE() << "the server never said " << kind;
    return internal::v1::ConnectResponse::default_instance();
  }

  std::vector<internal::v1::ConnectResponse> sent;
  std::optional<absl::Status> closed;
};

class FakeLauncher final : public WorkerLauncher {
 public:
  void MarkArrived(int supervised_index) override { arrived.push_back(supervised_index); }
  void Kill(int supervised_index) override { killed.push_back(supervised_index); }
  std::vector<int> arrived;
  std::vector<int> killed;
};

// A pool and a group of `size` on one thread and a clock that the test moves. The test speaks for
// the workers, which are the server's own children.
class GroupHarness {
 public:
  using Link = std::shared_ptr<FakeLink>;
  using Kind = internal::v1::ConnectResponse::MessageCase;

  explicit GroupHarness(const WorkerGroupOptions& options)
      : pool(WorkerPoolOptions(), clock, &launcher, std::nullopt), group(options, clock, pool) {
    pool.SetListener(group);
  }

  Link Arrive(int index, const std::string& dtype = "float32") {
    internal::v1::ConnectRequest message;
    *message.mutable_register_() = FakeRegistration("w" + std::to_string(index));
    message.mutable_register_()->set_supervised_index(index);
    message.mutable_register_()->set_dtype(dtype);
    message.mutable_register_()->set_pid(++last_pid_);
    *message.mutable_register_()->mutable_job_memory() = job_memory;
    auto link = std::make_shared<FakeLink>();
    pool.OnMessage(link, message);
    return link;
  }

  void Say(const Link& link, const internal::v1::ConnectRequest& message) {
    pool.OnMessage(link, message);
  }
  void SayStoreReady(const Link& link, int64_t epoch) {
    internal::v1::ConnectRequest message;
    message.mutable_store_ready()->set_epoch(epoch);
    message.mutable_store_ready()->set_port(4242);
    Say(link, message);
  }
  void SayJoined(const Link& link, int64_t epoch, const absl::Status& outcome = absl::OkStatus()) {
    internal::v1::ConnectRequest message;
    message.mutable_group_joined()->set_epoch(epoch);
    SetOutcome(outcome, *message.mutable_group_joined()->mutable_outcome());
    Say(link, message);
  }
  void SayStage(const Link& link, const internal::v1::JobKey& key, internal::v1::JobStage stage) {
    internal::v1::ConnectRequest message;
    *message.mutable_stage_begun()->mutable_key() = key;
    message.mutable_stage_begun()->set_stage(stage);
    Say(link, message);
  }
  void SayStep(const Link& link, const internal::v1::JobKey& key, int step) {
    internal::v1::ConnectRequest message;
    *message.mutable_step_done()->mutable_key() = key;
    message.mutable_step_done()->set_step(step);
    Say(link, message);
  }
  void SayPixels(const Link& link, const internal::v1::JobKey& key, const std::string& pixels,
                 int image_index = 0) {
    internal::v1::ConnectRequest message;
    *message.mutable_pixel_chunk()->mutable_key() = key;
    message.mutable_pixel_chunk()->set_image_index(image_index);
    message.mutable_pixel_chunk()->set_data(pixels);
    Say(link, message);
  }
  // All that the link was asked for, of 'x'.
  void SayPictures(const Link& link, const internal::v1::JobKey& key) {
    const auto& request = link->Last(internal::v1::ConnectResponse::kRunJob).run_job().request();
    for (int i = 0; i < request.num_images(); ++i) {
      SayPixels(link, key, std::string(size_t{3} * request.width() * request.height(), 'x'), i);
    }
  }
  void SayDone(const Link& link, const internal::v1::JobKey& key,
               const absl::Status& outcome = absl::OkStatus(), bool group_whole = true) {
    internal::v1::ConnectRequest message;
    *message.mutable_job_done()->mutable_key() = key;
    SetOutcome(outcome, *message.mutable_job_done()->mutable_outcome());
    message.mutable_job_done()->set_group_whole(group_whole);
    message.mutable_job_done()->mutable_report()->set_denoise_s(8);
    Say(link, message);
  }
  void SayEnded(const Link& link, int64_t epoch) {
    internal::v1::ConnectRequest message;
    message.mutable_epoch_ended()->set_epoch(epoch);
    Say(link, message);
  }

  // The workers of an epoch join it.
  void Join(const std::vector<Link>& links) {
    const int64_t epoch = group.Describe().epoch();
    SayStoreReady(links[0], epoch);
    for (const Link& link : links) SayJoined(link, epoch);
  }

  // What the ranks were told to run last.
  internal::v1::JobKey RunningKey(const Link& link) {
    return link->Last(internal::v1::ConnectResponse::kRunJob).run_job().key();
  }

  // Lets time pass as a loop that turns sees it, with workers that answer.
  void Pass(double seconds, const std::vector<Link>& answering) {
    for (double passed = 0; passed < seconds; passed += 0.25) {
      clock.Advance(0.25);
      internal::v1::ConnectRequest heartbeat;
      heartbeat.mutable_heartbeat();
      for (const Link& link : answering) Say(link, heartbeat);
      pool.OnTime(clock.Now());
      group.OnTime(clock.Now());
    }
  }

  FakeClock clock;
  FakeLauncher launcher;
  WorkerPool pool;
  WorkerGroup group;
  internal::v1::JobMemory job_memory;  // of workers that arrive; nothing costs any

 private:
  static void SetOutcome(const absl::Status& status, internal::v1::Outcome& outcome) {
    outcome.set_code(static_cast<int>(status.code()));
    outcome.set_message(std::string(status.message()));
  }

  int64_t last_pid_ = 100;
};

}  // namespace tessera::testing
