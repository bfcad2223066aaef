#include "llm/http/strict_json.hpp"

#include <limits>
#include <set>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

namespace dln::http {
namespace {

constexpr std::size_t kDeepest = 64;
constexpr std::size_t kMostWords = 200;  // characters of a server's message

struct Refused {
    std::string why;
};

/// Follows the parser for what a finished value does not show any more: depth, and keys that occur twice.
class Watcher {
  public:
    void on_event(Json::parse_event_t event, const Json& value) {
        switch (event) {
            case Json::parse_event_t::object_start:
            case Json::parse_event_t::array_start:
                keys_.emplace_back();
                if (keys_.size() > kDeepest) {
                    throw Refused{fmt::format("nested deeper than {} levels", kDeepest)};
                }
                break;
            case Json::parse_event_t::object_end:
            case Json::parse_event_t::array_end:
                keys_.pop_back();
                break;
            case Json::parse_event_t::key:
                if (!keys_.back().insert(value.get<std::string>()).second) {
                    throw Refused{fmt::format("\"{}\" occurs twice in one object",
                                              printable(value.get<std::string>(), 40))};
                }
                break;
            case Json::parse_event_t::value:
                break;
        }
    }

  private:
    std::vector<std::set<std::string>> keys_;  // of the values that are open
};

/// Ends the parse as soon as the text of one outermost key is known.
class OutermostText final : public nlohmann::json_sax<Json> {
  public:
    explicit OutermostText(std::string_view key) : wanted_(key) {}
    [[nodiscard]] std::string take() { return std::move(text_); }

    bool string(string_t& value) override {
        if (!is_wanted_) return true;
        text_ = value;
        return false;
    }
    bool key(string_t& value) override {
        is_wanted_ = depth_ == 1 && value == wanted_;
        return true;
    }
    bool start_object(std::size_t /*size*/) override { return open(); }
    bool start_array(std::size_t /*size*/) override { return depth_ > 0 && open(); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool null() override { return !is_wanted_; }
    bool boolean(bool /*value*/) override { return !is_wanted_; }
    bool number_integer(number_integer_t /*value*/) override { return !is_wanted_; }
    bool number_unsigned(number_unsigned_t /*value*/) override { return !is_wanted_; }
    bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
        return !is_wanted_;
    }
    bool binary(binary_t& /*value*/) override { return false; }
    bool parse_error(std::size_t /*position*/,
                     const std::string& /*token*/,
                     const nlohmann::detail::exception& /*error*/) override {
        return false;
    }

  private:
    bool open() { return ++depth_ <= kDeepest && !is_wanted_; }
    bool close() {
        --depth_;
        return true;
    }

    std::string wanted_;
    std::string text_;
    std::size_t depth_ = 0;
    bool is_wanted_ = false;
};

/// The library's message without its own prefix.
std::string reason_of(std::string_view what) {
    if (const std::size_t at = what.find("] "); at != std::string_view::npos) {
        what.remove_prefix(at + 2);
    }
    return printable(what, 120);
}

}  // namespace

ParsedReply parse_reply(std::string_view body) {
    Watcher watcher;
    const auto watch = [&](int, Json::parse_event_t event, Json& value) {
        watcher.on_event(event, value);
        return true;
    };
    try {
        return {.value = Json::parse(body, watch), .error = {}};
    } catch (const Refused& refused) {
        return {.value = {}, .error = "the reply is " + refused.why};
    } catch (const Json::exception& error) {
        return {.value = {},
                .error = fmt::format("the reply is not JSON: {}; it begins with \"{}\"",
                                     reason_of(error.what()), printable(body.substr(0, 160), 40))};
    }
}

std::string outermost_text(std::string_view body, std::string_view key) {
    OutermostText reader(key);
    // False means stopped: found, no object, or not JSON.
    static_cast<void>(Json::sax_parse(body, &reader));
    return reader.take();
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
