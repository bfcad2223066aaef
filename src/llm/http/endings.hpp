#pragma once
// With which tokens a context goes on when a target follows it, told from a short text: the end of a context,
// alone and with the target. A tokeniser decides by what is near, so what it does there it does behind all
// contexts that end like that one. That is an expectation only: what a server returns is compared with it. Pure.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/http/strict_json.hpp"

namespace dln::http {

/// The end of `context` that a tokeniser is asked about: from a white space on where there is one at the right
/// distance, since tokens begin there.
[[nodiscard]] std::string_view anchor_of(std::string_view context);

class Endings {
  public:
    /// Notes that `target` follows a context, the first one that it is noted with. Returns which texts have to
    /// be tokenised for it that nobody was asked about so far: places for `text` and `settle`.
    [[nodiscard]] std::vector<std::size_t> note(std::string_view context,
                                                const std::string& target);
    [[nodiscard]] const std::string& text(std::size_t place) const { return texts_[place].text; }
    /// The text's tokens; none: they will never be known.
    void settle(std::size_t place, std::vector<TokenId> tokens);

    /// What context and target are expected to be together. Empty: not known, and `may_come` says whether it
    /// may become known.
    struct Expected {
        std::vector<TokenId> tokens;
        bool may_come = false;
    };
    /// `context`: the tokens that the context has alone. Pre: `target` was noted.
    [[nodiscard]] Expected expected(const std::string& target,
                                    const std::vector<TokenId>& context) const;

  private:
    struct Text {
        std::string text;
        std::optional<std::vector<TokenId>> tokens;
    };
    struct Ending {
        std::size_t anchor = 0;  // places of texts
        std::size_t whole = 0;
    };
    [[nodiscard]] std::size_t place_of(std::string text, std::vector<std::size_t>& added);

    std::vector<Text> texts_;
    std::map<std::string, std::size_t> places_;  // by text
    std::map<std::string, Ending> endings_;      // by target
};

}  // namespace dln::http
