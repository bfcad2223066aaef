#include "store/journal_line.hpp"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "store/base64.hpp"
#include "store/sealed_line.hpp"

namespace dln {
namespace {

constexpr std::string_view kVersionField = R"({"v":)";
constexpr std::string_view kKeyField = R"(,"key":")";
constexpr std::size_t kKeyDigits = 32;

std::string hex(const JournalKey& key) { return fmt::format("{:016x}{:016x}", key.high, key.low); }

std::optional<std::uint64_t> from_hex(std::string_view digits) {
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + digits.size()) {
        return std::nullopt;
    }
    return value;
}

/// Bytes that stand for themselves in a JSON string.
constexpr std::array<bool, 256> kPlain = [] {
    std::array<bool, 256> plain{};
    for (std::size_t byte = 0x20; byte < plain.size(); ++byte) plain.at(byte) = true;
    plain['"'] = plain['\\'] = false;
    return plain;
}();

std::string escape_of(char byte) {
    switch (byte) {
        case '"':
            return "\\\"";
        case '\\':
            return "\\\\";
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        default:
            return fmt::format("\\u{:04x}", static_cast<unsigned char>(byte));
    }
}

/// A JSON string of `text`, which is UTF-8. Replies are long and many, and nlohmann_json looks at each byte of
/// them in a state machine: this was a tenth of a rank's time.
void append_json_string(std::string_view text, std::string& to) {
    to += '"';
    for (std::size_t done = 0; done < text.size(); ++done) {
        std::size_t end = done;
        while (end < text.size() && kPlain[static_cast<unsigned char>(text[end])]) ++end;
        to += text.substr(done, end - done);
        if (end < text.size()) to += escape_of(text[end]);
        done = end;
    }
    to += '"';
}

/// The reply as the field "text" where that is legible and short, else as "base64".
void append_reply(std::string_view reply, std::string& to) {
    if (!find_invalid_utf8(reply)) {
        const std::size_t before = to.size();
        to += R"("text":)";
        const std::size_t begin = to.size();
        append_json_string(reply, to);
        if (to.size() - begin <= 2 * reply.size() + 2) return;
        to.resize(before);
    }
    to += fmt::format(R"("base64":"{}")", to_base64(reply));
}

/// What follows `before` at the beginning of `line`; nullopt when it begins otherwise.
std::optional<std::string_view> after(std::string_view line, std::string_view before) {
    if (!line.starts_with(before)) {
        return std::nullopt;
    }
    return line.substr(before.size());
}

}  // namespace

JournalKey journal_key(const PaidRequest& request) {
    const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                                &XXH3_freeState);
    XXH3_128bits_reset(state.get());
    for (const std::string_view part : {request.model, request.path, request.body}) {
        std::array<unsigned char, 8> length{};  // little-endian: ("ab", "c") is not ("a", "bc")
        for (std::size_t i = 0; i < length.size(); ++i) {
            length.at(i) =
                static_cast<unsigned char>(static_cast<std::uint64_t>(part.size()) >> 8 * i & 255U);
        }
        XXH3_128bits_update(state.get(), length.data(), length.size());
        XXH3_128bits_update(state.get(), part.data(), part.size());
    }
    const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
    return {hash.high64, hash.low64};
}

std::string journal_line(const JournalKey& key,
                         const PaidRequest& request,
                         std::string_view reply) {
    std::string line;
    line.reserve(256 + reply.size() + reply.size() / 4);
    line +=
        fmt::format(R"({}{}{}{}","request_bytes":{},"reply_bytes":{},)", kVersionField,
                    kJournalVersion, kKeyField, hex(key),
                    request.model.size() + request.path.size() + request.body.size(), reply.size());
    append_reply(reply, line);
    return sealed_line(std::move(line));
}

std::optional<int> version_of(std::string_view line) {
    const auto rest = after(line, kVersionField);
    if (!rest) {
        return std::nullopt;
    }
    int version = 0;
    const auto [end, error] =
        std::from_chars(rest->data(), rest->data() + rest->size(), version, 10);
    if (error == std::errc::result_out_of_range) {
        return std::numeric_limits<int>::max();
    }
    return error == std::errc() ? std::optional<int>(version) : std::nullopt;
}

std::optional<JournalKey> key_of(std::string_view line) {
    const auto rest = after(line, fmt::format("{}{}{}", kVersionField, kJournalVersion, kKeyField));
    if (!rest || rest->size() < kKeyDigits) {
        return std::nullopt;
    }
    const auto high = from_hex(rest->substr(0, kKeyDigits / 2));
    const auto low = from_hex(rest->substr(kKeyDigits / 2, kKeyDigits / 2));
    if (!high || !low) {
        return std::nullopt;
    }
    return JournalKey{*high, *low};
}

std::optional<std::string> reply_of(std::string_view line, const JournalKey& key) {
    if (key_of(line) != key) {
        return std::nullopt;
    }
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) {
        return std::nullopt;
    }
    std::optional<std::string> reply;
    if (const auto text = json.find("text"); text != json.end() && text->is_string()) {
        reply = text->get<std::string>();
    } else if (const auto coded = json.find("base64"); coded != json.end() && coded->is_string()) {
        reply = from_base64(coded->get_ref<const std::string&>());
    }
    const auto size = json.find("reply_bytes");
    if (!reply || size == json.end() || *size != reply->size()) {
        return std::nullopt;
    }
    return reply;
}

}  // namespace dln
