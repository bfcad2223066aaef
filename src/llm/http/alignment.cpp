#include "llm/http/alignment.hpp"

#include <algorithm>

namespace dln::http {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<char> hex_byte(std::string_view two) {
    if (two.size() < 2) return std::nullopt;
    const int high = hex_digit(two[0]);
    const int low = hex_digit(two[1]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<char>(high * 16 + low);
}

/// The bytes that "<0xE2>" or "bytes:\xe2\x82" stand for; empty when `token` is neither.
std::string spelled_bytes(std::string_view token) {
    constexpr std::string_view kBytes = "bytes:";
    if (token.size() == 6 && token.starts_with("<0x") && token.ends_with('>')) {
        const auto byte = hex_byte(token.substr(3));
        return byte ? std::string(1, *byte) : std::string();
    }
    if (!token.starts_with(kBytes)) return {};
    std::string bytes;
    for (token.remove_prefix(kBytes.size()); !token.empty(); token.remove_prefix(4)) {
        const auto byte =
            token.starts_with("\\x") ? hex_byte(token.substr(2)) : std::optional<char>();
        if (!byte) return {};
        bytes += *byte;
    }
    return bytes;
}

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

/// Walks along the text token by token.
class Walker {
  public:
    Walker(std::string_view text, bool has_dummy_space)
        : text_(text),
          has_dummy_space_(has_dummy_space),
          work_left_(64 * text.size() + (1U << 20)) {}

    [[nodiscard]] bool at_end() const { return at_ == text_.size() && most_ == 0; }

    /// False: the text does not go on like this.
    bool take(std::string_view token) {
        if (token.empty()) {
            most_ += kMostBytes;
            return true;
        }
        if (has_dummy_space_) {
            has_dummy_space_ = false;
            if (!token.starts_with(' ')) return false;
            token.remove_prefix(1);
            if (token.empty()) return true;
        }
        if (at_ <= text_.size() && !text_.substr(at_).starts_with(token)) {
            if (const std::string bytes = spelled_bytes(token); !bytes.empty()) {
                return literal(bytes);
            }
        }
        while (!token.empty()) {
            const std::size_t clear = token.find(kReplacement);
            if (clear == std::string_view::npos) return literal(token);
            // A U+FFFD of the text itself.
            if (most_ == 0 && text_.substr(at_).starts_with(token.substr(0, clear + 3))) {
                at_ += clear + 3;
            } else {
                if (clear > 0 && !literal(token.substr(0, clear))) return false;
                least_ += 1;
                most_ += kMostBytes;
            }
            token.remove_prefix(clear + 3);
        }
        return true;
    }

    /// True when what is left is a stretch that the last, unclear tokens can stand for.
    [[nodiscard]] bool can_end() const {
        const std::string_view rest = text_.substr(at_);
        return rest.size() >= least_ && rest.size() <= most_ &&
               std::none_of(rest.begin(), rest.end(), is_ascii);
    }

  private:
    static constexpr std::size_t kMostBytes = 4;  // of one unclear token: a whole character

    // Passes over the fewest bytes that unclear tokens can stand for, then `bytes`.
    bool literal(std::string_view bytes) {
        for (std::size_t skipped = 0; skipped <= most_; ++skipped) {
            const std::string_view rest = text_.substr(at_);
            if (rest.size() < skipped) return false;
            if (skipped > 0 && is_ascii(rest[skipped - 1])) return false;
            if (skipped >= least_ && rest.substr(skipped).starts_with(bytes)) {
                at_ += skipped + bytes.size();
                least_ = 0;
                most_ = 0;
                return true;
            }
            const std::size_t cost = 1 + (most_ > 0 ? bytes.size() / 8 : 0);
            if (work_left_ < cost) return false;
            work_left_ -= cost;
        }
        return false;
    }

    std::string_view text_;
    bool has_dummy_space_;
    std::size_t work_left_;
    std::size_t at_ = 0;
    std::size_t least_ = 0;  // bytes that the unclear tokens since the last clear one stand for
    std::size_t most_ = 0;
};

std::optional<std::size_t> tokens_of(std::span<const std::string> tokens,
                                     std::string_view text,
                                     bool has_dummy_space,
                                     bool all) {
    Walker walker(text, has_dummy_space);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (walker.at_end()) return all ? std::optional<std::size_t>() : i;
        if (!walker.take(tokens[i])) return std::nullopt;
    }
    if (all ? walker.can_end() : walker.at_end()) return tokens.size();
    return std::nullopt;
}

std::optional<Alignment> search(std::span<const std::string> tokens, SentText sent, bool all) {
    const bool sends_begin = sent.begin_bytes > 0;
    for (const bool has_begin : {true, false}) {
        if (!has_begin && !sends_begin) continue;
        const std::string_view text = has_begin ? sent.text : sent.text.substr(sent.begin_bytes);
        // Where a begin text was sent, another begin token in front of it would be one too many.
        const std::size_t most_first = sends_begin ? 0 : 1;
        for (std::size_t first = 0; first <= std::min(most_first, tokens.size()); ++first) {
            if (first == 1 && tokens[0].empty()) continue;
            for (const bool has_dummy_space : {false, true}) {
                const auto count = tokens_of(tokens.subspan(first), text, has_dummy_space, all);
                if (count) {
                    return Alignment{
                        .first = first, .count = *count, .has_begin = has_begin && sends_begin};
                }
            }
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<Alignment> align(std::span<const std::string> tokens, SentText sent) {
    return search(tokens, sent, false);
}

std::optional<Alignment> align_all(std::span<const std::string> tokens, SentText sent) {
    return search(tokens, sent, true);
}

}  // namespace dln::http
