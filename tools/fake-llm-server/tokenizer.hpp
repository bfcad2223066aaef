#pragma once
// The fake model's vocabulary: control tokens, every byte, and some merged pieces, so that where a text is
// cut changes its tokens. Text to tokens by longest match from the left; a leading space belongs to its
// word. Decoding gives back every text byte for byte.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fake_llm {

using Token = std::int32_t;

constexpr Token kVocabulary = 1024;
constexpr Token kUnknown = 0;
constexpr Token kBegin = 1;
constexpr Token kEnd = 2;
/// A control token that the model never says: its log-probability is minus infinity.
constexpr Token kNever = 3;
constexpr Token kFirstByte = 4;
constexpr Token kFirstMerged = kFirstByte + 256;

class Tokenizer {
  public:
    Tokenizer();

    /// With `parse_special`, control tokens that are spelled in the text become control tokens.
    [[nodiscard]] std::vector<Token> encode(std::string_view text, bool parse_special) const;
    /// The bytes of `tokens`, which may end inside a UTF-8 character. Pre: all are in the vocabulary.
    [[nodiscard]] std::string decode(std::span<const Token> tokens, bool skip_special) const;
    [[nodiscard]] const std::string& piece(Token token) const;
    /// The same as a JSON text, with its quotes.
    [[nodiscard]] const std::string& quoted_piece(Token token) const;

  private:
    struct Node {
        std::vector<std::int32_t> next;  // by byte; empty in a leaf
        Token token = -1;
    };
    struct Match {
        Token token;
        std::size_t length;
    };
    void add_to_tree(std::string_view piece, Token token);
    [[nodiscard]] Match longest_match(std::string_view text) const;
    [[nodiscard]] Match special_match(std::string_view text) const;

    std::vector<std::string> pieces_;
    std::vector<std::string> quoted_pieces_;
    std::vector<Node> tree_;
};

[[nodiscard]] constexpr bool is_special(Token token) { return token < kFirstByte; }

}  // namespace fake_llm
