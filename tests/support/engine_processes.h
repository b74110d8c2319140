#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace tessera::testing {

// A engine_program child process. Killed with the object. Owned by one thread.
class EngineProcess {
 public:
  // Returns once the weights are loaded. text_encoder as tessera-worker's flag.
  explicit EngineProcess(const std::string& model_dir,
                         const std::string& text_encoder = "every-rank");
  ~EngineProcess();
  EngineProcess(const EngineProcess&) = delete;
  EngineProcess& operator=(const EngineProcess&) = delete;

  void Send(const std::string& line);
  // The next line of output; empty when the process has ended.
  std::string Read();
  // Reads until a line begins with `prefix` or with "ok" or "error", and returns that one.
  std::string ReadUntil(const std::string& prefix);
  void Signal(int signal) const;
  pid_t pid() const { return pid_; }

 private:
  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  pid_t pid_ = -1;
  std::unique_ptr<FILE, Close> to_, from_;
};

// `size` ranks, the group they form, and runs of one request on all of them.
class EngineGroup {
 public:
  EngineGroup(const std::string& model_dir, int size,
              const std::string& text_encoder = "every-rank");

  EngineProcess& rank(int index) { return *ranks_[index]; }
  int size() const { return static_cast<int>(ranks_.size()); }
  void Replace(int index);  // with a new process

  // A new epoch of all ranks. Each rank's answer, "ok" or "error ...".
  std::vector<std::string> Join();
  // Starts a run on all ranks; fail_at applies to fail_rank alone.
  void Start(const std::string& pixel_file, const std::string& fields, double timeout_s = 30,
             int fail_rank = -1, int fail_at = -1);
  // The final answer of one rank's run.
  std::string Finish(int index) { return ranks_[index]->ReadUntil("ok"); }

 private:
  const std::string model_dir_, text_encoder_;
  std::vector<std::unique_ptr<EngineProcess>> ranks_;
  int epoch_ = 0;
};

}  // namespace tessera::testing
