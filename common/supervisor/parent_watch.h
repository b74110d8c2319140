#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "common/base/unique_fd.h"

namespace tessera {

// In a child of a Supervisor: notices the parent's end by its own means, should the kernel's signal
// not come.
class ParentWatch {
 public:
  // Null when no Supervisor started this process. Otherwise a thread calls `on_parent_gone`, at
  // most once, when standard input ends; it must not throw.
  static std::unique_ptr<ParentWatch> ForThisProcess(std::function<void()> on_parent_gone);

  // Watches `fd`, which is not owned, instead of standard input.
  ParentWatch(int fd, std::function<void()> on_parent_gone);
  ~ParentWatch();

 private:
  UniqueFd stop_;  // an eventfd
  std::jthread thread_;
};

}  // namespace tessera
