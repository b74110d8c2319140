#include "tests/support/tolerance.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/support/golden.h"

namespace tessera::testing {
namespace {

using Rows = std::map<std::string, std::string>;  // "golden:net/out" -> tolerance

Rows ReadRows() {
  std::ifstream readme(ReferenceDir() + "/golden/README.md");
  Rows rows;
  std::string file;
  std::string line;
  while (std::getline(readme, line)) {
    if (absl::StartsWith(line, "## ")) {
      file = absl::StartsWith(line, "## golden_bf16") ? "golden_bf16" : "golden";
    }
    // | `name` | shape | dtype | meaning | tolerance |
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    if (!absl::StartsWith(line, "| `") || cells.size() < 5) continue;
    const std::string name(absl::StripSuffix(absl::StripPrefix(cells.front(), "| `"), "`"));
    rows[absl::StrCat(file, ":", name)] = std::string(absl::StripSuffix(cells.back(), " |"));
  }
  return rows;
}

double LargestDifference(const at::Tensor& expected, const at::Tensor& actual) {
  return expected.numel() == 0 ? 0 : (actual - expected).abs().max().item<double>();
}

double Number(const std::string& tolerance, const char* prefix) {
  const std::string rest(absl::StripPrefix(tolerance, prefix));
  double value = 0;
  if (!absl::SimpleAtod(std::vector<std::string>(absl::StrSplit(rest, ' '))[0], &value)) {
    std::fprintf(stderr, "tolerance '%s' is not understood\n", tolerance.c_str());
    std::abort();
  }
  return value;
}

// |actual - expected| <= limit * |expected|, element by element.
Comparison CompareRelative(double limit, const at::Tensor& expected, const at::Tensor& actual) {
  const at::Tensor difference = (actual - expected).abs();
  const at::Tensor relative = at::where(difference == 0, difference, difference / expected.abs());
  const double largest = relative.numel() == 0 ? 0 : relative.max().item<double>();
  return {largest <= limit, absl::StrFormat("%.3g", largest)};
}

}  // namespace

std::string ToleranceOf(const std::string& file, const std::string& name) {
  static const Rows& rows = *new Rows(ReadRows());
  const auto row = rows.find(file + ":" + name);
  if (row == rows.end()) {
    std::fprintf(stderr, "no tolerance for %s in %s\n", name.c_str(), file.c_str());
    std::abort();
  }
  if (row->second != "see 'Tolerances'") return row->second;
  // That section of the README in words: 0.07 for text states and pooled output, 45 dB for the
  // final latents.
  if (absl::StartsWith(name, "text/")) return "abs 0.07";
  return absl::EndsWith(name, "/latents") ? "at least 45 dB at the last step" : "none";
}

Comparison CompareWithin(const std::string& tolerance, const at::Tensor& expected,
                         const at::Tensor& actual) {
  const at::Tensor want = expected.cpu().to(at::kDouble);
  const at::Tensor have = actual.cpu().to(at::kDouble);
  const double largest = LargestDifference(want, have);
  const std::string text = absl::StrFormat("%.3g", largest);
  // A comparison with NaN is false, so a NaN is never within.
  if (absl::StartsWith(tolerance, "exact, or one bfloat16 step")) {
    return CompareRelative(1.0 / 128, want, have);
  }
  if (absl::StartsWith(tolerance, "exact")) return {largest == 0, text};
  if (absl::StartsWith(tolerance, "abs ")) return {largest <= Number(tolerance, "abs "), text};
  if (absl::StartsWith(tolerance, "rel ")) {
    return CompareRelative(Number(tolerance, "rel "), want, have);
  }
  if (absl::StartsWith(tolerance, "at most 1 level, in at most 1%")) {
    const double share = (want != have).to(at::kDouble).mean().item<double>();
    return {largest <= 1 && share <= 0.01,
            absl::StrFormat("%.0f level in %.2f%%", largest, 100 * share)};
  }
  if (absl::StartsWith(tolerance, "at least 45 dB")) {
    const double psnr = Psnr(want[-1], have[-1]);
    return {psnr >= 45, absl::StrFormat("%.1f dB", psnr)};
  }
  std::fprintf(stderr, "tolerance '%s' is not understood\n", tolerance.c_str());
  std::abort();
}

}  // namespace tessera::testing
