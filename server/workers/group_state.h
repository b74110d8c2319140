#pragma once

#include <string>

#include "tessera/v1/image_service.pb.h"

namespace tessera {

// The states are v1::GroupState's. Every transition a group may take:
//   WAITING -> FORMING           enough equal workers are there
//   FORMING -> READY             every rank has joined
//           -> ENDING            a rank failed to join or was lost, or it took too long
//   READY   -> BUSY              a job begins
//           -> ENDING            a rank was lost or left
//   BUSY    -> READY             every rank has reported and the group is whole
//           -> ENDING            a rank was lost, failed, or made no progress
//   ENDING  -> WAITING           every rank has left or is lost
//           -> BROKEN            the same, and the epoch never became READY
//   BROKEN  -> WAITING           its time has come, or a worker arrived
bool IsLegalTransition(v1::GroupState from, v1::GroupState to);

// "ready" for GROUP_STATE_READY.
std::string GroupStateName(v1::GroupState state);

}  // namespace tessera
