#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tessera::testing {

// A private folder with links to tiny-flux's files, one of which a fuzzer replaces by its own
// bytes. Removed with the object. Ends the program when the file system refuses something.
class FuzzedCheckpoint {
 public:
  // `left_out` is a file that this copy lacks; empty: none.
  explicit FuzzedCheckpoint(const std::string& left_out = "");
  ~FuzzedCheckpoint();
  FuzzedCheckpoint(const FuzzedCheckpoint&) = delete;
  FuzzedCheckpoint& operator=(const FuzzedCheckpoint&) = delete;

  const std::string& dir() const { return dir_; }

  // Gives a file these bytes; the one that was replaced before is the real one again.
  void Replace(const std::string& file, std::string_view bytes);

 private:
  std::string dir_;
  std::string replaced_;
};

struct FuzzedFile {
  std::string name;  // relative to the checkpoint; one of tiny-flux's files
  std::string_view bytes;
};

// Splits an input into its first line, a file's name, and the rest. Nothing when that is no file.
std::optional<FuzzedFile> SplitInput(const uint8_t* data, size_t size);

}  // namespace tessera::testing
