#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "common/model/model_info.h"
#include "server/loop/clock.h"
#include "server/workers/silence_watch.h"
#include "server/workers/worker_channel.h"
#include "server/workers/worker_launcher.h"
#include "tessera/internal/v1/worker_link.pb.h"

namespace tessera {

// What workers of one group have in common.
using WorkerClass =
    std::tuple<std::string, std::string, std::string, int, std::string, std::string>;

// Model, device kind, dtype, threads, build and who encodes prompts.
WorkerClass ClassOf(const internal::v1::Register& info);

// A worker that has registered.
struct Worker {
  int64_t id = 0;
  internal::v1::Register info;
  std::shared_ptr<WorkerChannel> channel;
  TimePoint heard_at;                 // its latest message
  internal::v1::Heartbeat heartbeat;  // its latest
};

struct WorkerPoolOptions {
  SilenceOptions silence;
};

// The workers that are linked to this server: who they are, and whether they live. Knows no groups.
// Used on the event loop's thread.
class WorkerPool {
 public:
  // Called from within OnMessage, OnClosed, OnTime and Drop. A Worker& is valid until OnWorkerLost
  // returns.
  class Listener {
   public:
    virtual ~Listener() = default;
    // The model is known from now on. Once, before the first worker arrives.
    virtual void OnModelKnown(const ModelInfo& model) = 0;
    virtual void OnWorkerArrived() = 0;
    // UNAVAILABLE: its process ended, its link closed, or it hung; DEADLINE_EXCEEDED: it fell
    // silent; ABORTED: the same process linked again.
    virtual void OnWorkerLost(Worker& worker, const absl::Status& why) = 0;
    // A worker that this server started has ended before it arrived, the `in_a_row`th time.
    virtual void OnStartFailure(const std::string& why, int in_a_row) = 0;
    // Neither Register nor Heartbeat.
    virtual void OnWorkerMessage(Worker& worker, const internal::v1::ConnectRequest& message) = 0;
  };

  // `launcher` is null when this server starts no workers. `model` is absent when the first worker
  // decides it.
  WorkerPool(const WorkerPoolOptions& options, const Clock& clock, WorkerLauncher* launcher,
             std::optional<ModelInfo> model);

  void SetListener(Listener& listener) { listener_ = &listener; }

  const std::optional<ModelInfo>& model() const { return model_; }

  // A message from a link, registered or not. A worker of another model, or one whose Register is
  // no good, is sent away.
  void OnMessage(const std::shared_ptr<WorkerChannel>& channel,
                 const internal::v1::ConnectRequest& message);
  void OnClosed(const WorkerChannel& channel);

  // The process of a worker that this server started has ended.
  void OnChildEnded(int supervised_index, const std::string& description);

  // Gives a worker up: ends its link, and its process where this server started it. `why` as in
  // OnWorkerLost.
  void Drop(Worker& worker, const absl::Status& why);

  // This server ends: the workers that it started are told to end, the others' links are closed, so
  // that they wait for the next server.
  void DismissAll(const std::string& why);

  // Up to `count` workers of one class, the class that has most of them, without those that may
  // hang; by supervised index, then by age.
  std::vector<Worker*> SelectCompatible(int count) const;

  // In order of arrival.
  std::vector<const Worker*> workers() const;

  // Sends pings and finds silent workers.
  void OnTime(TimePoint now);
  TimePoint NextDue() const;

 private:
  using Workers = std::map<const WorkerChannel*, std::unique_ptr<Worker>>;

  void Register(const std::shared_ptr<WorkerChannel>& channel,
                const internal::v1::Register& message);
  // The status with which a Register is refused.
  absl::Status Admit(const internal::v1::Register& message);
  void Lose(Workers::iterator it, const absl::Status& why);
  void PingAll();
  void DropSilent(TimePoint now);

  const WorkerPoolOptions options_;
  const Clock& clock_;
  WorkerLauncher* const launcher_;
  Listener* listener_ = nullptr;
  std::optional<ModelInfo> model_;
  Workers workers_;
  std::set<int> arrived_;              // supervised indices whose process has registered
  std::map<int, int> start_failures_;  // in a row, by supervised index
  bool dismissed_ = false;             // whoever leaves now is no loss
  int64_t last_id_ = 0;
  int64_t last_ping_ = 0;
  SilenceWatch silence_;
};

}  // namespace tessera
