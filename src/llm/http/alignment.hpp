#pragma once
// Do the texts of the tokens that a server returned give the text that it was sent? For servers that do not
// say token ids. Where they do not, or not surely, nothing of the reply may be used. Pure.
//
// What token texts may look like:
//   - a first token that is not in the text: the begin-of-sequence token that the server added;
//   - no token for the begin text although it was sent (llama-cpp-python drops it);
//   - one space in front of everything (SentencePiece's dummy prefix);
//   - "<0xE2>" and "bytes:\xe2\x82": the bytes;
//   - U+FFFD or nothing at all for tokens that hold a part of a character. These stand for a stretch of bytes
//     that are not ASCII, found by what follows. A text that ends in one is aligned only when the number of
//     its tokens is known, since it cannot be told where it ends.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dln::http {

/// What was sent, and how many of its bytes are the begin text.
struct SentText {
    std::string_view text;
    std::size_t begin_bytes = 0;
};

/// Tokens [first, first + count) are the text's.
struct Alignment {
    std::size_t first = 0;
    std::size_t count = 0;
    bool has_begin = false;  ///< the begin text is among them
    friend bool operator==(const Alignment&, const Alignment&) = default;
};

/// The first tokens that give the text exactly; what follows them is not looked at. Linear in the text
/// for honest replies, bounded for others.
[[nodiscard]] std::optional<Alignment> align(std::span<const std::string> tokens, SentText sent);

/// As align, but the text must end with the last token.
[[nodiscard]] std::optional<Alignment> align_all(std::span<const std::string> tokens,
                                                 SentText sent);

}  // namespace dln::http
