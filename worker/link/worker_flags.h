#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/flags/worker_settings.h"

namespace CLI {
class App;
}  // namespace CLI

namespace tessera {

struct WorkerFlags {
  std::string server;  // HOST:PORT
  std::string model;   // the checkpoint's folder
  std::string device = "cpu";
  std::vector<std::string> devices;  // not empty: a child for each; `device` does not count
  WorkerSettings settings;
  std::string token;       // of the server
  std::string token_file;  // read when `token` is empty
  std::string advertise;   // empty: the address of the interface that reaches the server
  std::string name;        // empty: host:pid
  int supervised_index = -1;
};

// Adds every flag to `app`; parsing `app` fills `flags`, which must live as long.
void AddWorkerFlags(CLI::App& app, WorkerFlags& flags);

// The command line over the environment (TESSERA_SERVER for --server, and so on); a token in a file
// has been read. Ends the process after --help, --version and a flag that cannot be parsed.
// INVALID_ARGUMENT or NOT_FOUND for the rest.
absl::StatusOr<WorkerFlags> ParseWorkerFlags(int argc, const char* const* argv);

// The arguments with which a child of its own does the same on `devices[index]`. The token is left
// out.
std::vector<std::string> ChildArguments(const WorkerFlags& flags, size_t index);

// "0-2,5,cpu,cuda:7" is cuda:0, cuda:1, cuda:2, cuda:5, cpu, cuda:7. At most 64. INVALID_ARGUMENT
// names what is wrong.
absl::StatusOr<std::vector<std::string>> ParseDevices(const std::string& list);

}  // namespace tessera
