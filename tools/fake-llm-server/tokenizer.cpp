#include "tokenizer.hpp"

#include <array>

#include "json_text.hpp"

namespace fake_llm {
namespace {

// Together with control tokens, bytes, pairs of letters and letters after a space: the vocabulary. Pieces
// that hold a line break make the end of a context and the begin of a target one token.
constexpr std::array<std::string_view, 62> kWords{
    "the",         " the",      " and",     " is",       " of",       " to",        " in",
    " it",         " not",      " you",     " with",     " this",     " that",      " for",
    " are",        " was",      " one",     " two",      " first",    " last",      "yes",
    " yes",        "No",        " no",      "true",      " true",     "false",      " false",
    "positive",    " positive", "negative", " negative", "objective", " objective", "subjective",
    " subjective", "answer",    " answer",  "Answer",    " Answer",   "question",   " question",
    "input",       " input",    "output",   " output",   "Input",     "Output",     " word",
    " words",      " list",     " text",    " step",     " think",    " label",     "\n\n",
    ":\n",         ": ",        ". ",       ", ",        "...",       ".\n"};
constexpr Token kLetters = 26;
static_assert(kFirstMerged + kLetters * kLetters + kLetters + static_cast<Token>(kWords.size()) ==
              kVocabulary);

}  // namespace

Tokenizer::Tokenizer() : pieces_{"<unk>", "<s>", "</s>", "<never>"}, tree_(1) {
    for (int byte = 0; byte < 256; ++byte) {
        pieces_.emplace_back(1, static_cast<char>(byte));
    }
    for (char first = 'a'; first <= 'z'; ++first) {
        pieces_.push_back({' ', first});
        for (char second = 'a'; second <= 'z'; ++second) {
            pieces_.push_back({first, second});
        }
    }
    pieces_.insert(pieces_.end(), kWords.begin(), kWords.end());
    for (const std::string& piece : pieces_) {
        quoted_pieces_.push_back(json_quoted(piece));
    }
    for (Token token = kFirstByte; token < kVocabulary; ++token) {
        add_to_tree(piece(token), token);
    }
}

const std::string& Tokenizer::piece(Token token) const {
    return pieces_.at(static_cast<std::size_t>(token));
}

const std::string& Tokenizer::quoted_piece(Token token) const {
    return quoted_pieces_.at(static_cast<std::size_t>(token));
}

void Tokenizer::add_to_tree(std::string_view piece, Token token) {
    std::size_t node = 0;
    for (const char c : piece) {
        if (tree_[node].next.empty()) {
            tree_[node].next.assign(256, -1);
        }
        std::int32_t& next = tree_[node].next[static_cast<unsigned char>(c)];
        if (next < 0) {
            next = static_cast<std::int32_t>(tree_.size());
            node = tree_.size();
            tree_.emplace_back();  // `next` is gone now
        } else {
            node = static_cast<std::size_t>(next);
        }
    }
    tree_[node].token = token;
}

Tokenizer::Match Tokenizer::longest_match(std::string_view text) const {
    Match best{kUnknown, 1};
    std::size_t node = 0;
    for (std::size_t i = 0; i < text.size() && !tree_[node].next.empty(); ++i) {
        const std::int32_t next = tree_[node].next[static_cast<unsigned char>(text[i])];
        if (next < 0) {
            break;
        }
        node = static_cast<std::size_t>(next);
        if (tree_[node].token >= 0) {
            best = {tree_[node].token, i + 1};
        }
    }
    return best;
}

Tokenizer::Match Tokenizer::special_match(std::string_view text) const {
    if (text.starts_with('<')) {
        for (Token token = 0; token < kFirstByte; ++token) {
            if (text.starts_with(piece(token))) {
                return {token, piece(token).size()};
            }
        }
    }
    return {kUnknown, 0};
}

std::vector<Token> Tokenizer::encode(std::string_view text, bool parse_special) const {
    std::vector<Token> tokens;
    tokens.reserve(text.size() / 2 + 1);
    while (!text.empty()) {
        Match match = parse_special ? special_match(text) : Match{kUnknown, 0};
        if (match.length == 0) {
            match = longest_match(text);
        }
        tokens.push_back(match.token);
        text.remove_prefix(match.length);
    }
    return tokens;
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool skip_special) const {
    std::string text;
    for (const Token token : tokens) {
        if (!skip_special || !is_special(token)) {
            text += piece(token);
        }
    }
    return text;
}

}  // namespace fake_llm
