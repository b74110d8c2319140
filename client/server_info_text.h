#pragma once

#include <string>

#include "tessera/v1/image_service.pb.h"

namespace tessera {

// For a person to read; lines, each with its end.
std::string ServerInfoText(const v1::GetServerInfoResponse& info);

}  // namespace tessera
