#include "dln/train/propose.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/utf8.hpp"

#include "train/built_in_proposals.hpp"

namespace dln {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

std::map<std::string, std::string> entry(const ShownExample& example) {
    return {{"input", example.input}, {"target", example.target}, {"output", example.output}};
}

// At most `most` examples of each kind, in the order of `order`.
TemplateValues values_for(const ProposalInput& input,
                          const std::vector<std::size_t>& order,
                          std::size_t most) {
    TemplateValues values;
    auto& successes = values.lists["successes"];
    auto& errors = values.lists["errors"];
    auto& examples = values.lists["examples"];
    for (const std::size_t i : order) {
        const ShownExample& example = input.batch[i];
        auto& kind = example.right ? successes : errors;
        if (kind.size() < most) kind.push_back(entry(example));
        if (examples.size() < most) examples.push_back(entry(example));
    }
    return values;
}

// The best `most`, the best last: a reader goes on from there (OPRO, arXiv 2309.03409, section 3.2).
std::vector<std::map<std::string, std::string>> history_for(const ProposalInput& input,
                                                            std::size_t most) {
    std::vector<std::map<std::string, std::string>> entries;
    for (std::size_t i = std::min(most, input.history.size()); i-- > 0;) {
        entries.push_back({{"prompt", input.history[i].prompt},
                           {"score", fmt::format("{:.0f}", input.history[i].score)}});
    }
    return entries;
}

void replace_text(std::string& text, std::string_view part) { text = std::string(trim(part)); }

// "Instruction:", "**New prompt 2:**" and the like before the prompt.
void strip_label(std::string& text) {
    static constexpr std::array<std::string_view, 9> kLabels{
        "instruction", "instructions",          "new instruction",     "prompt", "new prompt",
        "question",    "rewritten instruction", "the instruction was", "task"};
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || colon > 30) return;
    std::string label = lower(trim(std::string_view(text).substr(0, colon)));
    const auto is_decoration = [](char c) { return c == '*' || c == '#' || c == ' '; };
    while (!label.empty() && is_decoration(label.front())) label.erase(0, 1);
    while (!label.empty() && (is_decoration(label.back()) ||
                              std::isdigit(static_cast<unsigned char>(label.back())) != 0)) {
        label.pop_back();
    }
    if (std::ranges::find(kLabels, label) == kLabels.end()) return;
    std::size_t rest = colon + 1;
    while (rest < text.size() && text[rest] == '*') ++rest;
    replace_text(text, std::string_view(text).substr(rest));
}

void strip_list_mark(std::string& text) {
    if (text.starts_with("\u2022")) {
        replace_text(text, std::string_view(text).substr(std::string_view("\u2022").size()));
        return;
    }
    std::size_t at = 0;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) ++at;
    const bool is_mark = at < text.size() && (at > 0 ? text[at] == '.' || text[at] == ')'
                                                     : text[at] == '-' || text[at] == '*');
    // "2.5 stars" and "*very* good" are no list marks.
    if (is_mark && at + 1 < text.size() && text[at + 1] == ' ') {
        replace_text(text, std::string_view(text).substr(at + 1));
    }
}

void strip_quotes(std::string& text) {
    static constexpr std::array<std::string_view, 4> kQuotes{"\"", "'", "`", "**"};
    for (const std::string_view quote : kQuotes) {
        const std::size_t width = quote.size();
        if (text.size() > 2 * width && text.starts_with(quote) && text.ends_with(quote) &&
            text.find(quote, width) == text.size() - width) {
            replace_text(text, std::string_view(text).substr(width, text.size() - 2 * width));
        }
        // A reply that was cut may lack its closing quote.
        if (quote != "'" && text.starts_with(quote) &&
            text.find(quote, width) == std::string::npos) {
            text.erase(0, width);
        }
    }
    if (text.starts_with("\u201c") && text.ends_with("\u201d")) {
        replace_text(text, std::string_view(text).substr(3, text.size() - 6));
    }
}

// Lines that are only a code fence, and carriage returns.
std::string without_fences(std::string_view reply) {
    std::string kept;
    while (!reply.empty()) {
        const std::size_t end = std::min(reply.find('\n'), reply.size());
        const std::string_view line = trim(reply.substr(0, end));
        if (!line.starts_with("```")) {
            kept += line;
            kept += '\n';
        }
        reply.remove_prefix(std::min(end + 1, reply.size()));
    }
    return kept;
}

// "Sure! Here is the instruction:" says that the prompt comes next.
bool is_lead_in(std::string_view line) { return line.ends_with(':') && line.size() < 80; }

bool has_word(std::string_view text) {
    return std::ranges::any_of(text, [](unsigned char c) {
        // Bytes of letters beyond ASCII; 0xe2 begins general punctuation.
        return std::isalpha(c) != 0 || (c >= 0xc3 && c != 0xe2);
    });
}

}  // namespace

std::string class_names(const Network& network) {
    std::vector<std::string> names;
    for (const ClassSpec& known : network.classes()) names.push_back(known.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

std::optional<ProposalTemplateSpec> built_in_proposal(std::string_view name) {
    for (const ProposalTemplateSpec& known : built_in_proposals()) {
        if (known.name == name) return known;
    }
    return std::nullopt;
}

Proposer::Proposer(const ProposalSpec& spec) : spec_(spec) {
    DLN_ASSERT(!spec.templates.empty(), "no proposal template");
    for (const ProposalTemplateSpec& wanted : spec.templates) {
        ProposalTemplateSpec in = wanted;
        if (in.text.empty()) {
            const auto known = built_in_proposal(wanted.name);
            DLN_ASSERT(known.has_value(), "no built-in proposal template {}", wanted.name);
            in = *known;
        }
        if (in.messages.empty()) in.messages.emplace_back();
        Mustache text(in.text);
        templates_.push_back({std::move(in), std::move(text)});
    }
}

const std::string& Proposer::template_name(std::size_t index) const {
    return templates_[index % templates_.size()].spec.name;
}

bool Proposer::shows_history() const noexcept {
    return std::ranges::any_of(
        templates_, [](const Template& in) { return in.text.names().contains("history"); });
}

std::vector<std::size_t> Proposer::by_template(std::size_t count) const {
    std::vector<std::size_t> order;
    for (std::size_t t = 0; t < templates_.size(); ++t) {
        for (std::size_t i = t; i < count; i += templates_.size()) order.push_back(i);
    }
    return order;
}

std::optional<GenerateItem> Proposer::item(const ProposalInput& input,
                                           std::size_t index,
                                           const FitsContext& fits) const {
    const Template& in = templates_[index % templates_.size()];
    const std::size_t round = index / templates_.size();
    CounterRng order_rng({.seed = input.seed,
                          .step = input.step,
                          .layer = input.layer,
                          .role = RandomRole::proposal_order,
                          .sample = index});
    const std::vector<std::size_t> order = order_rng.permutation(input.batch.size());
    CounterRng sampling({.seed = input.seed,
                         .step = input.step,
                         .layer = input.layer,
                         .role = RandomRole::proposal_sampling,
                         .sample = index});
    const std::uint64_t seed = sampling.next();
    // One message a step: proposals that begin alike share what the model computes for it.
    const std::size_t message = input.step % in.spec.messages.size();
    const bool shows_examples = in.text.names().contains("successes") ||
                                in.text.names().contains("errors") ||
                                in.text.names().contains("examples");
    for (std::size_t most = std::min(spec_.examples, order.size());; --most) {
        TemplateValues values = values_for(input, order, most);
        values.texts = {{"message", in.spec.messages[message]},
                        {"prompt", input.prompts[round % input.prompts.size()]},
                        {"classes", input.classes}};
        if (in.text.names().contains("history")) {
            values.lists["history"] = history_for(input, spec_.history);
        }
        GenerateItem item{
            .context = {.text = in.text.render(values), .chat = in.spec.chat, .shared_bytes = 0},
            .seed = seed};
        if (fits(item.context)) return item;
        if (most == 0 || !shows_examples) return std::nullopt;
    }
}

std::string prompt_from_reply(std::string_view reply) {
    const std::string whole = without_fences(reply);
    std::string_view rest = trim(whole);
    std::string text;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        text = std::string(trim(rest.substr(0, end)));
        rest = trim(rest.substr(end));
        if (!is_lead_in(text)) break;
        text.clear();
    }
    // What follows the first line explains or gives examples.
    strip_label(text);
    strip_list_mark(text);
    strip_quotes(text);
    strip_label(text);
    strip_quotes(text);
    return has_word(text) ? text : std::string();
}

}  // namespace dln
