#include "cli/shown_parameters.hpp"

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

namespace dln {

std::string shown_words(const std::vector<std::string>& words) {
    std::string shown;
    for (const std::string& word : words) {
        shown +=
            fmt::format("{}\"{}\"", shown.empty() ? " with words " : ", ", printable(word, 40));
    }
    return shown;
}

std::string prompt_label(const LayerParameters& parameters, std::size_t layer, std::size_t expert) {
    return fmt::format("prompt {}{}", layer + 1,
                       parameters.others.empty() ? "" : fmt::format(", expert {}", expert + 1));
}

std::string shown_parameters(const LayerParameters& parameters,
                             const std::string& template_name,
                             std::size_t most) {
    return fmt::format("\"{}\" in template {}{}", printable(parameters.prompt, most),
                       printable(template_name, 60), shown_words(parameters.words));
}

}  // namespace dln
