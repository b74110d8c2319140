#pragma once

#include <dlfcn.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace tessera {

// A library that is loaded when it is needed, with its functions. It stays for the rest of the
// process: it may have threads of its own. Thread-safe.
class SharedLibrary {
 public:
  // FAILED_PRECONDITION says what is missing; `what` is the library's name for people.
  static absl::StatusOr<SharedLibrary> Open(const std::string& what, const char* file) {
    const SharedLibrary library(what, dlopen(file, RTLD_NOW | RTLD_LOCAL));
    if (library.handle_ == nullptr) return library.Error();
    return library;
  }

  // The same error for a function that it does not have.
  template <typename R, typename... Arguments>
  absl::Status Find(const char* name, std::function<R(Arguments...)>& function) const {
    auto* const found = reinterpret_cast<R (*)(Arguments...)>(dlsym(handle_, name));
    if (found == nullptr) return Error();
    function = found;
    return absl::OkStatus();
  }

 private:
  SharedLibrary(const std::string& what, void* handle) : what_(what), handle_(handle) {}

  absl::Status Error() const {
    const char* const error = dlerror();
    return absl::FailedPreconditionError(
        absl::StrCat("cannot load ", what_, ": ", error == nullptr ? "unknown error" : error));
  }

  std::string what_;
  void* handle_;
};

}  // namespace tessera
