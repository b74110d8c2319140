#pragma once

#include <ATen/ATen.h>

#include <string>

#include "tests/support/golden.h"

namespace tessera::testing {

// The golden token ids as an encoder takes them: int64 [prompts, tokens].
inline at::Tensor GoldenIds(const std::string& name) { return Golden(name).to(at::kLong); }

// The prompts whose states are stored in full: a short one and a very long one.
inline at::Tensor StoredPrompts() { return at::tensor({0, 9}, at::kLong); }

}  // namespace tessera::testing
