#include "tests/support/golden.h"

#include <ATen/ATen.h>
#include <fcntl.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "tests/support/tolerance.h"
#include "worker/weights/safetensors_file.h"

namespace tessera::testing {
namespace {

// A test without its reference data cannot say anything.
template <typename T>
T OrEnd(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::abort();
}

SafetensorsFile OpenGolden(const std::string& file) {
  return OrEnd(
      SafetensorsFile::Open(absl::StrCat(ReferenceDir(), "/golden/", file, ".safetensors")));
}

void AddToTable(const std::string& row) {
  std::printf("%s", row.c_str());
  const char* path = std::getenv("TESSERA_GOLDEN_TABLE");
  if (path == nullptr) return;
  // One write to an appending descriptor: test programs run side by side.
  const UniqueFd fd(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (fd.get() < 0 || write(fd.get(), row.data(), row.size()) != static_cast<ssize_t>(row.size())) {
    std::perror(path);
    std::abort();
  }
}

::testing::AssertionResult Compare(const std::string& file, const std::string& name,
                                   const at::Tensor& expected, const at::Tensor& actual) {
  if (!actual.defined() || actual.sizes() != expected.sizes()) {
    return ::testing::AssertionFailure()
           << name << ": expected shape " << expected.sizes() << ", found "
           << (actual.defined() ? absl::StrCat("another: ", actual.dim(), " dimensions, ",
                                               actual.numel(), " elements")
                                : "an undefined tensor");
  }
  const std::string tolerance = ToleranceOf(file, name);
  const Comparison comparison = CompareWithin(tolerance, expected, actual);
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string row = absl::StrCat(
      "| ", test == nullptr ? "" : absl::StrCat(test->test_suite_name(), ".", test->name()), " | `",
      file, ":", name, "` | ", tolerance, " | ", comparison.difference, " | ",
      comparison.within ? "within" : "OUTSIDE", " |\n");
  AddToTable(row);
  if (comparison.within) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << row;
}

}  // namespace

std::string ReferenceDir() {
  const char* carried = std::getenv("TESSERA_REFERENCE_DIR");
  return carried != nullptr ? carried : TESSERA_REFERENCE_DIR;
}

std::string TinyFluxDir() { return ReferenceDir() + "/tiny-flux"; }

std::vector<std::string> Prompts() {
  const std::string path = ReferenceDir() + "/golden/prompts.json";
  return nlohmann::json::parse(OrEnd(ReadFile(path, 1 << 20))).at("prompts");
}

at::Tensor Golden(const std::string& name) {
  static const SafetensorsFile& file = *new SafetensorsFile(OpenGolden("golden"));
  return OrEnd(file.Read(name));
}

at::Tensor GoldenBf16(const std::string& name) {
  static const SafetensorsFile& file = *new SafetensorsFile(OpenGolden("golden_bf16"));
  return OrEnd(file.Read(name));
}

::testing::AssertionResult MatchesGolden(const std::string& name, const at::Tensor& actual) {
  return Compare("golden", name, Golden(name), actual);
}

::testing::AssertionResult MatchesGolden(const std::string& name, const at::Tensor& golden_slice,
                                         const at::Tensor& actual) {
  return Compare("golden", name, golden_slice, actual);
}

::testing::AssertionResult MatchesGoldenBf16(const std::string& name, const at::Tensor& actual) {
  return Compare("golden_bf16", name, GoldenBf16(name), actual);
}

double Psnr(const at::Tensor& expected, const at::Tensor& actual) {
  const at::Tensor want = expected.cpu().to(at::kDouble);
  const double error = (actual.cpu().to(at::kDouble) - want).square().mean().item<double>();
  if (error == 0) return std::numeric_limits<double>::infinity();
  const double peak = want.max().item<double>() - want.min().item<double>();
  return 10 * std::log10(peak * peak / error);
}

}  // namespace tessera::testing
