#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace tessera::testing {

std::string ReferenceDir();  // tests/reference
std::string TinyFluxDir();   // tests/reference/tiny-flux
std::vector<std::string> Prompts();

// Tensors of golden.safetensors and golden_bf16.safetensors; a missing name ends the test program
// with its name.
at::Tensor Golden(const std::string& name);
at::Tensor GoldenBf16(const std::string& name);

// Whether `actual` has the shape of golden tensor `name` and lies within the tolerance that the
// table in tests/reference/golden/README.md gives for it ("exact", "abs x", "rel x", "at most 1
// level, in at most 1% of the bytes"). Each call prints one row of a Markdown table, and appends it
// to the file named by $TESSERA_GOLDEN_TABLE, if that is set: test, tensor, tolerance, largest
// difference, "within" or "OUTSIDE".
::testing::AssertionResult MatchesGolden(const std::string& name, const at::Tensor& actual);
// The same comparison with a slice of the golden tensor, under that tensor's tolerance.
::testing::AssertionResult MatchesGolden(const std::string& name, const at::Tensor& golden_slice,
                                         const at::Tensor& actual);
// The first comparison with a tensor of golden_bf16.safetensors, whose names it shares in part.
::testing::AssertionResult MatchesGoldenBf16(const std::string& name, const at::Tensor& actual);

// Peak signal-to-noise ratio of `actual` in dB; the peak is the value range of `expected`.
double Psnr(const at::Tensor& expected, const at::Tensor& actual);

// A private copy of tiny-flux in a temporary folder, removed with the object. Files can be changed
// freely.
class CheckpointCopy {
 public:
  CheckpointCopy();
  const std::string& dir() const { return dir_.path(); }

  // Adds 0.5 to the first half of one tensor's values (a norm would hide the same change of all);
  // `part` is "transformer", "vae", "text_encoder", ...
  void AlterTensor(const std::string& part, const std::string& tensor) const;
  // Rewrites a part as one file without the tensors whose names begin with `prefix`.
  void RemoveTensors(const std::string& part, const std::string& prefix) const;
  // Sets top-level fields of a JSON file, such as EditJson("transformer/config.json",
  // R"({"guidance_embeds": false})").
  void EditJson(const std::string& file, const std::string& fields) const;

 private:
  TempDir dir_;
};

}  // namespace tessera::testing
