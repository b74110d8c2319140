#include "common/flags/strict_flags.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

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

constexpr int kMaxPort = 65535;

bool IsAddress(const std::string& text, int least_port) {
  if (absl::StartsWith(text, "unix:") || absl::StartsWith(text, "unix-abstract:")) {
    return text.back() != ':';
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find_first_of(":[]") != std::string::npos) return false;
  return ParseNumberIn(text.substr(colon + 1), least_port, kMaxPort).has_value();
}

// Null for a name that neither `app` nor one of its subcommands knows.
const CLI::Option* FindOption(const CLI::App& app, const std::string& name) {
  if (const CLI::Option* const option = app.get_option_no_throw(name)) return option;
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (const CLI::Option* const option = FindOption(*command, name)) return option;
  }
  return nullptr;
}

// The same arguments, but "--name" and "" in place of "--name=", for which CLI11 would take the
// next argument as the value.
std::vector<std::string> SplitEmptyValues(const CLI::App& app,
                                          const std::vector<std::string>& arguments) {
  std::vector<std::string> split;
  bool is_value = false;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (*argument == "--" && !is_value) {  // only positional arguments follow
      split.insert(split.end(), argument, arguments.end());
      break;
    }
    split.push_back(*argument);
    if (std::exchange(is_value, false) || !absl::StartsWith(*argument, "--")) continue;
    const size_t equals = argument->find('=');
    const std::string name = argument->substr(0, equals);
    const CLI::Option* const option = FindOption(app, name);
    if (option == nullptr) continue;
    const bool takes_value = option->get_items_expected_max() > 0;
    if (equals == std::string::npos) {
      is_value = takes_value;
    } else if (equals + 1 == argument->size()) {
      if (!takes_value) throw CLI::ValidationError(name, "takes no value");
      split.back() = name;
      split.emplace_back();
    }
  }
  return split;
}

}  // namespace

template <typename T>
std::optional<T> ParseNumberIn(const std::string& text, T least, T most) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  // No NaN lies within bounds, and no infinity within finite ones.
  const bool holds = error == std::errc() && stop == end && value >= least && value <= most;
  return holds ? std::optional(value) : std::nullopt;
}

template std::optional<int> ParseNumberIn(const std::string&, int, int);
template std::optional<int64_t> ParseNumberIn(const std::string&, int64_t, int64_t);
template std::optional<uint64_t> ParseNumberIn(const std::string&, uint64_t, uint64_t);
template std::optional<double> ParseNumberIn(const std::string&, double, double);

template <typename T>
CLI::Validator NumberIn(T least, T most) {
  const auto check = [least, most](std::string& text) -> std::string {
    const std::optional<T> value = ParseNumberIn(text, least, most);
    if (!value.has_value()) {
      const std::string bounds = Bounds(least, most);
      return absl::StrCat("must be a ", std::is_integral_v<T> ? "whole number" : "number",
                          bounds.empty() ? "" : " ", bounds, ", is \"", text, "\"");
    }
    if constexpr (std::is_integral_v<T>) text = absl::StrCat(*value);
    return "";
  };
  return CLI::Validator(check, BoundsForHelp(least, most));
}

template CLI::Validator NumberIn<int>(int, int);
template CLI::Validator NumberIn<int64_t>(int64_t, int64_t);
template CLI::Validator NumberIn<uint64_t>(uint64_t, uint64_t);
template CLI::Validator NumberIn<double>(double, double);

CLI::Validator AddressWithPort(int least_port) {
  const auto check = [least_port](const std::string& text) -> std::string {
    if (IsAddress(text, least_port)) return "";
    return absl::StrCat("must be HOST:PORT with a port in [", least_port, ", ", kMaxPort,
                        "] or unix:PATH, is \"", text, "\"");
  };
  return CLI::Validator(check, "HOST:PORT");
}

CLI::Validator NotEmpty() {
  const auto check = [](const std::string& text) -> std::string {
    return text.empty() ? "must not be empty" : "";
  };
  return CLI::Validator(check, "");
}

void AddEnvironmentTwins(CLI::App& app) {
  for (CLI::Option* const option : app.get_options([](const CLI::Option* known) {
         return known->get_items_expected_max() > 0 && !known->get_lnames().empty();
       })) {
    const std::string name = absl::StrReplaceAll(option->get_lnames().front(), {{"-", "_"}});
    option->envname(absl::StrCat("TESSERA_", absl::AsciiStrToUpper(name)));
  }
}

void ParseFlags(CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> arguments = SplitEmptyValues(app, {argv + 1, argv + argc});
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  app.parse(std::move(arguments));
}

void ParseFlagsOrExit(CLI::App& app, int argc, const char* const* argv) {
  try {
    ParseFlags(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
}

}  // namespace tessera
