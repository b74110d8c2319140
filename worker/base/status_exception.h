#pragma once

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace tessera {

// Carries a Status through tensor code, which throws. StatusFromCurrentException turns the
// exception back into the Status.
class StatusException : public std::exception {
 public:
  explicit StatusException(absl::Status status)
      : status_(std::move(status)), text_(status_.ToString()) {}
  const absl::Status& status() const { return status_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  absl::Status status_;
  std::string text_;
};

inline void ThrowIfError(const absl::Status& status) {
  if (!status.ok()) throw StatusException(status);
}

}  // namespace tessera
