#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/image_client.h"
#include "client/terminal.h"
#include "tessera/v1/image_service.pb.h"

namespace tessera {

enum class ClientCommand { kGenerate, kInfo, kHealth, kAlive };

struct ClientFlags {
  ClientCommand command = ClientCommand::kInfo;
  ImageClientOptions connection;
  v1::GenerateImageRequest request;  // of kGenerate, with what was given
  std::string output;
  std::optional<PictureStyle> picture;  // absent: what the terminal understands, if there is one
};

// Ends the process after --help, --version and a flag that cannot be parsed. NOT_FOUND names a file
// that cannot be read.
absl::StatusOr<ClientFlags> ParseClientFlags(int argc, const char* const* argv);

}  // namespace tessera
