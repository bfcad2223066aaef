#include "train/plan_texts.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "dln/text/compare.hpp"
#include "dln/train/evaluate.hpp"

namespace dln {
namespace {

constexpr std::size_t kRound = 8;  // texts asked for at a time
constexpr std::size_t kMostReplies = 64;
constexpr double kPrecise = 0.04;             // relative error of a mean length that is good enough
constexpr std::size_t kContextsCounted = 48;  // by a tokeniser, over all templates
constexpr std::size_t kContextsAsked = 16;    // of the model
constexpr std::size_t kTargetsCounted = 8;

bool is_right(const std::string& output, std::string_view target, const ScoringSpec& spec) {
    return spec.metric == Metric::number ? number_present(output, target)
                                         : exact_match(output, target, spec.ignore_case);
}

// Mean and standard error of lengths.
SampledLength length_of(const std::vector<double>& tokens, int max_tokens) {
    SampledLength length{.tokens = static_cast<double>(max_tokens), .texts = tokens.size()};
    if (tokens.empty()) return length;
    const auto count = static_cast<double>(tokens.size());
    double sum = 0.0;
    double squares = 0.0;
    for (const double one : tokens) {
        sum += one;
        squares += one * one;
    }
    length.tokens = sum / count;
    if (tokens.size() > 1) {
        const double variance = (squares - sum * sum / count) / (count - 1.0);
        length.error = std::sqrt(std::max(variance, 0.0) / count);
    }
    return length;
}

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
          proposer_(job.train.proposals) {}

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
    struct Drawn {
        GeneratedText text;
        double prompt_tokens = 0.0;
    };

    // Of every candidate.
    [[nodiscard]] bool asks_for_texts() const { return measure_for(network_) == Measure::correct; }

    // Classes are not asked for here: half-way between chance and perfection.
    void guess_right() {
        const auto classes = static_cast<double>(network_.classes().size());
        facts_.right = network_.has_classes() ? (1.0 + 1.0 / classes) / 2.0 : 0.5;
    }

    // Each in a request of its own, which tells its tokens.
    std::vector<Drawn> draw(const GenerateRequest& settings,
                            const std::vector<GenerateItem>& items) {
        std::vector<Request> requests;
        for (const GenerateItem& item : items) {
            GenerateRequest request = settings;
            request.items = {item};
            requests.emplace_back(std::move(request));
        }
        std::vector<Drawn> drawn;
        for (Completion& completion : run_requests(backend_, std::move(requests))) {
            facts_.sent += completion.usage;
            drawn.push_back({std::move(std::get<GenerateReply>(completion.reply).texts.front()),
                             static_cast<double>(completion.usage.prompt_tokens)});
        }
        return drawn;
    }

    // Rounds of texts until their mean length is known well enough.
    SampledLength draw_until_precise(
        const GenerateRequest& settings,
        const std::function<std::optional<GenerateItem>(std::size_t)>& item,
        const std::function<void(std::size_t, const GenerateItem&, const Drawn&)>& take,
        std::size_t most) {
        std::vector<double> lengths;
        for (std::size_t first = 0; first < most; first += kRound) {
            std::vector<GenerateItem> items;
            std::vector<std::size_t> indices;
            for (std::size_t i = first; i < std::min(first + kRound, most); ++i) {
                if (auto made = item(i)) {
                    items.push_back(std::move(*made));
                    indices.push_back(i);
                }
            }
            const std::vector<Drawn> drawn = draw(settings, items);
            for (std::size_t i = 0; i < drawn.size(); ++i) {
                if (!drawn[i].text.ok()) continue;
                lengths.push_back(static_cast<double>(drawn[i].text.tokens));
                take(indices[i], items[i], drawn[i]);
            }
            const SampledLength length = length_of(lengths, settings.max_tokens);
            if (length.error <= kPrecise * length.tokens) break;
        }
        return length_of(lengths, settings.max_tokens);
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
        facts_.outputs[kind] = draw_until_precise(
            {.items = {},
             .max_tokens = layer.max_tokens,
             .temperature = layer.temperature,
             .top_p = 1.0,
             .stop = layer.stop},
            [&](std::size_t i) -> std::optional<GenerateItem> {
                return GenerateItem{
                    network_.context(last_, {prompt(kind, i), i % layer.templates.size()},
                                     example(i).input),
                    i};
            },
            [&](std::size_t i, const GenerateItem&, const Drawn& drawn) {
                ++asked;
                right += is_right(drawn.text.text, example(i).target, network_.scoring()) ? 1U : 0U;
            },
            most);
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
        std::size_t replies = 0;
        std::map<std::string, std::size_t> prompts;
        facts_.replies = draw_until_precise(
            {.items = {},
             .max_tokens = spec.max_tokens,
             .temperature = spec.temperature,
             .top_p = spec.top_p,
             .stop = spec.stop},
            [&](std::size_t i) {
                return proposer_.item(input, i, [&](const Context& c) { return fits(c); });
            },
            [&](std::size_t i, const GenerateItem& item, const Drawn& drawn) {
                ++replies;
                const Context sent = as_sent(item.context);
                const double tokens = backend_.counts_exactly(sent) ? backend_.count_tokens(sent)
                                                                    : drawn.prompt_tokens;
                if (tokens > 0.0)
                    densities[i % densities.size()].add(tokens, item.context.text.size());
                const std::string made = prompt_from_reply(drawn.text.text);
                const bool is_new = !made.empty() && prompts[made]++ == 0;
                if (is_new) facts_.prompts.push_back(made);
                note_first_step(i, is_new, drawn.text.tokens);
            },
            std::min(most_, kMostReplies));
        if (replies > 0) {
            std::vector<std::size_t> times;
            for (const auto& [made, count] : prompts) times.push_back(count);
            facts_.usable = share_of_new(times, replies, job_.train.candidates - 1);
        }
        if (!knows_first_proposals(job_, network_, splits_[kTrainSplit])) {
            facts_.first_step.clear();
            facts_.first_step_tokens.clear();
        }
        fill_proposals(densities, input);
    }

    // Replies come in the order of their proposals; one that failed is no prompt.
    void note_first_step(std::size_t reply, bool is_new, int tokens) {
        if (reply + 1 >= job_.train.candidates) return;
        facts_.first_step.resize(reply + 1);
        facts_.first_step_tokens.resize(reply + 1, 0.0);
        facts_.first_step_tokens.back() = tokens;
        if (is_new) facts_.first_step.back() = facts_.prompts.size() - 1;
    }

    // Templates that no sample tells about are counted.
    void fill_proposals(std::vector<DensitySum>& densities, const ProposalInput& input) {
        for (std::size_t t = 0; t < densities.size(); ++t) {
            if (densities[t].empty()) {
                const auto item = proposer_.item(input, t, [](const Context&) { return true; });
                if (item) {
                    densities[t].add(backend_.count_tokens(as_sent(item->context)),
                                     item->context.text.size());
                }
            }
            facts_.proposals[t] = densities[t].density();
        }
    }

    [[nodiscard]] bool fits(const Context& context) const {
        return backend_.count_tokens(context) + job_.train.proposals.max_tokens <=
               backend_.info().context_tokens;
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

    // By the tokeniser; else the model counts what it is asked to continue by one token.
    std::vector<double> tokens_of(const std::vector<Context>& contexts) {
        std::vector<double> tokens;
        std::vector<GenerateItem> asked;
        for (const Context& context : contexts) {
            tokens.push_back(backend_.count_tokens(context));
            if (!backend_.counts_exactly(context)) asked.push_back({context, 0});
        }
        if (asked.empty() || most_ == 0) return tokens;
        const std::vector<Drawn> drawn = draw({.items = {}, .max_tokens = 1}, asked);
        for (std::size_t i = 0, next = 0; i < contexts.size(); ++i) {
            if (backend_.counts_exactly(contexts[i])) continue;
            const Drawn& one = drawn[next++];
            if (one.text.ok() && one.prompt_tokens > 0) tokens[i] = one.prompt_tokens;
        }
        return tokens;
    }

    // Begin texts stand in front of contexts where scores come by echo.
    [[nodiscard]] Context as_sent(Context context) const {
        const ScoreManner manner = backend_.info().manner.score;
        const bool is_echo =
            manner == ScoreManner::target || manner == ScoreManner::target_and_context;
        if (is_echo && !context.chat) context.text.insert(0, job_.backend.begin_text);
        return context;
    }

    [[nodiscard]] Context sent_context(PromptKind kind,
                                       std::size_t template_index,
                                       std::size_t i,
                                       std::string_view input) const {
        return as_sent(network_.context(last_, {prompt(kind, i), template_index}, input));
    }

    void measure_contexts() {
        const std::size_t templates = network_.layer(last_).templates.size();
        const bool is_counted = backend_.counts_exactly(sent_context(kInitialPrompt, 0, 0, "x"));
        const std::size_t each = std::clamp<std::size_t>(
            (is_counted ? kContextsCounted : kContextsAsked) / (2 * templates), 2, 2 * kRound);
        std::vector<Context> contexts;
        for (std::size_t t = 0; t < templates; ++t) {
            for (const PromptKind kind : {kInitialPrompt, kProposedPrompt}) {
                for (std::size_t i = 0; i < each; ++i) {
                    contexts.push_back(sent_context(kind, t, i, input_at(i, each)));
                }
            }
        }
        const std::vector<double> tokens = tokens_of(contexts);
        const Context plain = network_.context(last_, {prompt(kInitialPrompt, 0), 0}, "x");
        facts_.begin_bytes = as_sent(plain).text.size() - plain.text.size();
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

    // Of a target behind a context.
    [[nodiscard]] double target_tokens(const Context& context, const std::string& target) const {
        if (context.chat || !backend_.counts_exactly(context)) {
            const Context alone{.text = target};
            return backend_.counts_exactly(alone) ? backend_.count_tokens(alone)
                                                  : facts_.contexts.front()[kInitialPrompt].mean *
                                                        static_cast<double>(target.size());
        }
        Context whole = context;
        whole.text += target;
        return std::max(backend_.count_tokens(whole) - backend_.count_tokens(context), 1);
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
    TextFacts facts_;
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
