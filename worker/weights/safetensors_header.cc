#include "worker/weights/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/quote.h"
#include "common/base/status_macros.h"
#include "worker/weights/safetensors_json.h"

namespace tessera {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

struct Dtype {
  const char* name;
  at::ScalarType type;
};

constexpr std::array<Dtype, 12> kDtypes = {{{"F64", at::kDouble},
                                            {"F32", at::kFloat},
                                            {"F16", at::kHalf},
                                            {"BF16", at::kBFloat16},
                                            {"I64", at::kLong},
                                            {"I32", at::kInt},
                                            {"I16", at::kShort},
                                            {"I8", at::kChar},
                                            {"U8", at::kByte},
                                            {"BOOL", at::kBool},
                                            {"F8_E4M3", at::kFloat8_e4m3fn},
                                            {"F8_E5M2", at::kFloat8_e5m2}}};

std::optional<at::ScalarType> ScalarTypeOf(const std::string& name) {
  for (const Dtype& dtype : kDtypes) {
    if (name == dtype.name) return dtype.type;
  }
  return std::nullopt;
}

// Sets entry.type and checks the entry against itself.
absl::Status ResolveType(const std::string& name, TensorEntry& entry) {
  int64_t count = 1;        // elements
  int64_t upper_bound = 1;  // the same with zeros taken as ones: what strides are made of
  for (const int64_t size : entry.shape) {
    count = size == 0 ? 0 : count;
    if (__builtin_mul_overflow(upper_bound, std::max<int64_t>(size, 1), &upper_bound)) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", Quote(name), ": shape [",
                                                     absl::StrJoin(entry.shape, ", "),
                                                     "] has too many elements"));
    }
  }
  count = count == 0 ? 0 : upper_bound;
  entry.type = ScalarTypeOf(entry.dtype);
  if (!entry.type.has_value()) return absl::OkStatus();
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(count), c10::elementSize(*entry.type), &bytes) ||
      entry.end - entry.begin != bytes) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", Quote(name), ": data_offsets [",
                                                   entry.begin, ", ", entry.end, "] do not fit ",
                                                   DescribeTensor(entry.dtype, entry.shape)));
  }
  return absl::OkStatus();
}

// Checks that the tensors fill data_size bytes without overlap or hole.
absl::Status CheckLayout(const SafetensorsHeader& header, uint64_t data_size) {
  std::vector<std::pair<const std::string*, const TensorEntry*>> order;
  order.reserve(header.tensors.size());
  for (const auto& [name, entry] : header.tensors) order.emplace_back(&name, &entry);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  uint64_t position = 0;
  for (const auto& [name, entry] : order) {
    if (entry->begin != position) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", Quote(*name), ": begins at ", entry->begin, " of the data where ", position,
          " was expected: ", entry->begin < position ? "it overlaps another" : "there is a hole"));
    }
    position = entry->end;
  }
  if (position > data_size) {
    return absl::DataLossError(absl::StrCat("truncated: the data has ", data_size,
                                            " bytes where the header promises ", position));
  }
  if (position < data_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(data_size - position, " bytes follow the last tensor"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view file) {
  uint64_t header_size = 0;
  if (file.size() < sizeof(header_size)) {
    return absl::DataLossError("truncated: shorter than the 8 bytes of the header's size");
  }
  std::memcpy(&header_size, file.data(), sizeof(header_size));
  if (header_size > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("header of ", header_size, " bytes: expected at most ", kMaxHeaderBytes));
  }
  file.remove_prefix(sizeof(header_size));
  if (header_size > file.size()) {
    return absl::DataLossError(absl::StrCat("truncated: ", file.size(),
                                            " bytes follow where a header of ", header_size,
                                            " bytes was expected"));
  }
  TESSERA_ASSIGN_OR_RETURN(SafetensorsHeader header,
                           ParseSafetensorsJson(file.substr(0, header_size)));
  for (auto& [name, entry] : header.tensors) {
    if (entry.begin > entry.end) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", Quote(name), ": data_offsets [",
                                                     entry.begin, ", ", entry.end,
                                                     "] run backwards"));
    }
    TESSERA_RETURN_IF_ERROR(ResolveType(name, entry));
  }
  TESSERA_RETURN_IF_ERROR(CheckLayout(header, file.size() - header_size));
  for (auto& [name, entry] : header.tensors) {
    entry.begin += sizeof(header_size) + header_size;
    entry.end += sizeof(header_size) + header_size;
  }
  return header;
}

std::string SafetensorsDtype(at::ScalarType type) {
  for (const Dtype& dtype : kDtypes) {
    if (type == dtype.type) return dtype.name;
  }
  return "";
}

std::string DescribeTensor(const std::string& dtype, const std::vector<int64_t>& shape) {
  return absl::StrCat(dtype, " [", absl::StrJoin(shape, ", "), "]");
}

}  // namespace tessera
