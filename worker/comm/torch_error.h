#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>

namespace tessera {

// What a caught exception says, without the stack trace that torch's own append.
inline std::string ErrorText(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

}  // namespace tessera
