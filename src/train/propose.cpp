#include "dln/train/propose.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"

#include "train/built_in_proposals.hpp"
#include "train/demonstrations.hpp"
#include "train/fill_in.hpp"
#include "train/prompt_edits.hpp"
#include "train/proposal_shares.hpp"
#include "train/word_changes.hpp"

namespace dln {
namespace {

// Proposals for each template after which the order of templates begins again.
constexpr std::size_t kCycle = 1024;

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

// A layer has a stream for each expert; the first one's is that of a layer without others.
std::uint64_t stream_layer(const ProposalInput& input) {
    return input.layer + (input.expert << 16);
}

std::vector<std::string> instructions_of(const std::vector<std::string>& prompts) {
    std::vector<std::string> instructions;
    for (const std::string& prompt : prompts) {
        instructions.push_back(split_demonstrations(prompt).instruction);
    }
    return instructions;
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
    std::vector<double> shares;
    for (const ProposalTemplateSpec& wanted : spec.templates) {
        ProposalTemplateSpec in = wanted;
        const bool is_local = asks_no_model(wanted);
        if (in.text.empty() && !is_local) {
            const auto known = built_in_proposal(wanted.name);
            DLN_ASSERT(known.has_value(), "no built-in proposal template {}", wanted.name);
            fill_in(in, *known);
        }
        if (in.messages.empty()) in.messages.emplace_back();
        shares.push_back(in.share);
        Mustache text(in.text);
        templates_.push_back(
            {std::move(in), std::move(text), !is_local, dln::changes_words(wanted)});
    }
    in_cycle_.resize(shares.size(), 0);
    for (const std::size_t t : share_out(shares, kCycle * shares.size())) {
        cycle_.push_back({t, in_cycle_[t]++});
    }
}

Proposer::Place Proposer::place(std::size_t index) const {
    Place found = cycle_[index % cycle_.size()];
    found.round += index / cycle_.size() * in_cycle_[found.template_index];
    return found;
}

std::size_t Proposer::template_index(std::size_t index) const {
    return place(index).template_index;
}

const std::string& Proposer::template_name(std::size_t index) const {
    return templates_[template_index(index)].spec.name;
}

bool Proposer::shows_history() const noexcept {
    return std::ranges::any_of(
        templates_, [](const Template& in) { return in.text.names().contains("history"); });
}

bool Proposer::asks_model(std::size_t index) const {
    return templates_[template_index(index)].asks_model;
}

bool Proposer::asks_model() const { return std::ranges::any_of(templates_, &Template::asks_model); }

bool Proposer::changes_words(std::size_t index) const {
    return templates_[template_index(index)].changes_words;
}

std::vector<ProposalRequest> Proposer::requests(std::size_t first, std::size_t end) const {
    std::vector<std::vector<ProposalRequest>> by_template(templates_.size());
    for (std::size_t i = first; i < end; ++i) {
        const std::size_t t = template_index(i);
        if (!templates_[t].asks_model) continue;
        const std::size_t most = templates_[t].spec.prompts_a_reply;
        auto& own = by_template[t];
        if (own.empty() || own.back().proposals.size() == most) own.push_back({t, most, {}});
        own.back().proposals.push_back(i);
    }
    std::vector<ProposalRequest> all;
    for (auto& own : by_template) std::ranges::move(own, std::back_inserter(all));
    return all;
}

GenerateRequest Proposer::without_items(std::size_t prompts) const {
    return {.items = {},
            .max_tokens = spec_.max_tokens * static_cast<int>(prompts),
            .temperature = spec_.temperature,
            .top_p = spec_.top_p,
            .stop = spec_.stop};
}

std::string Proposer::made_prompt(const ProposalInput& input, std::size_t index) const {
    const Place at = place(index);
    const std::string& name = templates_[at.template_index].spec.name;
    const std::string& prompt = input.prompts[at.round % input.prompts.size()];
    const auto stream = [&](RandomRole role) {
        return CounterRng({.seed = input.seed,
                           .step = input.step,
                           .layer = stream_layer(input),
                           .role = role,
                           .sample = index});
    };
    if (name == "demonstrations") {
        CounterRng random = stream(RandomRole::proposal_demonstrations);
        return with_demonstrations(prompt, input.batch, spec_.demonstrations,
                                   !input.classes.empty(), random);
    }
    // Phrases are those of instructions; what a prompt demonstrates stays.
    const auto [start, demonstrations] = split_demonstrations(prompt);
    const bool is_crossover = name == "crossover";
    CounterRng random =
        stream(is_crossover ? RandomRole::proposal_crossover : RandomRole::proposal_edit);
    std::vector<std::string> partners;
    for (const std::string& good : instructions_of(input.good)) {
        if (good != start) partners.push_back(good);
    }
    const std::string made =
        is_crossover && !partners.empty()
            ? crossed_prompts(start, partners[random.below(partners.size())], random)
            : edited_prompt(start, instructions_of(input.known), random);
    return made.empty() ? made : made + demonstrations;
}

std::optional<LayerParameters> Proposer::made_words(const ProposalInput& input,
                                                    std::size_t index) const {
    // Of one stream a step, so that no proposal repeats one before.
    CounterRng random({.seed = input.seed,
                       .step = input.step,
                       .layer = stream_layer(input),
                       .role = RandomRole::proposal_words});
    return changed_words(input.words, place(index).round + 1, random).back();
}

std::optional<Proposer::AskedWord> Proposer::asked_word(const ProposalInput& input,
                                                        std::size_t index) const {
    std::vector<LayerParameters> starts;
    for (const LayerParameters& known : input.words.parameters) {
        if (!input.words.in_template[known.template_index].empty()) starts.push_back(known);
    }
    if (starts.empty()) return std::nullopt;
    const std::size_t round = place(index).round;
    LayerParameters& start = starts[round % starts.size()];
    const std::vector<std::size_t>& shown = input.words.in_template[start.template_index];
    // Where a step asks about one word only, the next step asks about the next.
    const std::size_t word = shown[(round / starts.size() + input.step) % shown.size()];
    return AskedWord{.start = std::move(start), .word = word};
}

bool Proposer::can_ask(const ProposalInput& input, std::size_t index) const {
    return asks_model(index) && (!changes_words(index) || asked_word(input, index));
}

std::optional<LayerParameters> Proposer::words_from_reply(const ProposalInput& input,
                                                          std::size_t index,
                                                          std::string_view reply) const {
    const auto asked = asked_word(input, index);
    DLN_ASSERT(asked.has_value(), "proposal {} asked for no word", index);
    const std::string word = word_from_reply(reply);
    if (word.empty()) return std::nullopt;
    LayerParameters made = asked->start;
    std::string& place = made.words[asked->word];
    place = replaced_core(place, input.words.words[asked->word].alternatives, word);
    return made == asked->start ? std::nullopt : std::optional(std::move(made));
}

void Proposer::set_texts(const ProposalInput& input,
                         std::size_t index,
                         TemplateValues& values) const {
    const Place at = place(index);
    const Template& in = templates_[at.template_index];
    const std::size_t round = at.round / in.spec.prompts_a_reply;
    // One message a step: proposals that begin alike share what the model computes for it.
    values.texts = {{"message", in.spec.messages[input.step % in.spec.messages.size()]},
                    {"classes", input.classes},
                    {"feedback", spec_.feedback},
                    {"count", std::to_string(in.spec.prompts_a_reply)}};
    if (!in.changes_words) {
        values.texts["prompt"] = input.prompts[round % input.prompts.size()];
        return;
    }
    const auto asked = asked_word(input, index);
    DLN_ASSERT(asked.has_value(), "proposal {} has no word to ask for", index);
    values.texts["prompt"] = asked->start.prompt;
    values.texts["field"] = input.words.words[asked->word].name;
    values.texts["word"] = core_of(asked->start.words[asked->word]);
}

std::optional<GenerateItem> Proposer::item(const ProposalInput& input,
                                           std::size_t index,
                                           const FitsContext& fits) const {
    const Place at = place(index);
    const Template& in = templates_[at.template_index];
    DLN_ASSERT(in.asks_model, "proposal {} ({}) asks no model", index, in.spec.name);
    CounterRng order_rng({.seed = input.seed,
                          .step = input.step,
                          .layer = stream_layer(input),
                          .role = RandomRole::proposal_order,
                          .sample = index});
    const std::vector<std::size_t> order = order_rng.permutation(input.batch.size());
    CounterRng sampling({.seed = input.seed,
                         .step = input.step,
                         .layer = stream_layer(input),
                         .role = RandomRole::proposal_sampling,
                         .sample = index});
    const std::uint64_t seed = sampling.next();
    const bool shows_examples = in.text.names().contains("successes") ||
                                in.text.names().contains("errors") ||
                                in.text.names().contains("examples");
    for (std::size_t most = std::min(spec_.examples, order.size());; --most) {
        TemplateValues values = values_for(input, order, most);
        set_texts(input, index, values);
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

}  // namespace dln
