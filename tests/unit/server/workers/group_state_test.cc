#include "server/workers/group_state.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace tessera {
namespace {

TEST(GroupStateTest, HasExactlyTheLegalTransitions) {
  const std::set<std::pair<v1::GroupState, v1::GroupState>> legal = {
      {v1::GROUP_STATE_WAITING, v1::GROUP_STATE_FORMING},
      {v1::GROUP_STATE_FORMING, v1::GROUP_STATE_READY},
      {v1::GROUP_STATE_FORMING, v1::GROUP_STATE_ENDING},
      {v1::GROUP_STATE_READY, v1::GROUP_STATE_BUSY},
      {v1::GROUP_STATE_READY, v1::GROUP_STATE_ENDING},
      {v1::GROUP_STATE_BUSY, v1::GROUP_STATE_READY},
      {v1::GROUP_STATE_BUSY, v1::GROUP_STATE_ENDING},
      {v1::GROUP_STATE_ENDING, v1::GROUP_STATE_WAITING},
      {v1::GROUP_STATE_ENDING, v1::GROUP_STATE_BROKEN},
      {v1::GROUP_STATE_BROKEN, v1::GROUP_STATE_WAITING},
  };
  for (int from = v1::GroupState_MIN; from <= v1::GroupState_MAX; ++from) {
    for (int to = v1::GroupState_MIN; to <= v1::GroupState_MAX; ++to) {
      const auto a = static_cast<v1::GroupState>(from);
      const auto b = static_cast<v1::GroupState>(to);
      EXPECT_EQ(IsLegalTransition(a, b), legal.contains({a, b}))
          << GroupStateName(a) << " -> " << GroupStateName(b);
    }
  }
}

TEST(GroupStateTest, HasShortNames) { EXPECT_EQ(GroupStateName(v1::GROUP_STATE_READY), "ready"); }

}  // namespace
}  // namespace tessera
