#pragma once
// How commands write parameters for people.

#include <cstddef>
#include <string>
#include <vector>

#include "dln/network/parameters.hpp"

namespace dln {

/// ` with words "Text", "Label"`; nothing without words.
[[nodiscard]] std::string shown_words(const std::vector<std::string>& words);

/// `"Prompt" in template t1 with words "Text"`, at most `most` bytes of the prompt.
[[nodiscard]] std::string shown_parameters(const LayerParameters& parameters,
                                           const std::string& template_name,
                                           std::size_t most);

}  // namespace dln
