#pragma once
// Token sequences as a tree: what several sequences begin with is computed once. Candidate prefix, example
// and class sharing all fall out of it. Pure; a function of the order in which paths are added.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace dln {

using Token = std::int32_t;

struct TokenNode {
    Token token = 0;
    int parent = -1;  ///< index of the node before it, -1 at the root
    int depth = 0;    ///< tokens before it in the tree
    bool wants_logits = false;
    std::vector<int> sequences;  ///< ids of the sequences that run through it
};

class TokenTree {
  public:
    /// Adds a path from the root and returns its nodes, one a token. Nodes are in an order in which every
    /// parent comes before its children.
    std::vector<int> add_path(std::span<const Token> tokens);
    /// Adds a sequence of its own that ends in `node`, even when other sequences run through it.
    void add_sequence_through(int node);
    /// Gives every leaf that no sequence ends in a sequence. Call after the last path.
    void finish();
    [[nodiscard]] std::vector<TokenNode>& nodes() noexcept { return nodes_; }
    [[nodiscard]] const std::vector<TokenNode>& nodes() const noexcept { return nodes_; }
    [[nodiscard]] int sequence_count() const noexcept { return sequence_count_; }

  private:
    std::vector<TokenNode> nodes_;
    std::map<std::pair<int, Token>, int> children_;  // (parent, token) -> node
    int sequence_count_ = 0;
};

/// Number of leading tokens that `a` and `b` have in common.
[[nodiscard]] std::size_t common_prefix(std::span<const Token> a, std::span<const Token> b);

}  // namespace dln
