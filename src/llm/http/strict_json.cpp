#include "llm/http/strict_json.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <simdjson.h>

#include "dln/text/utf8.hpp"

namespace dln::http {
namespace {

constexpr std::size_t kDeepest = 64;
constexpr std::size_t kMostWords = 200;  // characters of a server's message

struct Refused {
    std::string why;
};

using simdjson::dom::element;
using simdjson::dom::element_type;

// What no dialect reads and what would be most of a scoring reply. Beside a single token's "logprob" the best
// ones are a short list, which llama-server's is checked by.
bool is_unread(std::string_view key, const simdjson::dom::object& object) {
    return key == "text_offset" || key == "prompt_logprobs" ||
           (key == "top_logprobs" && object.at_key("logprob").error() != simdjson::SUCCESS);
}

/// `body` with integers of more than 18 digits written as decimal fractions, since simdjson takes none
/// beyond 64 bits: SGLang's /tokenize says max_model_len 1000000000000000019884624838656.
std::string with_long_integers_as_doubles(std::string_view body) {
    constexpr std::size_t kSafeDigits = 18;
    constexpr std::string_view kDigits = "0123456789";
    const auto is_one_of = [&](std::size_t at, std::string_view characters) {
        return at < body.size() && characters.find(body[at]) != std::string_view::npos;
    };
    std::string changed;
    bool in_text = false;
    for (std::size_t at = 0; at < body.size();) {
        if (in_text || !is_one_of(at, kDigits)) {
            const std::size_t size = in_text && body[at] == '\\' ? 2 : 1;
            in_text = in_text != (body[at] == '"');
            changed += body.substr(at, size);
            at += size;
            continue;
        }
        const std::size_t end = std::min(body.find_first_not_of(kDigits, at), body.size());
        changed += body.substr(at, end - at);
        const bool is_fraction = (at > 0 && is_one_of(at - 1, ".eE+")) || is_one_of(end, ".eE");
        if (end - at > kSafeDigits && !is_fraction) changed += ".0";
        at = end;
    }
    return changed;
}

Json convert(const element& value, std::size_t depth);

Json convert(const simdjson::dom::object& object, std::size_t depth) {
    Json converted = Json::object();
    for (const auto& [key, value] : object) {
        const bool is_new =
            converted.emplace(key, is_unread(key, object) ? Json() : convert(value, depth)).second;
        if (!is_new) {
            throw Refused{fmt::format("\"{}\" occurs twice in one object", printable(key, 40))};
        }
    }
    return converted;
}

Json convert(const simdjson::dom::array& array, std::size_t depth) {
    Json converted = Json::array();
    converted.get_ref<Json::array_t&>().reserve(array.size());
    for (const element& value : array) converted.push_back(convert(value, depth));
    return converted;
}

/// `depth`: of arrays and objects around the value.
Json convert(const element& value, std::size_t depth) {
    const element_type type = value.type();
    const bool is_nested = type == element_type::ARRAY || type == element_type::OBJECT;
    if (is_nested && depth == kDeepest) {
        throw Refused{fmt::format("nested deeper than {} levels", kDeepest)};
    }
    switch (type) {
        case element_type::ARRAY:
            return convert(simdjson::dom::array(value), depth + 1);
        case element_type::OBJECT:
            return convert(simdjson::dom::object(value), depth + 1);
        case element_type::INT64:
            return std::int64_t(value);
        case element_type::UINT64:
            return std::uint64_t(value);
        case element_type::DOUBLE:
            return double(value);
        case element_type::STRING:
            return std::string_view(value);
        case element_type::BOOL:
            return bool(value);
        case element_type::NULL_VALUE:
            break;
    }
    return nullptr;
}

}  // namespace

ParsedReply parse_reply(std::string_view body) {
    // simdjson copies from where the text is, also when there is none.
    if (body.empty()) return {.value = {}, .error = "the reply is empty"};
    simdjson::dom::parser parser;
    element root;
    simdjson::error_code error = parser.parse(body.data(), body.size()).get(root);
    if (error == simdjson::NUMBER_ERROR) {
        error = parser.parse(with_long_integers_as_doubles(body)).get(root);
    }
    if (error == simdjson::DEPTH_ERROR) {
        return {.value = {},
                .error = fmt::format("the reply is nested deeper than {} levels", kDeepest)};
    }
    if (error != simdjson::SUCCESS) {
        return {.value = {},
                .error = fmt::format("the reply is not JSON ({}); it begins with \"{}\"",
                                     simdjson::error_message(error),
                                     printable(body.substr(0, 160), 40))};
    }
    try {
        return {.value = convert(root, 0), .error = {}};
    } catch (const Refused& refused) {
        return {.value = {}, .error = "the reply is " + refused.why};
    }
}

std::string outermost_text(std::string_view body, std::string_view key) {
    if (body.empty()) return {};
    // Skips what stands before the key without reading it: the parser of whole replies would not.
    const simdjson::padded_string padded(body);
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
    std::string_view text;
    const bool is_text =
        parser.iterate(padded).get(document) == simdjson::SUCCESS &&
        document.find_field_unordered(key).get_string().get(text) == simdjson::SUCCESS;
    return is_text ? std::string(text) : std::string();
}

const Json* member(const Json& value, std::string_view key) {
    if (!value.is_object()) return nullptr;
    const auto found = value.find(key);
    return found == value.end() ? nullptr : &*found;
}

const Json* member(const Json* value, std::string_view key) {
    return value == nullptr ? nullptr : member(*value, key);
}

std::optional<std::int64_t> whole_number(const Json* value) {
    if (value == nullptr || !value->is_number_integer()) return std::nullopt;
    if (value->is_number_unsigned() &&
        value->get<std::uint64_t>() >
            static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
    }
    return value->get<std::int64_t>();
}

std::optional<std::int64_t> token_count(const Json* value) {
    constexpr std::int64_t kMost = 1'000'000'000'000;
    const auto number = whole_number(value);
    return number && *number >= 0 && *number <= kMost ? number : std::nullopt;
}

const std::string* text_of(const Json* value) {
    return value != nullptr && value->is_string() ? &value->get_ref<const std::string&>() : nullptr;
}

std::optional<TokenId> token_id(const Json* value) {
    const auto number = whole_number(value);
    if (!number || *number < 0 || *number > std::numeric_limits<TokenId>::max()) {
        return std::nullopt;
    }
    return static_cast<TokenId>(*number);
}

std::optional<std::vector<TokenId>> token_list(const Json* value) {
    if (value == nullptr || !value->is_array()) return std::nullopt;
    std::vector<TokenId> tokens;
    tokens.reserve(value->size());
    for (const Json& each : *value) {
        const auto token = token_id(&each);
        if (!token) return std::nullopt;
        tokens.push_back(*token);
    }
    return tokens;
}

std::string body_of(const Json& value) {
    // Texts are checked before they get here; a name from elsewhere must not throw either.
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string server_words(std::string_view body) {
    const ParsedReply parsed = parse_reply(body);
    const Json* error = member(parsed.value, "error");
    for (const Json* message :
         {member(error, "message"), error, member(parsed.value, "message"),
          member(parsed.value, "detail"), static_cast<const Json*>(&parsed.value)}) {
        if (const std::string* words = text_of(message)) return printable(*words, kMostWords);
    }
    if (trim(body).empty()) return "(nothing)";
    return printable(body.substr(0, 4 * kMostWords), kMostWords);
}

}  // namespace dln::http
