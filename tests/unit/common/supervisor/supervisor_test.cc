#include "common/supervisor/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

extern "C" {  // glibc 2.36's header lacks it
#include <sys/pidfd.h>
}

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/supervisor/worker_binary.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ChildCommand Shell(const std::string& script) {
  return {.binary = "/bin/sh", .args = {"-c", script}, .environment = {}};
}

ChildCommand Sleeper() { return {.binary = "/bin/sleep", .args = {"3600"}, .environment = {}}; }

// Collects exits and gives the same answer to each.
class Exits {
 public:
  explicit Exits(AfterExit answer) : answer_(answer) {}

  Supervisor::ExitCallback Callback() {
    return [this](const ChildExit& exit) {
      std::lock_guard lock(mutex_);
      exits_.push_back(exit);
      changed_.notify_all();
      return answer_;
    };
  }

  ChildExit Next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !exits_.empty(); });
    ChildExit exit = exits_.front();
    exits_.pop_front();
    return exit;
  }

 private:
  const AfterExit answer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ChildExit> exits_;
};

std::unique_ptr<Supervisor> StartOrDie(std::vector<ChildCommand> commands, Exits& exits,
                                       const SupervisorOptions& options = {}) {
  auto supervisor = Supervisor::Start(std::move(commands), options, exits.Callback());
  if (!supervisor.ok()) ADD_FAILURE() << supervisor.status();
  return *std::move(supervisor);
}

// How `script` ends as a child.
std::string DescribeExit(const ChildCommand& command) {
  Exits exits(AfterExit::kStayEnded);
  auto supervisor = StartOrDie({command}, exits);
  return exits.Next().description;
}

// Waits until any process, child or not, has ended.
void WaitForEnd(const UniqueFd& pidfd) {
  pollfd watched = {.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&watched, 1, -1), 1);
}

// A child writes a line into it when it has come so far.
class Milestone {
 public:
  Milestone() : path_(absl::StrCat(testing::TempDir(), "/milestone-", getpid())) {
    std::filesystem::remove(path_);
    if (mkfifo(path_.c_str(), 0600) != 0) ADD_FAILURE() << "mkfifo " << path_;
  }
  ~Milestone() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }
  std::string Wait() const {
    std::ifstream fifo(path_);
    std::string line;
    std::getline(fifo, line);
    return line;
  }

 private:
  std::string path_;
};

TEST(SupervisorTest, DescribesAnExitCode) {
  EXPECT_EQ(DescribeExit(Shell("exit 3")), "exit code 3");
}

TEST(SupervisorTest, DescribesASignal) {
  EXPECT_EQ(DescribeExit(Shell("kill -KILL $$")), "signal 9 (Killed)");
}

TEST(SupervisorTest, DescribesWhatCannotBeExecuted) {
  const std::string path = absl::StrCat(testing::TempDir(), "/not-a-program-", getpid());
  std::ofstream(path) << "no program";
  ASSERT_EQ(chmod(path.c_str(), 0755), 0);
  EXPECT_EQ(DescribeExit({.binary = path, .args = {}, .environment = {}}),
            "exit code 127 (could not be executed)");
  std::filesystem::remove(path);
}

TEST(SupervisorTest, RefusesAMissingBinary) {
  const auto supervisor =
      Supervisor::Start({{.binary = "/nowhere/tessera-worker", .args = {}, .environment = {}}}, {},
                        [](const ChildExit&) { return AfterExit::kStayEnded; });
  EXPECT_EQ(supervisor.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(supervisor.status().message(), HasSubstr("/nowhere/tessera-worker"));
}

TEST(SupervisorTest, ChildSeesItsEnvironmentOverOurs) {
  setenv("SUPERVISOR_TEST_OURS", "ours", 1);
  setenv("SUPERVISOR_TEST_BOTH", "ours", 1);
  ChildCommand command =
      Shell(R"([ "$SUPERVISOR_TEST_OURS$SUPERVISOR_TEST_BOTH" = ourschild ] && exit 42)");
  command.environment = {"SUPERVISOR_TEST_BOTH=child"};
  EXPECT_EQ(DescribeExit(command), "exit code 42");
}

TEST(SupervisorTest, ChildInheritsNoOtherDescriptor) {
  const int leaky = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GT(leaky, 2);
  EXPECT_EQ(DescribeExit(Shell(absl::StrCat("[ -e /proc/$$/fd/2 ] && [ ! -e /proc/$$/fd/", leaky,
                                            " ] && exit 42"))),
            "exit code 42");
  close(leaky);
}

TEST(SupervisorTest, ChildHasDefaultSignalHandling) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, nullptr);  // as a server that waits for signals does
  const auto previous = signal(SIGTERM, SIG_IGN);
  EXPECT_EQ(DescribeExit(Shell("kill -TERM $$; exit 0")), "signal 15 (Terminated)");
  signal(SIGTERM, previous);
  pthread_sigmask(SIG_UNBLOCK, &term, nullptr);
}

TEST(SupervisorTest, RespawnsAChildThatEnds) {
  Exits exits(AfterExit::kRespawn);
  auto supervisor = StartOrDie({Sleeper(), Shell("exit 1")}, exits, {.first_backoff_s = 0});
  const ChildExit first = exits.Next();
  const ChildExit second = exits.Next();
  EXPECT_EQ(first.index, 1);
  EXPECT_EQ(second.index, 1);
  EXPECT_NE(first.pid, second.pid);
}

TEST(SupervisorTest, KillEndsEvenAStoppedChild) {
  Exits exits(AfterExit::kStayEnded);
  Milestone stopping;
  auto supervisor = StartOrDie({Shell("echo > " + stopping.path() + "; kill -STOP $$")}, exits);
  stopping.Wait();
  supervisor->Kill(0);
  EXPECT_EQ(exits.Next().description, "signal 9 (Killed)");
}

TEST(SupervisorTest, StaysEndedUntilRespawn) {
  Exits exits(AfterExit::kStayEnded);
  auto supervisor = StartOrDie({Shell("exit 1")}, exits);
  exits.Next();
  EXPECT_EQ(supervisor->pid(0), -1);
  supervisor->Respawn(0);
  EXPECT_EQ(exits.Next().short_lives, 2);
}

TEST(SupervisorTest, BackoffDoublesWithShortLivesUpToItsLimit) {
  Exits exits(AfterExit::kStayEnded);
  auto supervisor = StartOrDie({Shell("exit 1")}, exits,
                               {.short_life_s = 3600, .first_backoff_s = 1, .max_backoff_s = 3});
  std::vector<double> backoffs;
  for (int i = 0; i < 4; ++i) {
    backoffs.push_back(exits.Next().backoff_s);
    supervisor->Respawn(0);
  }
  EXPECT_THAT(backoffs, testing::ElementsAre(1, 2, 3, 3));
}

TEST(SupervisorTest, NoBackoffAfterALongLife) {
  Exits exits(AfterExit::kStayEnded);
  auto supervisor = StartOrDie({Shell("exit 1")}, exits, {.short_life_s = 0, .first_backoff_s = 1});
  const ChildExit exit = exits.Next();
  EXPECT_EQ(exit.short_lives, 0);
  EXPECT_EQ(exit.backoff_s, 0);
}

TEST(SupervisorTest, NoBackoffAfterAHealthyLife) {
  Exits exits(AfterExit::kStayEnded);
  auto supervisor = StartOrDie({Sleeper()}, exits, {.short_life_s = 3600, .first_backoff_s = 1});
  supervisor->Kill(0);
  EXPECT_EQ(exits.Next().backoff_s, 1);
  supervisor->Respawn(0);
  while (supervisor->pid(0) < 0) std::this_thread::yield();
  supervisor->MarkHealthy(0);
  supervisor->Kill(0);
  EXPECT_EQ(exits.Next().backoff_s, 0);
}

TEST(SupervisorTest, StopSendsSigterm) {
  Exits exits(AfterExit::kRespawn);
  Milestone milestone;
  // A second reader-writer end keeps the fifo's line until the test reads it.
  const UniqueFd fifo(open(milestone.path().c_str(), O_RDWR | O_CLOEXEC));
  auto supervisor = StartOrDie(
      {Shell("trap 'echo terminated > " + milestone.path() + "; exit 0' TERM; echo ready > " +
             milestone.path() + "; while :; do sleep 0.01; done")},
      exits, {.stop_grace_s = 3600});
  char line[32] = {};
  ASSERT_GT(read(fifo.get(), line, sizeof line - 1), 0);
  EXPECT_STREQ(line, "ready\n");
  supervisor->Stop();
  std::fill(std::begin(line), std::end(line), '\0');
  ASSERT_GT(read(fifo.get(), line, sizeof line - 1), 0);
  EXPECT_STREQ(line, "terminated\n");
  EXPECT_EQ(supervisor->pid(0), -1);
}

TEST(SupervisorTest, StopKillsWhatIgnoresSigterm) {
  Exits exits(AfterExit::kRespawn);
  Milestone ready;
  auto supervisor =
      StartOrDie({Shell("trap '' TERM; echo > " + ready.path() + "; while :; do sleep 0.01; done")},
                 exits, {.stop_grace_s = 0.01});
  ready.Wait();
  const UniqueFd child(pidfd_open(supervisor->pid(0), 0));
  supervisor->Stop();
  WaitForEnd(child);
  EXPECT_EQ(supervisor->pid(0), -1);
}

// The kernel's signal: sleep watches no pipe.
TEST(SupervisorTest, ChildrenDieWithAParentThatIsKilled) {
  Milestone pids;
  Exits exits(AfterExit::kStayEnded);
  auto supervisor =
      StartOrDie({Shell(absl::StrCat("exec ", SUPERVISING_PARENT, " > ", pids.path()))}, exits);
  std::vector<UniqueFd> children;
  {
    std::ifstream lines(pids.path());
    for (std::string line; children.size() < 3 && std::getline(lines, line);) {
      children.emplace_back(pidfd_open(std::stoi(line), 0));
      ASSERT_GE(children.back().get(), 0);
    }
  }
  ASSERT_EQ(children.size(), 3u);
  supervisor->Kill(0);
  for (const UniqueFd& child : children) WaitForEnd(child);
}

TEST(FindWorkerBinaryTest, NamesBothPlacesWhenItIsInNeither) {
  const auto binary = FindWorkerBinary();
  EXPECT_EQ(binary.status().code(), absl::StatusCode::kNotFound);
  const std::string here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  EXPECT_THAT(binary.status().message(),
              AllOf(HasSubstr(here + "/tessera-worker"), HasSubstr("/worker/tessera-worker")));
}

}  // namespace
}  // namespace tessera
