#include "server/request/utf8.h"

#include <cstddef>
#include <cstdint>

namespace tessera {
namespace {

struct LeadByte {
  int continuation_bytes;  // -1: not a lead byte
  uint32_t bits;           // of the code point, in the lead byte
  uint32_t smallest;       // code point that needs this length
};

LeadByte ParseLead(uint8_t byte) {
  if (byte < 0x80) return {0, byte, 0};
  if ((byte & 0xE0) == 0xC0) return {1, byte & 0x1Fu, 0x80};
  if ((byte & 0xF0) == 0xE0) return {2, byte & 0x0Fu, 0x800};
  if ((byte & 0xF8) == 0xF0) return {3, byte & 0x07u, 0x10000};
  return {-1, 0, 0};
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const LeadByte lead = ParseLead(static_cast<uint8_t>(text[i++]));
    if (lead.continuation_bytes < 0) return false;
    uint32_t code_point = lead.bits;
    for (int k = 0; k < lead.continuation_bytes; ++k, ++i) {
      if (i >= text.size() || (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80) return false;
      code_point = code_point << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
    }
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    if (code_point < lead.smallest || code_point > 0x10FFFF || surrogate) return false;
  }
  return true;
}

}  // namespace tessera
