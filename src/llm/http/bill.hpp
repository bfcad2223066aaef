#pragma once
// What a server bills for a reply that is of no use to the client: it has read the prompts and drawn tokens
// all the same. Pure.

#include <string_view>

#include "dln/llm/backend.hpp"

#include "llm/http/endpoint.hpp"

namespace dln::http {

/// Of a reply with status 200 that came whole. Tokens as the reply counts them, in the shape of any dialect;
/// where it does not say, `cost` as it was estimated. Nothing, when no model can have made it: an error, or
/// no JSON at all (a page of a gateway).
[[nodiscard]] Usage bill_of_useless(std::string_view body, const CallCost& cost);

}  // namespace dln::http
