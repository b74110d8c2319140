#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tessera {

// One picture: "x.png". Several: "x-0.png", "x-1.png" and so on.
std::vector<std::string> OutputPaths(const std::string& output, size_t count);

// Whoever sees the file sees all of it: it is written beside its place, then renamed. Errors name
// the path; nothing is left of a file that could not be written.
absl::Status WriteFileAtomically(const std::string& path, const std::string& bytes);

}  // namespace tessera
