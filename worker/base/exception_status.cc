#include "worker/base/exception_status.h"

#include <cxxabi.h>

#include <exception>
#include <new>
#include <string_view>
#include <typeinfo>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/base/status_exception.h"

namespace tessera {
namespace {

// typeid(c10::OutOfMemoryError).name(): what the allocators of devices throw.
constexpr std::string_view kDeviceOutOfMemory = "N3c1016OutOfMemoryErrorE";

// All that tells ATen's allocator of host memory from other errors.
constexpr std::string_view kHostOutOfMemory = "DefaultCPUAllocator: can't allocate";

// What torch puts before a stack trace.
constexpr std::string_view kTraces[] = {"\nException raised from ", "\nframe #"};

std::string WithoutTrace(std::string_view what) {
  for (const std::string_view trace : kTraces) what = what.substr(0, what.find(trace));
  return std::string(what);
}

bool CurrentExceptionIs(std::string_view type_name) {
  return abi::__cxa_current_exception_type()->name() == type_name;
}

}  // namespace

absl::Status StatusFromCurrentException() {
  try {
    throw;
  } catch (const StatusException& e) {
    return e.status();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of host memory");
  } catch (const std::exception& e) {
    const std::string what = WithoutTrace(e.what());
    if (CurrentExceptionIs(kDeviceOutOfMemory)) {
      return absl::ResourceExhaustedError(absl::StrCat("out of device memory: ", what));
    }
    if (absl::StrContains(what, std::string(kHostOutOfMemory))) {
      return absl::ResourceExhaustedError(absl::StrCat("out of host memory: ", what));
    }
    return absl::InternalError(what);
  } catch (...) {
    return absl::InternalError("an exception that is no std::exception");
  }
}

std::string MessageFromCurrentException() {
  return std::string(StatusFromCurrentException().message());
}

}  // namespace tessera
