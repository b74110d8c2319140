#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/model/checkpoint.h"

namespace tessera {

// A checkpoint in diffusers' layout: model_index.json, and a folder for each part. Nothing is read
// before it is asked for, so that a part can be read where the others are missing.
class CheckpointFolder : public Checkpoint {
 public:
  explicit CheckpointFolder(std::string path) : path_(std::move(path)) {}

  // Whether model_index.json names the classes that the engine implements. NOT_FOUND, or
  // INVALID_ARGUMENT with everything that is wrong with it.
  absl::Status CheckIndex() const;

  std::string name() const override;
  std::string Place(Part part) const override;
  absl::StatusOr<JsonFile> Config(Part part) const override;
  absl::StatusOr<JsonFile> Overrides() const override;
  absl::StatusOr<FileBytes> Read(Part part, TokenizerFile file) const override;
  absl::StatusOr<WeightFiles> Weights(Part part) const override;
  std::vector<FileRef> SmallFiles() const override;

 private:
  std::string path_;
};

}  // namespace tessera
