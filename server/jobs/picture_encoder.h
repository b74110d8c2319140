#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/png/png.h"
#include "server/loop/event_loop.h"

namespace tessera {

// The pictures of one job.
struct Pictures {
  std::vector<std::string> rgb;  // RGB8, [height, width, 3] each
  int width = 0;                 // pixels
  int height = 0;                // pixels
  PngText settings;
};

// Writes PNGs, so that neither the event loop nor a group of workers has to: the group begins its
// next job meanwhile.
class PictureEncoder {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>> pngs)>;

  virtual ~PictureEncoder() = default;

  // Returns at once; called on the event loop's thread, and so is `done`: once, or never when the
  // encoder ends first. Errors are EncodePng's, and RESOURCE_EXHAUSTED.
  virtual void Encode(Pictures pictures, Done done) = 0;
};

// A few threads of the server's, a picture for each.
class PngThreads final : public PictureEncoder {
 public:
  explicit PngThreads(EventLoop& loop);  // outlives it
  ~PngThreads() override;                // waits for the pictures that are being encoded

  void Encode(Pictures pictures, Done done) override;

 private:
  struct Batch;
  struct Task {
    std::shared_ptr<Batch> batch;
    size_t picture = 0;
  };

  void Work();

  EventLoop& loop_;
  Mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace tessera
