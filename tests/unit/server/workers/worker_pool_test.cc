#include "server/workers/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/workers/group_harness.h"

namespace tessera {
namespace {

using internal::v1::ConnectResponse;
using ::testing::ElementsAre;
using testing::FakeLink;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RecordingPoolListener final : public WorkerPool::Listener {
 public:
  void OnModelKnown(const ModelInfo& model) override { models.push_back(model.fingerprint); }
  void OnWorkerArrived() override { ++arrived; }
  void OnWorkerLost(Worker& worker, const absl::Status& why) override {
    lost.push_back(worker.info.name() + ": " + std::string(why.message()));
  }
  void OnStartFailure(const std::string& why, int in_a_row) override {
    start_failures.push_back(in_a_row);
    last_start_failure = why;
  }
  void OnWorkerMessage(Worker& worker, const internal::v1::ConnectRequest&) override {
    spoke.push_back(worker.info.name());
  }

  std::vector<std::string> models;
  int arrived = 0;
  std::vector<std::string> lost;
  std::vector<int> start_failures;
  std::string last_start_failure;
  std::vector<std::string> spoke;
};

class WorkerPoolTest : public ::testing::Test {
 protected:
  WorkerPoolTest() { pool_.SetListener(listener_); }

  std::shared_ptr<FakeLink> Arrive(internal::v1::Register registration) {
    internal::v1::ConnectRequest message;
    *message.mutable_register_() = std::move(registration);
    auto link = std::make_shared<FakeLink>();
    pool_.OnMessage(link, message);
    return link;
  }
  std::shared_ptr<FakeLink> Arrive(const std::string& name, int supervised_index = -1) {
    internal::v1::Register registration = testing::FakeRegistration(name);
    registration.set_supervised_index(supervised_index);
    return Arrive(registration);
  }
  void Heartbeat(const std::shared_ptr<FakeLink>& link) {
    internal::v1::ConnectRequest message;
    message.mutable_heartbeat();
    pool_.OnMessage(link, message);
  }
  void Pass(double seconds) {
    clock_.Advance(seconds);
    pool_.OnTime(clock_.Now());
  }
  std::vector<std::string> Picked(int count) {
    std::vector<std::string> names;
    for (const Worker* worker : pool_.SelectCompatible(count)) names.push_back(worker->info.name());
    return names;
  }

  testing::FakeClock clock_;
  testing::FakeLauncher launcher_;
  RecordingPoolListener listener_;
  WorkerPool pool_{WorkerPoolOptions(), clock_, &launcher_, std::nullopt};
};

TEST_F(WorkerPoolTest, WelcomesAWorkerAndLearnsTheModel) {
  const auto link = Arrive("a");
  EXPECT_EQ(link->Count(ConnectResponse::kWelcome), 1);
  EXPECT_EQ(link->Last(ConnectResponse::kWelcome).welcome().heartbeat_interval_ms(), 500);
  EXPECT_THAT(listener_.models, ElementsAre("0123456789abcdef"));
  EXPECT_EQ(listener_.arrived, 1);
}

TEST_F(WorkerPoolTest, SendsAwayAWorkerOfAnotherModel) {
  Arrive("a");
  internal::v1::Register other = testing::FakeRegistration("b");
  other.mutable_model()->set_fingerprint("fedcba9876543210");
  const auto link = Arrive(other);
  ASSERT_TRUE(link->closed.has_value());
  EXPECT_EQ(link->closed->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(listener_.models, ElementsAre("0123456789abcdef"));
  EXPECT_EQ(listener_.arrived, 1);
}

TEST_F(WorkerPoolTest, SendsAwayAWorkerWhoseModelMakesNoSense) {
  internal::v1::Register registration = testing::FakeRegistration("a");
  registration.mutable_model()->set_max_images(0);
  const auto link = Arrive(registration);
  ASSERT_TRUE(link->closed.has_value());
  EXPECT_THAT(std::string(link->closed->message()), HasSubstr("max_images"));
  EXPECT_THAT(listener_.models, IsEmpty());
}

TEST_F(WorkerPoolTest, IgnoresALinkThatHasNotRegistered) {
  auto link = std::make_shared<FakeLink>();
  Heartbeat(link);
  pool_.OnClosed(*link);
  EXPECT_THAT(listener_.lost, IsEmpty());
}

TEST_F(WorkerPoolTest, LosesAWorkerAtOnceWhenItsLinkIsClosed) {
  const auto link = Arrive("a");
  pool_.OnClosed(*link);
  EXPECT_THAT(listener_.lost, ElementsAre("a: its link was closed"));
  EXPECT_THAT(launcher_.killed, IsEmpty());
}

TEST_F(WorkerPoolTest, PingsAtTheInterval) {
  const auto link = Arrive("a");
  for (int i = 0; i < 4; ++i) Pass(0.25);
  EXPECT_EQ(link->Count(ConnectResponse::kPing), 2);
}

TEST_F(WorkerPoolTest, DropsAndKillsAWorkerThatIsSilentForTwoSeconds) {
  const auto silent = Arrive("a", 7);
  const auto answering = Arrive([] {
    internal::v1::Register other = testing::FakeRegistration("b");
    other.set_pid(2);
    return other;
  }());
  for (int i = 0; i < 3; ++i) {
    Pass(0.5);
    Heartbeat(answering);
  }
  EXPECT_THAT(listener_.lost, IsEmpty());
  Pass(0.5);
  EXPECT_THAT(listener_.lost, ElementsAre(HasSubstr("a: it was silent for 2 s")));
  EXPECT_THAT(launcher_.arrived, ElementsAre(7));
  EXPECT_THAT(launcher_.killed, ElementsAre(7));
  EXPECT_TRUE(silent->closed.has_value());
}

TEST_F(WorkerPoolTest, BlamesNoWorkerForTheServersOwnPause) {
  const auto link = Arrive("a");
  Pass(30);  // the event loop did not turn
  EXPECT_THAT(listener_.lost, IsEmpty());
  Heartbeat(link);
  for (int i = 0; i < 4; ++i) Pass(0.5);
  EXPECT_EQ(listener_.lost.size(), 1u);
}

TEST_F(WorkerPoolTest, AProcessThatLinksAgainReplacesItsOldLink) {
  const auto old_link = Arrive("a");
  const auto new_link = Arrive("a");
  EXPECT_THAT(listener_.lost, ElementsAre("a: linked again"));
  EXPECT_TRUE(old_link->closed.has_value());
  pool_.OnClosed(*old_link);
  EXPECT_EQ(pool_.workers().size(), 1u);
}

TEST_F(WorkerPoolTest, PicksEqualWorkersOnly) {
  const auto with = [](const std::string& name, int pid, auto change) {
    internal::v1::Register registration = testing::FakeRegistration(name);
    registration.set_pid(pid);
    change(registration);
    return registration;
  };
  const auto same = [](internal::v1::Register&) {};
  Arrive(with("a", 1, same));
  Arrive(with("dtype", 2, [](auto& r) { r.set_dtype("bfloat16"); }));
  Arrive(with("threads", 3, [](auto& r) { r.set_threads(2); }));
  Arrive(with("kind", 4, [](auto& r) { r.set_device_kind("GPU"); }));
  Arrive(with("build", 5, [](auto& r) { r.set_build("other"); }));
  Arrive(with("b", 6, same));
  EXPECT_THAT(Picked(3), ElementsAre("a", "b"));
  Arrive(with("c", 7, same));
  EXPECT_THAT(Picked(2), ElementsAre("a", "b"));
  EXPECT_THAT(Picked(3), ElementsAre("a", "b", "c"));
}

TEST_F(WorkerPoolTest, TellsChildrenToLeaveAndClosesOtherLinks) {
  const auto child = Arrive("a", 0);
  const auto external = Arrive([] {
    internal::v1::Register other = testing::FakeRegistration("b");
    other.set_pid(2);
    return other;
  }());
  pool_.DismissAll("the server stops");
  EXPECT_EQ(child->Count(ConnectResponse::kLeave), 1);
  EXPECT_FALSE(child->closed.has_value());
  EXPECT_EQ(external->Count(ConnectResponse::kLeave), 0);
  ASSERT_TRUE(external->closed.has_value());
  EXPECT_EQ(external->closed->code(), absl::StatusCode::kUnavailable);
}

TEST_F(WorkerPoolTest, CountsChildrenThatEndBeforeTheyArrive) {
  pool_.OnChildEnded(0, "exit code 1");
  pool_.OnChildEnded(0, "exit code 1");
  EXPECT_THAT(listener_.start_failures, ElementsAre(1, 2));
  EXPECT_THAT(listener_.last_start_failure, HasSubstr("exit code 1"));
  Arrive("a", 0);
  pool_.OnChildEnded(0, "signal 9 (Killed)");
  EXPECT_THAT(listener_.lost, ElementsAre(HasSubstr("signal 9")));
  pool_.OnChildEnded(0, "exit code 1");
  EXPECT_THAT(listener_.start_failures, ElementsAre(1, 2, 1));
}

TEST_F(WorkerPoolTest, AChildWhoseClosedLinkWasSeenFirstDidStart) {
  const auto link = Arrive("a", 0);
  pool_.OnClosed(*link);
  pool_.OnChildEnded(0, "signal 9 (Killed)");
  EXPECT_THAT(listener_.start_failures, IsEmpty());
  EXPECT_EQ(listener_.lost.size(), 1u);
}

}  // namespace
}  // namespace tessera
