#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "generators.hpp"

namespace dln {
namespace {

// Each word belongs to one kind only ("fine" could be opinion or size: left out).
constexpr std::array<std::array<std::string_view, 8>, 8> kAdjectives{{
    {"lovely", "dreadful", "charming", "horrid", "splendid", "delightful", "ghastly", "superb"},
    {"tiny", "huge", "small", "enormous", "large", "gigantic", "miniature", "big"},
    {"ancient", "new", "old", "antique", "modern", "young", "medieval", "brand-new"},
    {"round", "square", "oval", "triangular", "spherical", "rectangular", "conical", "hexagonal"},
    {"red", "green", "blue", "yellow", "purple", "white", "orange", "turquoise"},
    {"Peruvian", "Danish", "Kenyan", "Scottish", "Korean", "Greek", "Chilean", "Moroccan"},
    {"wooden", "copper", "glass", "leather", "marble", "woollen", "ceramic", "steel"},
    {"hunting", "cooking", "racing", "sewing", "fishing", "gardening", "camping", "dancing"},
}};

constexpr std::array<std::string_view, 16> kNouns{
    "lamp",  "basket", "jacket", "bowl", "table",  "whistle", "ladder", "clock",
    "spoon", "bucket", "hat",    "tent", "bottle", "mirror",  "glove",  "stool"};

std::string phrase(const std::vector<std::string_view>& adjectives, std::string_view noun) {
    return fmt::format("{} {}", fmt::join(adjectives, " "), noun);
}

/// `adjectives` in any other order.
std::vector<std::string_view> disordered(const std::vector<std::string_view>& adjectives,
                                         CounterRng& rng) {
    auto result = adjectives;
    while (result == adjectives) {
        const auto order = rng.permutation(adjectives.size());
        for (std::size_t i = 0; i < order.size(); ++i) {
            result[i] = adjectives[order[i]];
        }
    }
    return result;
}

}  // namespace

std::string make_adjective_order(CounterRng& rng, std::size_t target) {
    auto kinds = rng.permutation(kAdjectives.size());
    kinds.resize(3 + rng.below(3));
    std::sort(kinds.begin(), kinds.end());
    std::vector<std::string_view> adjectives;
    for (const auto kind : kinds) {
        adjectives.push_back(kAdjectives[kind][rng.below(kAdjectives[kind].size())]);
    }
    const auto noun = kNouns[rng.below(kNouns.size())];
    const auto right = phrase(adjectives, noun);
    const auto wrong = phrase(disordered(adjectives, rng), noun);
    return fmt::format(
        "Which of these phrases puts its adjectives in the usual English order?\n"
        "Options:\n(A) {}\n(B) {}",
        target == 0 ? right : wrong, target == 0 ? wrong : right);
}

}  // namespace dln
