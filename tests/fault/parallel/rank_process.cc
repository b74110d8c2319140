#include "tests/fault/parallel/rank_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "absl/strings/match.h"

namespace tessera {
namespace {

constexpr int kPatienceMs = 60'000;

}  // namespace

RankProcess::RankProcess() {
  int input[2];
  int output[2];
  EXPECT_EQ(pipe2(input, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(output, O_CLOEXEC), 0);
  const UniqueFd child_input(input[0]);
  const UniqueFd child_output(output[1]);
  to_ = UniqueFd(input[1]);
  from_ = UniqueFd(output[0]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), STDOUT_FILENO);
  std::string name = TESSERA_RANK_PROGRAM;
  std::string threads = "OMP_NUM_THREADS=1";
  char* arguments[] = {name.data(), nullptr};
  char* environment[] = {threads.data(), nullptr};
  EXPECT_EQ(posix_spawn(&pid_, name.c_str(), &actions, nullptr, arguments, environment), 0);
  posix_spawn_file_actions_destroy(&actions);
}

RankProcess::~RankProcess() {
  Signal(SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void RankProcess::Tell(const std::string& line) {
  const std::string text = line + "\n";
  EXPECT_EQ(write(to_.get(), text.data(), text.size()), std::ssize(text));
}

std::string RankProcess::Hear(const std::string& word) {
  size_t end = 0;
  while ((end = unread_.find('\n')) == std::string::npos) {
    pollfd readable = {from_.get(), POLLIN, 0};
    char buffer[4096];
    const ssize_t count =
        poll(&readable, 1, kPatienceMs) > 0 ? read(from_.get(), buffer, sizeof(buffer)) : 0;
    if (count <= 0) {
      ADD_FAILURE() << "process " << pid_ << " has not said '" << word << "'";
      return "";
    }
    unread_.append(buffer, count);
  }
  const std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  EXPECT_TRUE(absl::StartsWith(line, word)) << line;
  return line.size() > word.size() ? line.substr(word.size() + 1) : "";
}

void RankProcess::Signal(int number) { kill(pid_, number); }

}  // namespace tessera
