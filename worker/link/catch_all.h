#pragma once

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "worker/base/status_exception.h"

namespace tessera {

// INTERNAL with the first line of what was thrown (torch appends a stack trace); the log gets the
// rest.
absl::Status StatusOfThrown(const std::exception& thrown);

// Calls `function`, which returns a Status or StatusOr; what it throws becomes the Status.
template <typename Function>
std::invoke_result_t<Function> CatchAll(Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (const StatusException& thrown) {
    return thrown.status();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of host memory");
  } catch (const std::exception& thrown) {
    return StatusOfThrown(thrown);
  } catch (...) {
    return absl::InternalError("the engine threw what is no std::exception");
  }
}

}  // namespace tessera
