#include "worker/weights/signal_stack.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <thread>

namespace tessera {
namespace {

constexpr int kThreads = 2;
constexpr int kSignals = 1000;

std::atomic<int> on_own_stack, elsewhere;

void CountWhereItRuns(int) {
  stack_t stack = {};
  sigaltstack(nullptr, &stack);
  ++((stack.ss_flags & SS_ONSTACK) != 0 ? on_own_stack : elsewhere);
}

class SignalStackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    on_own_stack = elsewhere = 0;
    struct sigaction action = {};
    action.sa_handler = CountWhereItRuns;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    ASSERT_EQ(sigaction(SIGUSR1, &action, &previous_), 0);
  }
  void TearDown() override { sigaction(SIGUSR1, &previous_, nullptr); }

  static std::set<pid_t> AllThreads() {
    std::set<pid_t> ids;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      ids.insert(std::stoi(task.path().filename()));
    }
    return ids;
  }
  // Calls test(threads) on a new thread, which computes with a team of its own; `threads` are its
  // own and the team's.
  void OnAThreadThatComputes(const std::function<void(const std::set<pid_t>& threads)>& test) {
    at::set_num_threads(kThreads);  // starts a thread that computes nothing
    const std::set<pid_t> before = AllThreads();
    std::jthread([&] {
      at::set_num_threads(kThreads);
      GiveSignalStacks();
      GiveSignalStacks();  // again: nothing changes
      at::linear(x_, weight_, bias_);
      std::set<pid_t> threads;
      for (const pid_t thread : AllThreads()) {
        if (before.count(thread) == 0) threads.insert(thread);
      }
      ASSERT_EQ(threads.size(), static_cast<size_t>(kThreads));
      test(threads);
    }).join();
  }
  // One signal to each; returns when all have been handled.
  static void Signal(const std::set<pid_t>& threads) {
    const int before = on_own_stack + elsewhere;
    for (const pid_t thread : threads) syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
    while (on_own_stack + elsewhere < before + static_cast<int>(threads.size())) {
      std::this_thread::yield();
    }
  }

  const at::Tensor x_ = at::ones({128, 512}), weight_ = at::ones({512, 512}), bias_ = at::ones(512);

 private:
  struct sigaction previous_ = {};
};

TEST_F(SignalStackTest, EveryThreadThatComputesHandlesSignalsOnAStackOfItsOwn) {
  OnAThreadThatComputes([](const std::set<pid_t>& threads) {
    Signal(threads);
    EXPECT_EQ(on_own_stack, kThreads);
    EXPECT_EQ(elsewhere, 0);
  });
}

TEST_F(SignalStackTest, AThousandSignalsLeaveAProductAsItIs) {
  OnAThreadThatComputes([this](const std::set<pid_t>& threads) {
    const at::Tensor expected = at::linear(x_, weight_, bias_);
    std::atomic<bool> done = false;
    const std::jthread sender([&] {
      for (int sent = 0; sent < kSignals; sent += kThreads) Signal(threads);
      done = true;
    });
    bool equal = true;
    while (!done) equal &= at::equal(at::linear(x_, weight_, bias_), expected);
    EXPECT_TRUE(equal);
    EXPECT_EQ(on_own_stack, kSignals);
    EXPECT_EQ(elsewhere, 0);
  });
}

}  // namespace
}  // namespace tessera
