#include "common/supervisor/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

extern "C" {  // glibc 2.36's header lacks it
#include <sys/pidfd.h>
}

#include <cerrno>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

constexpr int kCannotExecute = 127;  // as a shell reports it

std::vector<std::string> MergeEnvironment(const std::vector<std::string>& overrides) {
  std::vector<std::string> merged = overrides;
  merged.push_back(absl::StrCat(kParentOnStdin, "=1"));
  const size_t overridden = merged.size();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, strcspn(*entry, "=") + 1);
    bool kept = true;
    for (size_t i = 0; i < overridden && kept; ++i)
      kept = merged[i].compare(0, name.size(), name) != 0;
    if (kept) merged.emplace_back(*entry);
  }
  return merged;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// In the child of a process with threads: only async-signal-safe calls.
[[noreturn]] void BecomeChild(pid_t parent, int stdin_fd, char* const* argv,
                              char* const* environment) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotExecute);  // it ended before the prctl

  setpgid(0, 0);
  dup2(stdin_fd, STDIN_FILENO);
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);

  // Handlers first: a pending signal must not run the parent's.
  struct sigaction by_default = {};
  by_default.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &by_default, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);

  execve(argv[0], argv, environment);
  _exit(kCannotExecute);
}

}  // namespace

absl::StatusOr<ChildProcess> StartChild(const ChildCommand& command, int stdin_fd) {
  std::vector<std::string> arguments = {command.binary};
  arguments.insert(arguments.end(), command.args.begin(), command.args.end());
  std::vector<std::string> environment = MergeEnvironment(command.environment);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  const pid_t parent = getpid();

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  const int error = errno;
  if (pid == 0) BecomeChild(parent, stdin_fd, argv.data(), envp.data());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);

  if (pid < 0) return absl::ErrnoToStatus(error, absl::StrCat("fork for ", command.binary));
  ChildProcess child{pid, UniqueFd(pidfd_open(pid, 0))};
  if (child.pidfd.get() < 0) {
    absl::Status status = absl::ErrnoToStatus(errno, "pidfd_open");
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return status;
  }
  return child;
}

std::string ReapChild(const ChildProcess& child) {
  int status = 0;
  pid_t reaped = -1;
  do {
    reaped = waitpid(child.pid, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (reaped < 0) return absl::StrCat("an unknown status: waitpid: ", strerror(errno));
  if (WIFSIGNALED(status)) {
    return absl::StrCat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
  }
  const int code = WEXITSTATUS(status);
  return absl::StrCat("exit code ", code, code == kCannotExecute ? " (could not be executed)" : "");
}

void SendSignal(const ChildProcess& child, int signal_number) {
  pidfd_send_signal(child.pidfd.get(), signal_number, nullptr, 0);
}

}  // namespace tessera
