#include "worker/pipeline/available_memory.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>

namespace tessera {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The names of one version's files and of the entries of its memory.stat.
struct CgroupFiles {
  const char* limit;
  const char* usage;
  const char* inactive;
  const char* active;
};
constexpr CgroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                   "total_inactive_file", "total_active_file"};
constexpr CgroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file", "active_file"};

// The number that follows `name` in a file of names and numbers; 0 without one.
int64_t Entry(const std::filesystem::path& path, std::string_view name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    int64_t value = 0;
    if (words >> word && word == name && words >> value) return value;
  }
  return 0;
}

// The file's only number; `otherwise` when it holds none, as "max".
int64_t Number(const std::filesystem::path& path, int64_t otherwise) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : otherwise;
}

int64_t LeftInGroup(const std::filesystem::path& group, const CgroupFiles& files) {
  const int64_t limit = Number(group / files.limit, kUnlimited);
  if (limit == kUnlimited) return kUnlimited;
  const std::filesystem::path stat = group / "memory.stat";
  const int64_t in_use =
      Number(group / files.usage, 0) - Entry(stat, files.inactive) - Entry(stat, files.active);
  return std::max<int64_t>(0, limit - std::max<int64_t>(0, in_use));
}

// The smallest of a group and its parents. In a container the group's path may be the host's, which
// is not there: the root of what is mounted counts in any case.
int64_t LeftInGroups(const std::filesystem::path& root, std::filesystem::path group,
                     const CgroupFiles& files) {
  int64_t left = LeftInGroup(root, files);
  for (group = group.relative_path(); !group.empty(); group = group.parent_path()) {
    left = std::min(left, LeftInGroup(root / group, files));
  }
  return left;
}

}  // namespace

int64_t AvailableHostBytes(const MemoryPlaces& places) {
  constexpr int64_t kKiB = 1024;
  const std::filesystem::path proc = places.proc, cgroups = places.cgroups;
  int64_t available = Entry(proc / "meminfo", "MemAvailable:") * kKiB;
  std::ifstream membership(proc / "self/cgroup");  // ID:CONTROLLERS:PATH
  std::string line;
  while (std::getline(membership, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      available = std::min(available, LeftInGroups(cgroups, path, kVersion2));
    } else if (controllers == "memory") {
      available = std::min(available, LeftInGroups(cgroups / "memory", path, kVersion1));
    }
  }
  return available;
}

int64_t AvailableBytes(at::Device device) {
  if (device.is_cpu()) return AvailableHostBytes();
  c10::DeviceAllocator& allocator = *c10::getDeviceAllocator(device.type());
  allocator.emptyCache();
  return static_cast<int64_t>(allocator.getMemoryInfo(device.index()).first);
}

}  // namespace tessera
