#pragma once
// Generation: texts are checked, sent one by one with their seeds (or as lists at temperature 0), and what
// comes back is cut at the stop strings. Pure.

#include "llm/http/wire.hpp"

namespace dln::http {

/// `wire` and `tokeniser` must outlive the exchange; `tokeniser` null: the server has none.
[[nodiscard]] std::unique_ptr<Exchange> make_write_exchange(const WriteWire& wire,
                                                            const Tokeniser* tokeniser,
                                                            const ServerFacts& server,
                                                            GenerateRequest request);

/// A seed that every server takes as it is: below 2^31. Smaller seeds stay what they are.
[[nodiscard]] std::uint32_t folded_seed(std::uint64_t seed);

}  // namespace dln::http
