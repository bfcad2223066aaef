#include "train/plan_texts.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>

#include "dln/network/scores.hpp"
#include "dln/train/evaluate.hpp"

#include "train/plan_draws.hpp"
#include "train/sent_tokens.hpp"

namespace dln {
namespace {

constexpr std::size_t kMostContexts = 16;  // of one template and kind
constexpr std::size_t kMostReplies = 64;
constexpr std::size_t kContextsCounted = 48;  // by a tokeniser, over all templates
constexpr std::size_t kContextsAsked = 16;    // of the model
constexpr std::size_t kTargetsCounted = 8;
constexpr std::size_t kAll = static_cast<std::size_t>(-1);

class TextSampler {
  public:
    TextSampler(const Job& job,
                const Network& network,
                const std::vector<Dataset>& splits,
                Backend& backend,
                std::size_t most)
        : job_(job),
          network_(network),
          splits_(splits),
          backend_(backend),
          last_(network.depth() - 1),
          most_(most),
          proposer_(job.train.proposals),
          draws_(backend, facts_.sent),
          sent_(job.backend, backend, draws_, most > 0) {}

    TextFacts run() {
        guess_right();
        const int longest = network_.layer(last_).max_tokens;
        facts_.outputs.fill(length_of({}, longest));
        if (!network_.has_classes()) sample_outputs(kInitialPrompt);
        sample_replies();
        facts_.outputs[kProposedPrompt] = facts_.outputs[kInitialPrompt];
        if (asks_for_texts() && !facts_.prompts.empty()) {
            sample_outputs(kProposedPrompt);
        }
        measure_contexts();
        measure_targets();
        return std::move(facts_);
    }

  private:
    // Of every candidate.
    [[nodiscard]] bool asks_for_texts() const { return measure_for(network_) == Measure::correct; }

    // Classes are not asked for here: half-way between chance and perfection.
    void guess_right() {
        const auto classes = static_cast<double>(network_.classes().size());
        facts_.right = network_.has_classes() ? (1.0 + 1.0 / classes) / 2.0 : 0.5;
    }

    void sample_outputs(PromptKind kind) {
        const LayerSpec& layer = network_.layer(last_);
        const Dataset& train = splits_[kTrainSplit];
        if (train.empty()) return;
        std::size_t right = 0;
        std::size_t asked = 0;
        // Most texts of a run have proposed prompts.
        const std::size_t most = kind == kInitialPrompt && asks_for_texts() ? most_ / 4 : most_;
        const auto example = [&](std::size_t i) { return train[example_at(i, most, train)]; };
        facts_.outputs[kind] = draws_.until_precise(
            [&](std::size_t i) -> std::optional<GenerateRequest> {
                return GenerateRequest{
                    .items = {{network_.context(last_,
                                                parameters(kind, i, i % layer.templates.size()),
                                                example(i).input),
                               i}},
                    .max_tokens = layer.max_tokens,
                    .temperature = layer.temperature,
                    .top_p = 1.0,
                    .stop = layer.stop};
            },
            [&](std::size_t i, const GenerateItem&, const DrawnText& drawn) {
                ++asked;
                const bool is_right =
                    is_right_answer(drawn.text.text, example(i).target, network_.scoring());
                right += is_right ? 1U : 0U;
            },
            most, layer.max_tokens);
        if (kind == kInitialPrompt && asked > 0) {
            facts_.right = static_cast<double>(right) / static_cast<double>(asked);
        }
    }

    void sample_replies() {
        const ProposalSpec& spec = proposer_.spec();
        facts_.proposals.resize(spec.templates.size());
        if (job_.train.candidates < 2 || job_.train.steps < 1) return;
        std::vector<DensitySum> densities(spec.templates.size());
        const ProposalInput input =
            expected_proposal_input(job_, network_, splits_[kTrainSplit], 0, facts_.right, {});
        const std::size_t most = std::min(most_, kMostReplies);
        const std::vector<ProposalRequest> asked = first_requests(most);
        std::size_t replies = 0;
        std::size_t known = 0;  // proposals that are asked for before the first that is not
        facts_.replies = draws_.until_precise(
            [&](std::size_t i) { return proposal_request(input, asked[i]); },
            [&](std::size_t i, const GenerateItem& item, const DrawnText& drawn) {
                const ProposalRequest& request = asked[i];
                replies += request.proposals.size();
                known = i + 1 < asked.size() ? asked[i + 1].proposals.front() : kAll;
                const Context sent = sent_.as_sent(item.context);
                const double tokens = backend_.counts_exactly(sent) ? backend_.count_tokens(sent)
                                                                    : drawn.prompt_tokens;
                if (tokens > 0.0)
                    densities[request.template_index].add(tokens, item.context.text.size());
                const auto made = prompts_from_reply(drawn.text.text, request.prompts);
                for (std::size_t p = 0; p < request.proposals.size(); ++p) {
                    take_proposal(request.proposals[p], p < made.size() ? made[p] : std::string(),
                                  p == 0 ? drawn.text.tokens : 0);
                }
            },
            std::min(most, asked.size()), spec.max_tokens);
        if (asked.empty()) known = kAll;
        replies += make_proposals(input, known);
        if (replies > 0) {
            std::vector<std::size_t> times;
            for (const auto& [made, count] : times_) times.push_back(count);
            facts_.usable = share_of_new(times, replies, job_.train.candidates - 1);
        }
        facts_.first_step.resize(std::min(facts_.first_step.size(), known));
        facts_.first_step_tokens.resize(std::min(facts_.first_step_tokens.size(), known));
        if (!knows_first_proposals(job_, network_, splits_[kTrainSplit])) {
            facts_.first_step.clear();
            facts_.first_step_tokens.clear();
        }
        fill_proposals(densities, input);
    }

    // Of as many steps as have `most` of them, in the order of their proposals.
    [[nodiscard]] std::vector<ProposalRequest> first_requests(std::size_t most) const {
        const std::size_t each = job_.train.candidates - 1;
        std::vector<ProposalRequest> requests;
        for (std::size_t s = 0; proposer_.asks_model() && requests.size() < most && s < most; ++s) {
            auto more = proposer_.requests(s * each, (s + 1) * each);
            std::ranges::sort(more, {},
                              [](const ProposalRequest& one) { return one.proposals.front(); });
            std::ranges::move(more, std::back_inserter(requests));
        }
        return requests;
    }

    [[nodiscard]] std::optional<GenerateRequest> proposal_request(const ProposalInput& input,
                                                                  const ProposalRequest& of) {
        GenerateRequest request = proposer_.without_items(of.prompts);
        auto item = proposer_.item(input, of.proposals.front(), [&](const Context& context) {
            return backend_.count_tokens(context) + request.max_tokens <=
                   backend_.info().context_tokens;
        });
        if (!item) return std::nullopt;
        request.items.push_back(std::move(*item));
        return request;
    }

    // Those that ask no model, among as many proposals as were sampled. Returns how many they are.
    std::size_t make_proposals(const ProposalInput& input, std::size_t known) {
        const std::size_t each = job_.train.candidates - 1;
        std::size_t made = 0;
        for (std::size_t i = 0; i < (known == kAll ? each : std::max(known, each)); ++i) {
            if (proposer_.asks_model(i)) continue;
            take_proposal(i, proposer_.made_prompt(input, i), 0);
            ++made;
        }
        return made;
    }

    // A text that came before in other words only is the same prompt.
    void take_proposal(std::size_t proposal, const std::string& made, int tokens) {
        const bool is_new = !made.empty() && times_[folded_prompt(made)]++ == 0;
        if (is_new) facts_.prompts.push_back(made);
        if (proposal + 1 >= job_.train.candidates) return;
        const std::size_t size = std::max(facts_.first_step.size(), proposal + 1);
        facts_.first_step.resize(size);
        facts_.first_step_tokens.resize(size, 0.0);
        facts_.first_step_tokens[proposal] = tokens;
        if (is_new) facts_.first_step[proposal] = facts_.prompts.size() - 1;
    }

    // Templates that no sample tells about are counted.
    void fill_proposals(std::vector<DensitySum>& densities, const ProposalInput& input) {
        for (std::size_t t = 0; t < densities.size(); ++t) {
            if (densities[t].empty()) {
                const auto first = first_of(t);
                if (!first) continue;
                const auto item =
                    proposer_.item(input, *first, [](const Context&) { return true; });
                if (item) {
                    densities[t].add(backend_.count_tokens(sent_.as_sent(item->context)),
                                     item->context.text.size());
                }
            }
            facts_.proposals[t] = densities[t].density();
        }
    }

    // A step's first proposal by a template that asks the model.
    [[nodiscard]] std::optional<std::size_t> first_of(std::size_t template_index) const {
        for (const auto& request : proposer_.requests(0, job_.train.candidates - 1)) {
            if (request.template_index == template_index) return request.proposals.front();
        }
        return std::nullopt;
    }

    [[nodiscard]] const std::string& prompt(PromptKind kind, std::size_t i) const {
        const std::vector<std::string>& initial = network_.layer(last_).prompts;
        if (kind == kInitialPrompt || facts_.prompts.empty()) return initial[i % initial.size()];
        return facts_.prompts[i % facts_.prompts.size()];
    }

    // Evenly over a split.
    [[nodiscard]] static std::size_t example_at(std::size_t i,
                                                std::size_t count,
                                                const Dataset& split) {
        return (i * split.size() / std::max<std::size_t>(count, 1)) % split.size();
    }

    // Inputs of all splits in turn.
    [[nodiscard]] std::string_view input_at(std::size_t i, std::size_t count) const {
        const Dataset* split = &splits_[i % splits_.size()];
        if (split->empty()) split = &splits_[kTrainSplit];
        return (*split)[example_at(i, count, *split)].input;
    }

    [[nodiscard]] LayerParameters parameters(PromptKind kind,
                                             std::size_t i,
                                             std::size_t template_index) const {
        return {std::string(prompt(kind, i)), template_index, initial_words(network_.layer(last_))};
    }

    [[nodiscard]] Context sent_context(PromptKind kind,
                                       std::size_t template_index,
                                       std::size_t i,
                                       std::string_view input) const {
        return sent_.as_sent(network_.context(last_, parameters(kind, i, template_index), input));
    }

    void measure_contexts() {
        const std::size_t templates = network_.layer(last_).templates.size();
        const bool is_counted = backend_.counts_exactly(sent_context(kInitialPrompt, 0, 0, "x"));
        const std::size_t each = std::clamp<std::size_t>(
            (is_counted ? kContextsCounted : kContextsAsked) / (2 * templates), 2, kMostContexts);
        std::vector<Context> contexts;
        for (std::size_t t = 0; t < templates; ++t) {
            for (const PromptKind kind : {kInitialPrompt, kProposedPrompt}) {
                for (std::size_t i = 0; i < each; ++i) {
                    contexts.push_back(sent_context(kind, t, i, input_at(i, each)));
                }
            }
        }
        const std::vector<double> tokens = sent_.of_contexts(contexts);
        const bool is_chat = network_.layer(last_).templates.front().chat;
        facts_.begin_bytes = is_chat ? 0 : sent_.begin_bytes();
        facts_.contexts.resize(templates);
        facts_.prompt_densities.resize(templates);
        for (std::size_t t = 0, next = 0; t < templates; ++t) {
            std::vector<DensitySum> by_prompt(facts_.prompts.size());
            for (const PromptKind kind : {kInitialPrompt, kProposedPrompt}) {
                DensitySum sum;
                for (std::size_t i = 0; i < each; ++i, ++next) {
                    const std::size_t bytes = contexts[next].text.size();
                    sum.add(tokens[next], bytes);
                    if (kind == kProposedPrompt && !by_prompt.empty()) {
                        by_prompt[i % by_prompt.size()].add(tokens[next], bytes);
                    }
                }
                facts_.contexts[t][kind] = sum.density();
            }
            for (const DensitySum& sum : by_prompt) {
                facts_.prompt_densities[t].push_back(sum.density().mean);
            }
        }
    }

    [[nodiscard]] double target_tokens(const Context& context, const std::string& target) const {
        return sent_.of_target(context, target, facts_.contexts.front()[kInitialPrompt].mean);
    }

    void measure_targets() {
        if (network_.has_classes()) return measure_forms();
        DensitySum sum;
        const Dataset& train = splits_[kTrainSplit];
        if (measure_for(network_) != Measure::target || train.empty()) return;
        for (std::size_t i = 0; i < kTargetsCounted; ++i) {
            const std::size_t t = i % network_.layer(last_).templates.size();
            const Example example = train[example_at(i, kTargetsCounted, train)];
            const std::string target = network_.separator(last_, t) + std::string(example.target);
            sum.add(target_tokens(sent_context(kInitialPrompt, t, i, example.input), target),
                    target.size());
        }
        facts_.targets = sum.density();
    }

    void measure_forms() {
        const std::size_t templates = network_.layer(last_).templates.size();
        const std::size_t contexts = templates == 1 ? 2 : 1;
        for (std::size_t t = 0; t < templates; ++t) {
            std::vector<double>& tokens = facts_.form_tokens.emplace_back();
            for (const std::string& form : network_.class_forms(t).targets) {
                double sum = 0.0;
                for (std::size_t i = 0; i < contexts; ++i) {
                    const Context context =
                        sent_context(kInitialPrompt, t, i, input_at(i, contexts));
                    sum += target_tokens(context, form);
                }
                tokens.push_back(sum / static_cast<double>(contexts));
            }
        }
    }

    const Job& job_;
    const Network& network_;
    const std::vector<Dataset>& splits_;
    Backend& backend_;
    std::size_t last_;
    std::size_t most_;
    Proposer proposer_;
    std::map<std::string, std::size_t> times_;  // by folded prompt
    TextFacts facts_;
    TextDraws draws_;
    SentTokens sent_;
};

}  // namespace

TextFacts sample_texts(const Job& job,
                       const Network& network,
                       const std::vector<Dataset>& splits,
                       Backend& backend,
                       std::size_t most) {
    return TextSampler(job, network, splits, backend, most).run();
}

}  // namespace dln
