#pragma once

#include <cstdint>
#include <vector>

namespace tessera {

struct TokenizedPrompt {
  std::vector<int64_t> ids;  // cut or padded to the length asked for, control tokens included
  int tokens = 0;            // of the whole prompt, control tokens included, before any cut
};

}  // namespace tessera
