// What a worker does with the weights of one part, for tests of several processes at once.
//   open_weights FOLDER STEM CACHE_DIR
// Waits for the end of its standard input; takes the tensor "w" in bfloat16; prints its sum, and
// the inode of the cache file that it is mapped from.
#include "tests/support/open_weights.h"

#include <ATen/ATen.h>

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace {

std::string InodeMappedFrom(const std::string& folder) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find(folder) == std::string::npos) continue;
    std::istringstream fields(line);
    std::string range, mode, offset, device, inode;
    fields >> range >> mode >> offset >> device >> inode;
    return inode;
  }
  return "none";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  while (std::cin.get() != std::char_traits<char>::eof()) {
  }
  auto reader = tessera::testing::OpenWeights(argv[1], argv[2], {at::kBFloat16, at::kCPU, argv[3]});
  if (!reader.ok()) {
    std::cerr << reader.status() << "\n";
    return 1;
  }
  const at::Tensor weight = reader->Take("w", {1024, 4096});
  std::cout << weight.sum(at::kDouble).item<double>() << " " << InodeMappedFrom(argv[3]) << "\n";
  return 0;
}
