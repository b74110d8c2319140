#pragma once

#include <sys/types.h>

#include <string>

#include "common/base/unique_fd.h"

namespace tessera {

// A running rank_program, spoken to by lines. Killed and reaped on destruction. Failures to speak
// are test failures.
class RankProcess {
 public:
  RankProcess();
  ~RankProcess();
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  void Tell(const std::string& line);
  // The next line, which starts with `word`: what follows it. Waits at most a minute.
  std::string Hear(const std::string& word);
  void Signal(int number);

 private:
  pid_t pid_ = -1;
  UniqueFd to_;
  UniqueFd from_;
  std::string unread_;
};

}  // namespace tessera
