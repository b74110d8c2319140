#pragma once

#include <google/protobuf/message.h>

#include <CLI/CLI.hpp>
#include <span>

#include "common/request/request_fields.h"

namespace tessera {

// Adds a flag for every row, which sets the row's field in `request` when the command line is
// parsed; `request` outlives that. A number has to fit into its field: whether the model takes the
// number is for the server to say. Fields of another kind than number, boolean, text or enum have
// no flags: a row for one ends the process.
void AddRequestFlags(CLI::App& app, google::protobuf::Message& request,
                     std::span<const RequestField> rows);

}  // namespace tessera
