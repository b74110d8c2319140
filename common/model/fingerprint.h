#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tessera {

class Checkpoint;

// 16 hex digits of SHA-256 over what decides a checkpoint's pictures: its configs and tokenizer
// files whole, and of each weight file the name, size, header and 16 samples of 64 KiB, so that the
// largest checkpoint takes milliseconds. Not over tessera.json. Two checkpoints that differ in a
// few weights only may share it. Errors name the file.
absl::StatusOr<std::string> CheckpointFingerprint(const Checkpoint& checkpoint);

}  // namespace tessera
