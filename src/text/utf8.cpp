#include "dln/text/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>

namespace dln {
namespace {

/// A code point and its length in bytes; length 0: the first byte begins no valid sequence.
struct CodePoint {
    std::uint32_t value = 0;
    std::size_t length = 0;
};

/// Pre: `text` is not empty.
CodePoint decode(std::string_view text) {
    const auto byte = [&](std::size_t i) -> std::uint32_t {
        return static_cast<unsigned char>(text[i]);
    };
    const auto lead = byte(0);
    if (lead < 0x80) {
        return {lead, 1};
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length) {
        return {};
    }
    std::uint32_t value = lead & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return {};
        }
        value = (value << 6U) | (byte(i) & 0x3FU);
    }
    const std::uint32_t smallest = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
    if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
        return {};
    }
    return {value, length};
}

/// How many bytes at the beginning are surely ASCII, counted in eights: most text is, and much is looked at.
std::size_t leading_ascii(std::string_view text) {
    constexpr std::uint64_t kHighBits = 0x8080808080808080U;
    std::size_t at = 0;
    for (std::uint64_t eight = 0; at + sizeof eight <= text.size(); at += sizeof eight) {
        std::memcpy(&eight, text.data() + at, sizeof eight);
        if ((eight & kHighBits) != 0) break;
    }
    return at;
}

/// Code points that would move the cursor, change colours or reorder what a reader sees.
bool is_unprintable(std::uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

std::string escaped(std::uint32_t c) {
    switch (c) {
        case '\n':
            return "\\n";
        case '\t':
            return "\\t";
        case '\r':
            return "\\r";
        default:
            return c < 0x80 ? fmt::format("\\x{:02x}", c) : fmt::format("\\u{:04x}", c);
    }
}

/// Lower case, and - as _, so that habits from other tools count as near.
std::string folded(std::string_view word) {
    std::string result(word);
    for (auto& c : result) {
        c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return result;
}

/// Edit distance with transpositions of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            const std::size_t differs = a[i - 1] == b[j - 1] ? 0 : 1;
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + differs});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a.size()][b.size()];
}

}  // namespace

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
    for (std::size_t at = leading_ascii(text); at < text.size();) {
        const auto length = decode(text.substr(at)).length;
        if (length == 0) {
            return at;
        }
        at += length;
        at += leading_ascii(text.substr(at));
    }
    return std::nullopt;
}

std::string replace_invalid_utf8(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto length = decode(text.substr(at)).length;
        if (length == 0) {
            result += "\xEF\xBF\xBD";
            ++at;
        } else {
            result += text.substr(at, length);
            at += length;
        }
    }
    return result;
}

std::string printable(std::string_view text, std::size_t max_characters) {
    std::string result;
    std::size_t shown = 0;
    for (std::size_t at = 0; at < text.size(); ++shown) {
        if (shown == max_characters) {
            return result + "...";
        }
        const auto c = decode(text.substr(at));
        if (c.length == 0) {
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
        } else if (is_unprintable(c.value)) {
            result += escaped(c.value);
        } else {
            result += text.substr(at, c.length);
        }
        at += std::max<std::size_t>(c.length, 1);
    }
    return result;
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kWhite = " \t\n\v\f\r";
    const auto first = text.find_first_not_of(kWhite);
    if (first == std::string_view::npos) {
        return text.substr(text.size());
    }
    return text.substr(first, text.find_last_not_of(kWhite) - first + 1);
}

std::string lowered(std::string_view text) {
    std::string small(text);
    for (char& c : small) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return small;
}

std::string grouped(std::int64_t value) {
    std::string digits = std::to_string(value);
    const std::ptrdiff_t first = value < 0 ? 1 : 0;
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > first; at -= 3) {
        digits.insert(static_cast<std::size_t>(at), ",");
    }
    return digits;
}

std::optional<std::string> near_miss(std::string_view word, const std::vector<std::string>& known) {
    constexpr std::size_t kLongestWord = 100;  // longer ones are no slip of a finger
    if (word.empty() || word.size() > kLongestWord) {
        return std::nullopt;
    }
    const auto wanted = folded(word);
    std::optional<std::string> nearest;
    std::size_t best = (word.size() + 2) / 3 + 1;
    for (const auto& entry : known) {
        if (entry.size() > kLongestWord) {
            continue;
        }
        const auto candidate = folded(entry);
        auto distance = edit_distance(wanted, candidate);
        if (wanted.size() >= 3 && distance >= best && candidate.starts_with(wanted)) {
            distance = best - 1;  // "batch" for "batch_size"
        }
        if (distance < best && distance < entry.size()) {
            best = distance;
            nearest = entry;
        }
    }
    return nearest;
}

}  // namespace dln
