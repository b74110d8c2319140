#include "server/workers/group_state.h"

#include "absl/strings/ascii.h"

namespace tessera {

bool IsLegalTransition(v1::GroupState from, v1::GroupState to) {
  switch (from) {
    case v1::GROUP_STATE_WAITING:
      return to == v1::GROUP_STATE_FORMING;
    case v1::GROUP_STATE_FORMING:
      return to == v1::GROUP_STATE_READY || to == v1::GROUP_STATE_ENDING;
    case v1::GROUP_STATE_READY:
      return to == v1::GROUP_STATE_BUSY || to == v1::GROUP_STATE_ENDING;
    case v1::GROUP_STATE_BUSY:
      return to == v1::GROUP_STATE_READY || to == v1::GROUP_STATE_ENDING;
    case v1::GROUP_STATE_ENDING:
      return to == v1::GROUP_STATE_WAITING || to == v1::GROUP_STATE_BROKEN;
    case v1::GROUP_STATE_BROKEN:
      return to == v1::GROUP_STATE_WAITING;
    default:
      return false;
  }
}

std::string GroupStateName(v1::GroupState state) {
  constexpr size_t kPrefix = sizeof("GROUP_STATE_") - 1;
  return absl::AsciiStrToLower(v1::GroupState_Name(state).substr(kPrefix));
}

}  // namespace tessera
