#include "llm/embedded/token_tree.hpp"

#include <algorithm>

namespace dln {

std::vector<int> TokenTree::add_path(std::span<const Token> tokens) {
    std::vector<int> path;
    path.reserve(tokens.size());
    int parent = -1;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto [place, is_new] =
            children_.try_emplace({parent, tokens[i]}, static_cast<int>(nodes_.size()));
        if (is_new) {
            nodes_.push_back({tokens[i], parent, static_cast<int>(i), false, {}});
        }
        parent = place->second;
        path.push_back(parent);
    }
    return path;
}

void TokenTree::add_sequence_through(int node) {
    const int sequence = sequence_count_++;
    for (int at = node; at >= 0; at = nodes_[static_cast<std::size_t>(at)].parent) {
        nodes_[static_cast<std::size_t>(at)].sequences.push_back(sequence);
    }
}

void TokenTree::finish() {
    std::vector<bool> has_child(nodes_.size(), false);
    for (const TokenNode& node : nodes_) {
        if (node.parent >= 0) has_child[static_cast<std::size_t>(node.parent)] = true;
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (!has_child[i] && nodes_[i].sequences.empty()) {
            add_sequence_through(static_cast<int>(i));
        }
    }
}

std::size_t common_prefix(std::span<const Token> a, std::span<const Token> b) {
    const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(in_a - a.begin());
}

}  // namespace dln
