#include "server/jobs/picture_encoder.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

constexpr unsigned kMaxThreads = 4;

absl::StatusOr<std::string> EncodeOne(const std::string& rgb, int width, int height,
                                      const PngText& settings) {
  try {
    const std::span bytes(reinterpret_cast<const uint8_t*>(rgb.data()), rgb.size());
    return EncodePng(bytes, width, height, settings);
  } catch (const std::exception& e) {  // the only kind is lack of memory
    return absl::ResourceExhaustedError(absl::StrCat("the server has no memory: ", e.what()));
  }
}

}  // namespace

struct PngThreads::Batch {
  Pictures pictures;
  Done done;
  std::vector<absl::StatusOr<std::string>> pngs;
  std::atomic<size_t> left;

  absl::StatusOr<std::vector<std::string>> TakeResult() {
    std::vector<std::string> result;
    for (absl::StatusOr<std::string>& png : pngs) {
      if (!png.ok()) return png.status();
      result.push_back(*std::move(png));
    }
    return result;
  }
};

PngThreads::PngThreads(EventLoop& loop) : loop_(loop) {
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1u, kMaxThreads);
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

PngThreads::~PngThreads() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
}

void PngThreads::Encode(Pictures pictures, Done done) {
  auto batch = std::make_shared<Batch>();
  const size_t count = pictures.rgb.size();
  batch->pictures = std::move(pictures);
  batch->done = std::move(done);
  batch->pngs.resize(count, std::string());
  batch->left = count;
  {
    MutexLock lock(mutex_);
    for (size_t i = 0; i < count; ++i) tasks_.push_back({.batch = batch, .picture = i});
  }
  wake_.notify_all();
}

void PngThreads::Work() {
  for (;;) {
    Task task;
    {
      MutexLock lock(mutex_);
      while (!stopped_ && tasks_.empty()) wake_.wait(mutex_);
      if (stopped_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    Batch& batch = *task.batch;
    const std::string rgb = std::move(batch.pictures.rgb[task.picture]);  // freed once encoded
    batch.pngs[task.picture] =
        EncodeOne(rgb, batch.pictures.width, batch.pictures.height, batch.pictures.settings);
    if (--batch.left > 0) continue;
    loop_.Post([batch = std::move(task.batch)] { batch->done(batch->TakeResult()); });
  }
}

}  // namespace tessera
