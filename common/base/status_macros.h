#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Leaves the enclosing function with the status unless it is OK.
#define TESSERA_RETURN_IF_ERROR(expression)            \
  do {                                                 \
    absl::Status tessera_status_ = (expression);       \
    if (!tessera_status_.ok()) return tessera_status_; \
  } while (false)

// TESSERA_ASSIGN_OR_RETURN(auto value, StatusOrExpression());
#define TESSERA_ASSIGN_OR_RETURN(lhs, expression) \
  TESSERA_ASSIGN_OR_RETURN_IMPL_(TESSERA_CONCAT_(tessera_status_or_, __LINE__), lhs, expression)
#define TESSERA_ASSIGN_OR_RETURN_IMPL_(temporary, lhs, expression) \
  auto temporary = (expression);                                   \
  if (!temporary.ok()) return std::move(temporary).status();       \
  lhs = *std::move(temporary)
#define TESSERA_CONCAT_(a, b) TESSERA_CONCAT_IMPL_(a, b)
#define TESSERA_CONCAT_IMPL_(a, b) a##b
