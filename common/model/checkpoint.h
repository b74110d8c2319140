#pragma once

#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tessera {

// The parts of a FLUX.1 pipeline, as diffusers' FluxPipeline has them.
enum class Part {
  kScheduler,
  kTextEncoder,   // CLIP
  kTextEncoder2,  // T5
  kTokenizer,     // CLIP's
  kTokenizer2,    // T5's
  kTransformer,
  kVae,
};
inline constexpr std::array kAllParts = {Part::kScheduler, Part::kTextEncoder, Part::kTextEncoder2,
                                         Part::kTokenizer, Part::kTokenizer2,  Part::kTransformer,
                                         Part::kVae};

// diffusers' name of a part: "scheduler", "text_encoder", "text_encoder_2", ...
std::string PartName(Part part);

// The files of a tokenizer. A comment names each as transformers does.
enum class TokenizerFile {
  kAddedTokens,       // added_tokens.json
  kMerges,            // merges.txt
  kSpecialTokensMap,  // special_tokens_map.json
  kSpiece,            // spiece.model
  kTokenizerJson,     // tokenizer.json
  kConfig,            // tokenizer_config.json
  kVocabulary,        // vocab.json
};

struct JsonFile {
  std::string path;  // for messages
  nlohmann::json object;
};

struct FileBytes {
  std::string path;  // for messages
  std::string bytes;
};

// A file of a checkpoint that has not been opened yet.
struct FileRef {
  std::string name;  // short, for messages
  std::string path;
};

// The files that hold the tensors of one part.
struct WeightFiles {
  std::string part;            // "transformer": for progress and the names of cache files
  std::string place;           // for messages about all the files
  std::vector<FileRef> files;  // sorted by name, no duplicates
  std::map<std::string, std::string> index;  // tensor -> a file's name; empty without an index
};

// Where the pieces of a checkpoint are. The readers of the parts ask for a config, for a file of a
// tokenizer, or for the files that hold a part's tensors; they call tensors by diffusers' names.
// Only an implementation of this class knows the names of folders and files. Every call looks at
// the disk. Immutable, so thread-safe.
class Checkpoint {
 public:
  // Opens the checkpoint at `path`: a folder in diffusers' layout, whose model_index.json names the
  // classes of a FluxPipeline. Errors name the file: NOT_FOUND, or INVALID_ARGUMENT with everything
  // that is wrong with model_index.json.
  static absl::StatusOr<std::shared_ptr<const Checkpoint>> Open(const std::string& path);
  virtual ~Checkpoint() = default;

  // The name that the model has unless Overrides() gives it another.
  virtual std::string name() const = 0;
  // What error messages call a part.
  virtual std::string Place(Part part) const = 0;

  // The config of the scheduler, an encoder, the transformer or the VAE. Errors name the file:
  // NOT_FOUND, or INVALID_ARGUMENT for what is no JSON object.
  virtual absl::StatusOr<JsonFile> Config(Part part) const = 0;
  // tessera.json. Errors as Config's.
  virtual absl::StatusOr<JsonFile> Overrides() const = 0;
  // One file of the tokenizer `part`. Errors name the file: NOT_FOUND, or INVALID_ARGUMENT for one
  // that is too large.
  virtual absl::StatusOr<FileBytes> Read(Part part, TokenizerFile file) const = 0;
  // The files of an encoder, the transformer or the VAE. They need not exist. Errors name the
  // file: NOT_FOUND, or INVALID_ARGUMENT with everything that is wrong with an index.
  virtual absl::StatusOr<WeightFiles> Weights(Part part) const = 0;

  // Every file but those of Weights() that takes part in a picture, in a fixed order. The names
  // tell them apart within the checkpoint.
  virtual std::vector<FileRef> SmallFiles() const = 0;
};

}  // namespace tessera
