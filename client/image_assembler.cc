#include "client/image_assembler.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

constexpr size_t kMaxTotalBytes = size_t{4} << 30;

}  // namespace

absl::Status ImageAssembler::Add(const v1::ImageChunk& chunk) {
  if (last_is_whole_) {
    pngs_.emplace_back();
    last_is_whole_ = false;
  }
  const auto expected = static_cast<int64_t>(pngs_.size()) - 1;
  if (chunk.image_index() != expected) {
    return absl::InternalError(absl::StrCat("the server sent a piece of picture ",
                                            chunk.image_index(), ", expected picture ", expected));
  }
  total_bytes_ += chunk.data().size();
  if (total_bytes_ > kMaxTotalBytes) return absl::InternalError("the server's pictures do not end");
  pngs_.back() += chunk.data();
  last_is_whole_ = chunk.last();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ImageAssembler::Finish() && {
  if (!last_is_whole_) {
    return absl::InternalError(
        absl::StrCat("the server's stream ended within picture ", pngs_.size() - 1));
  }
  return std::move(pngs_);
}

}  // namespace tessera
