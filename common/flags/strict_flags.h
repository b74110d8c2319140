#pragma once

#include <CLI/CLI.hpp>
#include <limits>

namespace tessera {

// Command lines, read more strictly than CLI11 does by itself:
//   app.add_option("--width", width, "Pixels")->transform(NumberIn<int>(16, 4096));
//   ParseFlagsOrExit(app, argc, argv);

// Checks an option's value, from the command line or the environment, before CLI11 converts it: the
// value must be one decimal number within [least, most]. Leading zeros are allowed and do not make
// it octal. T is the type of the option's variable, or of its elements: int, int64_t, uint64_t or
// double. Hand it to CLI::Option::transform.
template <typename T>
CLI::Validator NumberIn(T least = std::numeric_limits<T>::lowest(),
                        T most = std::numeric_limits<T>::max());

// Refuses an empty text. Hand it to CLI::Option::check.
CLI::Validator NotEmpty();

// As app.parse(argc, argv), but refuses `--name=` without a value, for which CLI11 would take the
// next argument. Throws CLI::ParseError.
void ParseFlags(CLI::App& app, int argc, const char* const* argv);

// The same for a program's own command line: prints what --help and --version ask for and ends the
// process with 0; prints an error and ends the process with 2.
void ParseFlagsOrExit(CLI::App& app, int argc, const char* const* argv);

}  // namespace tessera
