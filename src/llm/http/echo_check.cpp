#include "llm/http/echo_check.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "llm/http/alignment.hpp"

namespace dln::http {
namespace {

constexpr std::size_t kMostGenerated = 1;  // entries behind the prompt: max_tokens is 1

CheckedEcho fault(Verdict::Kind kind, std::string reason) {
    return {.kind = kind, .reason = std::move(reason)};
}

CheckedEcho no_echo() {
    return fault(
        Verdict::Kind::broken,
        "the server returns no log-probabilities of the prompt (echo is ignored), so nothing "
        "can be scored this way. What works: vLLM (openai), sglang, or llama-server "
        "(forced tokens)");
}

// Reads entries [first, end) as log-probabilities.
void read_values(const Echo& echo, std::size_t first, std::size_t end, CheckedEcho& checked) {
    checked.values.reserve(end - first);
    for (std::size_t i = first; i < end; ++i) {
        checked.values.push_back(read_log_prob(*echo.values[i]));
        if (checked.values.back().kind == LogProb::Kind::malformed) {
            checked.kind = Verdict::Kind::malformed;
            checked.reason = fmt::format("the log-probability of token {} is {}", i + echo.place,
                                         echo.values[i]->is_null()     ? "null"
                                         : echo.values[i]->is_number() ? "above 0"
                                                                       : "not a number");
            return;
        }
    }
}

CheckedEcho check_by_ids(const Echo& echo, const EchoPrompt& prompt) {
    const std::size_t size = prompt.tokens.size();
    if (echo.place > prompt.first_wanted) {
        return fault(Verdict::Kind::malformed, "log-probabilities begin behind the context");
    }
    const std::size_t expected = size - echo.place;
    const std::size_t entries = std::min(echo.values.size(), echo.ids.size());
    if (entries < expected || echo.values.size() > expected + kMostGenerated ||
        echo.ids.size() > expected + kMostGenerated) {
        return fault(Verdict::Kind::malformed,
                     fmt::format("{} log-probabilities and {} token ids for {} tokens",
                                 echo.values.size(), echo.ids.size(), expected));
    }
    for (std::size_t i = 0; i < expected; ++i) {
        if (echo.ids[i] != prompt.tokens[echo.place + i]) {
            return fault(Verdict::Kind::broken,
                         fmt::format("the server scored token {} at place {} where {} was sent",
                                     echo.ids[i], echo.place + i, prompt.tokens[echo.place + i]));
        }
    }
    CheckedEcho checked{.tokens = size};
    read_values(echo, prompt.first_wanted - echo.place, expected, checked);
    return checked;
}

CheckedEcho unaligned() {
    return fault(
        Verdict::Kind::refused,
        "the texts of the returned tokens are not surely the text that was sent (cut, "
        "normalised, or a character split over tokens), so its tokens cannot be told apart. "
        "What works: a server that takes and returns token ids (vLLM, sglang, llama-server)");
}

// Pre: prompt.tokens is not empty. The count may include a begin token that the server does not return.
CheckedEcho check_by_texts_and_count(const Echo& echo, const EchoPrompt& prompt) {
    const std::span<const std::string> texts(echo.texts);
    const SentText sent{.text = prompt.text, .begin_bytes = prompt.begin_bytes};
    const std::size_t known = prompt.tokens.size();
    std::optional<std::size_t> end;
    for (const std::size_t size : {known, known - 1}) {
        if (texts.size() < size || texts.size() > size + kMostGenerated) continue;
        if (!align_all(texts.first(size), sent)) continue;
        if (end) return unaligned();
        end = size;
    }
    const std::size_t wanted = known - prompt.first_wanted;
    if (!end || *end <= wanted) return unaligned();
    CheckedEcho checked{.tokens = *end};
    read_values(echo, *end - wanted, *end, checked);
    return checked;
}

CheckedEcho check_by_texts(const Echo& echo, const EchoPrompt& prompt) {
    const auto found = align(echo.texts, {.text = prompt.text, .begin_bytes = prompt.begin_bytes});
    if (!found || echo.texts.size() > found->first + found->count + kMostGenerated) {
        return unaligned();
    }
    CheckedEcho checked{
        .tokens = found->count, .has_lead = found->first > 0, .has_begin = found->has_begin};
    if (found->count > 1) {
        read_values(echo, found->first + 1, found->first + found->count, checked);
    }
    return checked;
}

}  // namespace

TextEcho read_text_echo(const Echo& echo) {
    // A text has a token of its context and one of its target at least.
    if (echo.values.size() <= kMostGenerated) {
        CheckedEcho ignored = no_echo();
        return {.kind = ignored.kind, .reason = std::move(ignored.reason)};
    }
    const std::size_t size = echo.values.size();
    if (echo.place > 0 || size + kMostGenerated < echo.ids.size() ||
        echo.ids.size() + kMostGenerated < size) {
        return {
            .kind = Verdict::Kind::malformed,
            .reason = fmt::format("{} log-probabilities for {} token ids", size, echo.ids.size())};
    }
    TextEcho text{.ids = echo.ids};
    text.values.reserve(size);
    for (const Json* value : echo.values) text.values.push_back(read_log_prob(*value));
    return text;
}

std::span<const LogProb> values_of(const TextEcho& echo,
                                   std::span<const TokenId> tokens,
                                   std::size_t first) {
    const std::size_t size = tokens.size();
    if (echo.ids.size() < size || echo.ids.size() > size + kMostGenerated ||
        echo.values.size() < size || !std::equal(tokens.begin(), tokens.end(), echo.ids.begin())) {
        return {};
    }
    const auto values = std::span(echo.values).subspan(first, size - first);
    const auto is_malformed = [](const LogProb& value) {
        return value.kind == LogProb::Kind::malformed;
    };
    return std::ranges::any_of(values, is_malformed) ? std::span<const LogProb>() : values;
}

CheckedEcho check_echo(const Echo& echo, const EchoPrompt& prompt) {
    CheckedEcho checked;
    const bool has_tokens = !prompt.tokens.empty();
    if (echo.values.empty()) return no_echo();
    if (has_tokens && !echo.ids.empty()) {
        checked = check_by_ids(echo, prompt);
    } else if (echo.texts.empty()) {
        return fault(Verdict::Kind::malformed, "log-probabilities without tokens");
    } else if (has_tokens && echo.place == 0) {
        checked = check_by_texts_and_count(echo, prompt);
    } else {
        checked = check_by_texts(echo, prompt);
    }
    // One entry is what a server that ignores echo returns for the token that it generated.
    if (checked.kind != Verdict::Kind::taken && echo.values.size() <= kMostGenerated &&
        prompt.tokens.size() != 1) {
        return no_echo();
    }
    return checked;
}

}  // namespace dln::http
