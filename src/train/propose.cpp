#include "dln/train/propose.hpp"

#include <algorithm>
#include <array>
#include <cctype>

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

void strip_label(std::string& text) {
    static constexpr std::array<std::string_view, 9> kLabels{
        "instruction", "instructions",          "new instruction",     "prompt", "new prompt",
        "question",    "rewritten instruction", "the instruction was", "task"};
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || colon > 30) return;
    const std::string label = lower(trim(std::string_view(text).substr(0, colon)));
    if (std::ranges::find(kLabels, label) == kLabels.end()) return;
    const std::string rest(trim(std::string_view(text).substr(colon + 1)));
    text = rest;
}

void strip_list_mark(std::string& text) {
    std::size_t at = 0;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) ++at;
    const bool numbered = at > 0 && at < text.size() && (text[at] == '.' || text[at] == ')');
    const bool bulleted =
        at == 0 && text.size() > 1 && (text[0] == '-' || text[0] == '*') && text[1] == ' ';
    if (numbered || bulleted) {
        const std::string rest(trim(std::string_view(text).substr(at + 1)));
        text = rest;
    }
}

void strip_quotes(std::string& text) {
    static constexpr std::string_view kQuotes = "\"'`*";
    while (text.size() > 1 && text.front() == text.back() &&
           kQuotes.find(text.front()) != std::string_view::npos) {
        text = std::string(trim(std::string_view(text).substr(1, text.size() - 2)));
    }
    // A reply that was cut may lack its closing quote.
    if (!text.empty() && (text.front() == '"' || text.front() == '`') &&
        text.find(text.front(), 1) == std::string::npos) {
        text.erase(0, 1);
    }
}

}  // namespace

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
    for (std::size_t most = std::min(spec_.examples, std::max<std::size_t>(order.size(), 1));;
         --most) {
        TemplateValues values = values_for(input, order, most);
        values.texts = {{"message", in.spec.messages[message]},
                        {"prompt", input.prompts[round % input.prompts.size()]},
                        {"classes", input.classes}};
        GenerateItem item{
            .context = {.text = in.text.render(values), .chat = in.spec.chat, .shared_bytes = 0},
            .seed = seed};
        if (fits(item.context)) return item;
        if (most <= 1 || !shows_examples) return std::nullopt;
    }
}

std::string prompt_from_reply(std::string_view reply) {
    std::string text(trim(reply));
    strip_label(text);
    // The first paragraph: what follows a blank line explains or gives examples.
    if (const std::size_t end = text.find("\n\n"); end != std::string::npos) text.resize(end);
    if (const std::size_t end = text.find('\n'); end != std::string::npos && end >= 12)
        text.resize(end);
    text = std::string(trim(text));
    strip_list_mark(text);
    strip_quotes(text);
    strip_label(text);
    strip_quotes(text);
    const bool has_letter = std::ranges::any_of(
        text, [](unsigned char c) { return std::isalpha(c) != 0 || c >= 0x80; });
    return has_letter ? text : std::string();
}

}  // namespace dln
