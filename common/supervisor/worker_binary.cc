#include "common/supervisor/worker_binary.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace tessera {

absl::StatusOr<std::string> FindWorkerBinary() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::NotFoundError(absl::StrCat("/proc/self/exe: ", error.message()));
  const std::string beside = self.parent_path() / "tessera-worker";
  const std::string in_build_tree = self.parent_path().parent_path() / "worker" / "tessera-worker";
  for (const std::string& candidate : {beside, in_build_tree}) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(
      absl::StrCat("tessera-worker is neither at ", beside, " nor at ", in_build_tree));
}

}  // namespace tessera
