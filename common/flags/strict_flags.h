#pragma once

#include <CLI/CLI.hpp>
#include <limits>
#include <optional>
#include <string>

namespace tessera {

// Command lines, read more strictly than CLI11 does by itself:
//   app.add_option("--width", width, "Pixels")->transform(NumberIn<int>(16, 4096));
//   AddEnvironmentTwins(app);
//   ParseFlagsOrExit(app, argc, argv);

// Checks an option's value, from the command line or the environment, before CLI11 converts it: the
// value must be one decimal number within [least, most]. Leading zeros are allowed and do not make
// it octal. T is the type of the option's variable, or of its elements: int, int64_t, uint64_t or
// double. Hand it to CLI::Option::transform.
template <typename T>
CLI::Validator NumberIn(T least = std::numeric_limits<T>::lowest(),
                        T most = std::numeric_limits<T>::max());

// The number that the whole text is, if it lies within [least, most].
template <typename T>
std::optional<T> ParseNumberIn(const std::string& text, T least, T most);

// Checks that a value is HOST:PORT, where HOST is a name, an IPv4 address or an IPv6 address in
// brackets and PORT lies within [least_port, 65535]; or unix:PATH. Hand it to CLI::Option::check.
CLI::Validator AddressWithPort(int least_port);

// Checks that a value is not empty.
CLI::Validator NotEmpty();

// For the end of --help of a program whose flags have environment twins.
inline constexpr char kEnvironmentFooter[] =
    "Each flag --some-name can also be set by the environment variable TESSERA_SOME_NAME.";

// Every option --some-name that `app` has by now is also read from TESSERA_SOME_NAME, by the same
// rules. The command line comes first, and an empty variable counts as absent.
void AddEnvironmentTwins(CLI::App& app);

// As app.parse(argc, argv), but `--name=` gives the option an empty value, where CLI11 would take
// the next argument; a flag that takes no value refuses it. Throws CLI::ParseError.
void ParseFlags(CLI::App& app, int argc, const char* const* argv);

// The same for a program's own command line: prints what --help and --version ask for and ends the
// process with 0; prints an error and ends the process with 2.
void ParseFlagsOrExit(CLI::App& app, int argc, const char* const* argv);

}  // namespace tessera
