#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"

namespace tessera {

// The Status of what was thrown. To be called while an exception is being handled. A
// StatusException gives its own Status, exhausted memory (of host or device) RESOURCE_EXHAUSTED,
// anything else INTERNAL. The message leaves out the stack trace that torch appends. This file
// knows torch's exceptions without its headers, so that code that does not build with torch can
// call an engine that throws them.
absl::Status StatusFromCurrentException();

// The same Status's message, for callers that choose the code.
std::string MessageFromCurrentException();

// Calls `function`, which returns a Status or StatusOr; what the function throws becomes the
// Status.
template <typename Function>
std::invoke_result_t<Function> CatchExceptions(Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (...) {
    return StatusFromCurrentException();
  }
}

}  // namespace tessera
