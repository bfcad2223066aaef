#pragma once
// The exchange about what a dialect cannot do. Pure.

#include <memory>
#include <string>

#include "llm/http/dialect.hpp"

namespace dln::http {

/// Asks nothing; every item has failed with `why`.
[[nodiscard]] std::unique_ptr<Exchange> make_refused_exchange(const Request& request,
                                                              const std::string& why);

}  // namespace dln::http
