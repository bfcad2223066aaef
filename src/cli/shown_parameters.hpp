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

/// "prompt 1", and in a mixture layer "prompt 1, expert 2".
[[nodiscard]] std::string prompt_label(const LayerParameters& parameters,
                                       std::size_t layer,
                                       std::size_t expert);

}  // namespace dln
