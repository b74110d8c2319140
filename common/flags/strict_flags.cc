#include "common/flags/strict_flags.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

// "in [1, 1000]", "of at least 1"; empty for a range that bounds no floating-point number.
template <typename T>
std::string Bounds(T least, T most) {
  if (std::is_integral_v<T> || most < std::numeric_limits<T>::max()) {
    return absl::StrCat("in [", least, ", ", most, "]");
  }
  if (least == std::numeric_limits<T>::lowest()) return "";
  return absl::StrCat("of at least ", least);
}

template <typename T>
std::string BoundsForHelp(T least, T most) {
  const bool all =
      least == std::numeric_limits<T>::lowest() && most == std::numeric_limits<T>::max();
  return all ? "" : Bounds(least, most);
}

// Whether the text as a whole is a finite number within the bounds.
template <typename T>
bool ReadNumber(const std::string& text, T least, T most, T& value) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return false;
  return value >= least && value <= most;  // no NaN and, within finite bounds, no infinity
}

}  // namespace

template <typename T>
CLI::Validator NumberIn(T least, T most) {
  const auto check = [least, most](std::string& text) -> std::string {
    T value{};
    if (!ReadNumber(text, least, most, value)) {
      const std::string bounds = Bounds(least, most);
      return absl::StrCat("must be a ", std::is_integral_v<T> ? "whole number" : "number",
                          bounds.empty() ? "" : " ", bounds, ", is \"", text, "\"");
    }
    if constexpr (std::is_integral_v<T>) text = absl::StrCat(value);
    return "";
  };
  return CLI::Validator(check, BoundsForHelp(least, most));
}

template CLI::Validator NumberIn<int>(int, int);
template CLI::Validator NumberIn<int64_t>(int64_t, int64_t);
template CLI::Validator NumberIn<uint64_t>(uint64_t, uint64_t);
template CLI::Validator NumberIn<double>(double, double);

CLI::Validator NotEmpty() {
  const auto check = [](std::string& text) { return text.empty() ? "must not be empty" : ""; };
  return CLI::Validator(check, "");
}

void ParseFlags(CLI::App& app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") break;  // only positional arguments follow
    if (!argument.starts_with("--") || argument.find('=') != argument.size() - 1) continue;
    const std::string name(argument.substr(0, argument.size() - 1));
    throw CLI::ValidationError(
        name, absl::StrCat("no value follows \"=\"; an empty text is written as ", name, " \"\""));
  }
  app.parse(argc, argv);
}

void ParseFlagsOrExit(CLI::App& app, int argc, const char* const* argv) {
  try {
    ParseFlags(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
}

}  // namespace tessera
