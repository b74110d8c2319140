#include "tests/fault/service/process_footprint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tessera::testing {

ProcessFootprint FootprintOf(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid);
  ProcessFootprint footprint;
  std::error_code error;
  const auto descriptors = std::filesystem::directory_iterator(folder + "/fd", error);
  EXPECT_FALSE(error) << folder << ": " << error.message();
  if (error) return footprint;
  footprint.descriptors = static_cast<int>(std::distance(begin(descriptors), end(descriptors)));
  std::ifstream status(folder + "/status");
  for (std::string word; status >> word;) {
    if (word == "Threads:") status >> footprint.threads;
    if (word == "VmRSS:") {
      status >> footprint.resident_mib;
      footprint.resident_mib /= 1024;  // was kB
    }
  }
  return footprint;
}

std::string ToString(const ProcessFootprint& footprint) {
  return absl::StrFormat("%d descriptors, %d threads, %.1f MiB", footprint.descriptors,
                         footprint.threads, footprint.resident_mib);
}

}  // namespace tessera::testing
