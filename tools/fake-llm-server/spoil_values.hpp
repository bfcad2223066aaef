#pragma once
// Faults inside an otherwise well-formed reply: wrong values, then wrong text.

#include <string>

#include "api.hpp"
#include "faults.hpp"

namespace fake_llm {

/// Changes values of a reply of any dialect. What JSON cannot say (NaN, raw bytes) is marked with a
/// placeholder that `spoil_text` replaces. Other kinds change nothing.
void spoil_values(FaultKind kind, Json& body);

/// Replaces the placeholders of `spoil_values` in the serialised reply.
void spoil_text(FaultKind kind, std::string& text);

}  // namespace fake_llm
