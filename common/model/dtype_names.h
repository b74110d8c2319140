#pragma once

#include <string>
#include <vector>

namespace tessera {

// What follows the name of a type: large linear layers in FP8, and keys and values that wait for
// the next step in FP8.
inline constexpr char kFp8Suffix[] = "+fp8";
inline constexpr char kFp8KvSuffix[] = "+fp8kv";

// All that --dtype takes, of server, worker and bench; empty: float32 on cpu, bfloat16 on cuda.
inline std::vector<std::string> DtypeNames() {
  std::vector<std::string> names = {""};
  for (const std::string type : {"float32", "bfloat16", "float16"}) {
    for (const std::string fp8 : {"", kFp8Suffix}) {
      for (const std::string kv : {"", kFp8KvSuffix}) names.push_back(type + fp8 + kv);
    }
  }
  return names;
}

}  // namespace tessera
