#pragma once

#include <string>
#include <utility>
#include <vector>

#include "server/jobs/picture_encoder.h"

namespace tessera::testing {

// Makes "png" of every picture: at once, or when the test says so.
class FakePictureEncoder final : public PictureEncoder {
 public:
  void Encode(Pictures pictures, Done done) override {
    asked.push_back(std::move(pictures));
    held_.push_back(std::move(done));
    if (!hold) FinishOne();
  }

  // The first that waits, with a PNG of each picture or with an error.
  void FinishOne(const absl::Status& status = absl::OkStatus()) {
    Done done = std::move(held_.front());
    held_.erase(held_.begin());
    if (!status.ok()) return done(status);
    done(std::vector<std::string>(asked[asked.size() - held_.size() - 1].rgb.size(), "png"));
  }

  bool hold = false;
  std::vector<Pictures> asked;

 private:
  std::vector<Done> held_;
};

}  // namespace tessera::testing
