#include "store/base64.hpp"

#include <cstddef>
#include <cstdint>

namespace dln {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint32_t kNoDigit = 64;

std::uint32_t digit_of(char c) {
    if (c >= 'A' && c <= 'Z') {
        return static_cast<std::uint32_t>(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return static_cast<std::uint32_t>(c - 'a' + 26);
    }
    if (c >= '0' && c <= '9') {
        return static_cast<std::uint32_t>(c - '0' + 52);
    }
    return c == '+' ? 62 : c == '/' ? 63 : kNoDigit;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view group = bytes.substr(at, 3);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            bits = bits << 8U | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            text += i <= group.size() ? kDigits[bits >> (18 - 6 * i) & 63U] : '=';
        }
    }
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) {
        return std::nullopt;
    }
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    for (std::size_t at = 0; at < text.size() - padding; ++at) {
        const std::uint32_t digit = digit_of(text[at]);
        if (digit == kNoDigit) {
            return std::nullopt;
        }
        bits = bits << 6U | digit;
        if (at % 4 != 0) {  // 6, 12, 18, 24 bits are there: each but the first completes a byte
            bytes += static_cast<char>(bits >> (6 - at % 4 * 2) & 255U);
        }
    }
    if (padding != 0 && (bits & (padding == 2 ? 15U : 3U)) != 0) {
        return std::nullopt;  // bits that no byte has
    }
    return bytes;
}

}  // namespace dln
