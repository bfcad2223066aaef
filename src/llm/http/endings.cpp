#include "llm/http/endings.hpp"

#include <algorithm>
#include <utility>

namespace dln::http {
namespace {

constexpr std::size_t kLeast = 8;  // bytes of an anchor
constexpr std::size_t kMost = 64;

bool begins_a_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

}  // namespace

std::string_view anchor_of(std::string_view context) {
    if (context.size() <= kLeast) return context;
    std::string_view end = context.substr(context.size() - std::min(context.size(), kMost));
    const std::size_t white = end.substr(0, end.size() - kLeast).find_last_of(" \n\t");
    if (white != std::string_view::npos) return end.substr(white);
    while (!begins_a_character(end.front())) end.remove_prefix(1);
    return end;
}

std::size_t Endings::place_of(std::string text, std::vector<std::size_t>& added) {
    const auto [entry, is_new] = places_.try_emplace(text, texts_.size());
    if (is_new) {
        added.push_back(texts_.size());
        texts_.push_back({.text = std::move(text), .tokens = std::nullopt});
    }
    return entry->second;
}

std::vector<std::size_t> Endings::note(std::string_view context, const std::string& target) {
    std::vector<std::size_t> added;
    const auto [entry, is_new] = endings_.try_emplace(target);
    if (is_new) {
        const std::string anchor(anchor_of(context));
        entry->second = {.anchor = place_of(anchor, added),
                         .whole = place_of(anchor + target, added)};
    }
    return added;
}

void Endings::settle(std::size_t place, std::vector<TokenId> tokens) {
    texts_[place].tokens = std::move(tokens);
}

Endings::Expected Endings::expected(const std::string& target,
                                    const std::vector<TokenId>& context) const {
    const Ending& ending = endings_.at(target);
    const auto& anchor = texts_[ending.anchor].tokens;
    const auto& whole = texts_[ending.whole].tokens;
    if (!anchor || !whole) return {.tokens = {}, .may_come = true};
    const auto [end, rest] = std::ranges::mismatch(*anchor, *whole);
    const auto merged = anchor->end() - end;  // last tokens of a context that the target changes
    const auto size = static_cast<std::ptrdiff_t>(context.size());
    const bool is_alike = !anchor->empty() && !whole->empty() && merged <= size &&
                          std::equal(end, anchor->end(), context.end() - merged);
    if (!is_alike) return {};
    Expected expected{.tokens = {context.begin(), context.end() - merged}};
    expected.tokens.insert(expected.tokens.end(), rest, whole->end());
    return expected;
}

}  // namespace dln::http
