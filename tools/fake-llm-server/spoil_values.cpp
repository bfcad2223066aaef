#include "spoil_values.hpp"

#include <algorithm>
#include <functional>

namespace fake_llm {
namespace {

constexpr std::string_view kPlaceholder = "@placeholder@";

/// True for the names under which servers give the log-probabilities of a text's own tokens.
bool is_logprob_list(const std::string& name) {
    return name == "token_logprobs" || name == "prefill" || name == "content" || name == "tokens" ||
           name == "input_token_logprobs" || name == "output_token_logprobs" ||
           name == "prompt_logprobs" || name == "completion_probabilities";
}

/// Calls `change` with every list of log-probabilities in `value`.
void for_each_list(Json& value, const std::function<void(Json&)>& change) {
    if (!value.is_structured()) {
        return;
    }
    for (auto member = value.begin(); member != value.end(); ++member) {
        const bool numbers_or_objects = member->is_array() && !member->empty() &&
                                        !member->back().is_string() &&
                                        !member->back().is_number_integer();
        if (value.is_object() && is_logprob_list(member.key()) && numbers_or_objects) {
            change(*member);
        } else {
            for_each_list(*member, change);
        }
    }
}

/// The log-probability in an entry of any dialect; null when there is none.
Json* value_in(Json& entry) {
    if (entry.is_number_float()) {
        return &entry;
    }
    if (entry.is_object() && entry.contains("logprob")) {
        return &entry["logprob"];
    }
    if (entry.is_array() && !entry.empty()) {
        return &entry.front();
    }
    if (entry.is_object() && !entry.empty()) {  // prompt_logprobs: by token id
        return value_in(*entry.begin());
    }
    return nullptr;
}

void replace_log_probs(Json& body, const Json& replacement) {
    for_each_list(body, [&](Json& list) {
        for (Json& entry : list) {
            Json* value = value_in(entry);
            if (value != nullptr && value->is_number()) {
                *value = replacement;
            }
        }
    });
}

Json* choices_of(Json& body) {
    if (body.is_array()) {
        return &body;
    }
    if (body.is_object() && body.contains("choices")) {
        return &body["choices"];
    }
    return body.is_object() && body.contains("data") ? &body["data"] : nullptr;
}

/// Makes two entries claim one index; with one entry a copy of it is added.
void repeat_index(Json& choices) {
    if (choices.size() == 1) {
        choices.push_back(choices.front());
    } else if (choices.front().contains("index")) {
        choices[1]["index"] = choices.front()["index"];
    } else {
        choices[1] = choices.front();
    }
}

void change_choices(FaultKind kind, Json& body) {
    Json* const choices = choices_of(body);
    if (choices == nullptr || choices->empty()) {
        return;
    }
    switch (kind) {
        case FaultKind::permuted_choices:
            std::reverse(choices->begin(), choices->end());
            break;
        case FaultKind::missing_choice:
            choices->erase(choices->size() - 1);
            break;
        default:
            repeat_index(*choices);
            break;
    }
}

/// Puts the placeholder in front of the texts of a reply.
void mark_texts(Json& value) {
    if (!value.is_structured()) {
        return;
    }
    for (auto member = value.begin(); member != value.end(); ++member) {
        const bool is_text = value.is_object() && member->is_string() &&
                             (member.key() == "text" || member.key() == "content" ||
                              member.key() == "generated_text");
        if (is_text) {
            *member = std::string(kPlaceholder) + member->get<std::string>();
        } else {
            mark_texts(*member);
        }
    }
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
        text.replace(at, from.size(), to);
        at += to.size();
    }
}

}  // namespace

void spoil_values(FaultKind kind, Json& body) {
    switch (kind) {
        case FaultKind::logprobs_short:
            for_each_list(body, [](Json& list) { list.erase(list.size() - 1); });
            break;
        case FaultKind::logprobs_long:
            for_each_list(body, [](Json& list) { list.push_back(Json(list.back())); });
            break;
        case FaultKind::permuted_choices:
        case FaultKind::missing_choice:
        case FaultKind::duplicate_index:
            change_choices(kind, body);
            break;
        case FaultKind::null_logprob:
            replace_log_probs(body, nullptr);
            break;
        case FaultKind::string_logprob:
            replace_log_probs(body, "-1.25");
            break;
        case FaultKind::positive_logprob:
            replace_log_probs(body, 0.75);
            break;
        case FaultKind::nan:
        case FaultKind::huge_number:
        case FaultKind::minus_infinity:
            replace_log_probs(body, kPlaceholder);
            break;
        case FaultKind::bad_utf8:
        case FaultKind::lone_surrogate:
            mark_texts(body);
            break;
        case FaultKind::other_model:
            body["model"] = "other-model";
            break;
        default:
            break;
    }
}

void spoil_text(FaultKind kind, std::string& text) {
    const std::string quoted = "\"" + std::string(kPlaceholder) + "\"";
    switch (kind) {
        case FaultKind::nan:
            replace_all(text, quoted, "NaN");
            break;
        case FaultKind::huge_number:
            replace_all(text, quoted, "-1e400");
            break;
        case FaultKind::minus_infinity:
            replace_all(text, quoted, "-Infinity");
            break;
        case FaultKind::bad_utf8:
            replace_all(text, kPlaceholder, "\xff\xfe\xc3(");
            break;
        case FaultKind::lone_surrogate:
            replace_all(text, kPlaceholder, "\\ud800");
            break;
        default:
            break;
    }
}

}  // namespace fake_llm
