#include "tests/support/engine_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace tessera::testing {
namespace {

[[noreturn]] void End(const char* what) {
  std::perror(what);
  std::abort();
}

std::array<int, 2> Pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) End("pipe2");
  return ends;
}

}  // namespace

EngineProcess::EngineProcess(const std::string& model_dir, const std::string& text_encoder) {
  signal(SIGPIPE, SIG_IGN);  // a rank that was killed is told apart by what it says no more
  const std::array<int, 2> in = Pipe(), out = Pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::string program = TESSERA_ENGINE_PROGRAM, model = model_dir, place = text_encoder;
  std::array<char*, 4> argv = {program.data(), model.data(), place.data(), nullptr};
  const int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  if (error != 0) End("posix_spawn");
  to_.reset(fdopen(in[1], "w"));
  from_.reset(fdopen(out[0], "r"));
  if (ReadUntil("loaded") != "loaded") End("the rank did not load");
}

EngineProcess::~EngineProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void EngineProcess::Send(const std::string& line) {
  std::fputs((line + "\n").c_str(), to_.get());
  std::fflush(to_.get());
}

std::string EngineProcess::Read() {
  char* line = nullptr;
  size_t capacity = 0;
  const ssize_t length = getline(&line, &capacity, from_.get());
  const std::string text =
      length > 0 ? std::string(line, static_cast<size_t>(length - 1)) : std::string();
  std::free(line);
  return text;
}

std::string EngineProcess::ReadUntil(const std::string& prefix) {
  while (true) {
    const std::string line = Read();
    const bool found =
        line.rfind(prefix, 0) == 0 || line.rfind("ok", 0) == 0 || line.rfind("error", 0) == 0;
    if (found || line.empty()) return line;
  }
}

void EngineProcess::Signal(int number) const { kill(pid_, number); }

EngineGroup::EngineGroup(const std::string& model_dir, int size, const std::string& text_encoder)
    : model_dir_(model_dir), text_encoder_(text_encoder) {
  for (int i = 0; i < size; ++i) {
    ranks_.push_back(std::make_unique<EngineProcess>(model_dir, text_encoder));
  }
}

void EngineGroup::Replace(int index) {
  ranks_[index] = std::make_unique<EngineProcess>(model_dir_, text_encoder_);
}

std::vector<std::string> EngineGroup::Join() {
  ++epoch_;
  ranks_[0]->Send(absl::StrCat("host ", epoch_));
  const std::string port = ranks_[0]->ReadUntil("port");
  for (int i = 0; i < size(); ++i) {
    ranks_[i]->Send(
        absl::StrCat("join ", epoch_, " ", i, " ", size(), " ", port.substr(port.find(' ') + 1)));
  }
  std::vector<std::string> answers;
  for (const auto& rank : ranks_) answers.push_back(rank->ReadUntil("ok"));
  return answers;
}

void EngineGroup::Start(const std::string& pixel_file, const std::string& fields, double timeout_s,
                        int fail_rank, int fail_at) {
  for (int i = 0; i < size(); ++i) {
    ranks_[i]->Send(absl::StrCat("generate ", pixel_file, " ", i == fail_rank ? fail_at : -1, " ",
                                 timeout_s, " ", fields));
  }
}

}  // namespace tessera::testing
