#pragma once

#include <cstdint>
#include <limits>

namespace tessera {

// A unary reply is one gRPC message, which clients take up to this size unless told otherwise.
inline constexpr int64_t kDefaultMaxUnaryReplyBytes = 4 << 20;

// A stream sends its pictures in chunks.
inline constexpr int64_t kMaxStreamReplyBytes = std::numeric_limits<int64_t>::max();

}  // namespace tessera
