#include "worker/link/catch_all.h"

#include <string>
#include <string_view>

#include "spdlog/spdlog.h"

namespace tessera {

absl::Status StatusOfThrown(const std::exception& thrown) {
  const std::string_view text = thrown.what();
  spdlog::error("event=engine_threw what=\"{}\"", text);
  return absl::InternalError(std::string(text.substr(0, text.find('\n'))));
}

}  // namespace tessera
