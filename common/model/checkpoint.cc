#include "common/model/checkpoint.h"

#include <cstddef>

#include "common/base/status_macros.h"
#include "common/model/checkpoint_folder.h"

namespace tessera {

std::string PartName(Part part) {
  constexpr std::array kNames = {"scheduler", "text_encoder", "text_encoder_2",
                                 "tokenizer", "tokenizer_2",  "transformer",
                                 "vae"};
  static_assert(kNames.size() == kAllParts.size());
  return kNames[static_cast<size_t>(part)];
}

absl::StatusOr<std::shared_ptr<const Checkpoint>> Checkpoint::Open(const std::string& path) {
  auto folder = std::make_shared<const CheckpointFolder>(path);
  TESSERA_RETURN_IF_ERROR(folder->CheckIndex());
  return folder;
}

}  // namespace tessera
