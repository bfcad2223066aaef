#include "dln/train/plan.hpp"

#include <algorithm>
#include <functional>
#include <string>

#include "dln/engine/budget.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/train/evaluate.hpp"
#include "dln/train/propose.hpp"
#include "dln/train/trainer.hpp"

#include "train/course.hpp"
#include "train/plan_assembly.hpp"
#include "train/plan_pricing.hpp"
#include "train/plan_rehearsed.hpp"
#include "train/plan_spread.hpp"
#include "train/plan_texts.hpp"

namespace dln {
namespace {

// Runs to simulate, fewer of long ones.
constexpr std::size_t kRuns = 64;
constexpr std::size_t kFewestRuns = 8;
constexpr std::size_t kCandidatesInAllRuns = 2'000'000;
// Texts to sample: a small share of the run's requests.
constexpr double kFewestTexts = 16.0;
constexpr double kMostTexts = 192.0;
constexpr double kShareOfRun = 1.0 / 10.0;
// Steps whose proposals are written out; later ones cost as much.
constexpr std::size_t kStepsWithProposals = 32;

ExampleSums sums_of(const Dataset& split, const std::vector<std::uint64_t>& examples) {
    ExampleSums sums{.count = static_cast<double>(examples.size())};
    for (const std::uint64_t i : examples) {
        sums.input_bytes += static_cast<double>(split[i].input.size());
        sums.target_bytes += static_cast<double>(split[i].target.size());
    }
    return sums;
}

class Planner {
  public:
    Planner(const Job& job,
            const Network& network,
            const std::vector<Dataset>& splits,
            Backend& backend,
            const PlanOptions& options)
        : job_(job),
          network_(network),
          splits_(splits),
          backend_(backend),
          options_(options),
          proposer_(job.train.proposals),
          facts_(sample_texts(
              job, network, splits, backend, options.samples_texts ? texts_to_sample() : 0)),
          spreads_(options.engine == nullptr
                       ? expected_spreads()
                       : measured_spreads(job, network, splits, *options.engine, facts_.prompts)) {}

    Plan run() {
        Plan plan{.steps = job_.train.steps};
        plan.dev_rounds = dev_rounds(job_.train, !splits_[kDevSplit].empty());
        expect(plan);
        bound(plan);
        chains(plan);
        plan.basis.replies = facts_.replies;
        plan.basis.outputs = facts_.outputs[kProposedPrompt];
        plan.basis.usable = facts_.usable;
        plan.basis.prompts = facts_.prompts;
        plan.basis.sent = facts_.sent;
        plan.basis.sent += spreads_.sent;
        plan.basis.chance = spreads_.weights.front();
        plan.basis.is_chance_measured = options_.engine != nullptr;
        add_probe(job_.backend, backend_, options_.samples_texts,
                  facts_.contexts.front()[kInitialPrompt].mean, facts_.begin_bytes, plan);
        return plan;
    }

  private:
    [[nodiscard]] std::size_t texts_to_sample() const {
        const double evaluations = static_cast<double>(job_.train.steps) *
                                   static_cast<double>(job_.train.batch_size) *
                                   static_cast<double>(job_.train.candidates);
        const std::vector<double> forms(
            network_.has_classes() ? network_.class_forms(0).targets.size() : 1, 1.0);
        const double requests =
            measure_for(network_) == Measure::correct
                ? evaluations
                : evaluations * cost_of_scores(backend_.info().manner, 1.0, forms).requests;
        return static_cast<std::size_t>(
            std::clamp(kShareOfRun * requests, kFewestTexts, kMostTexts));
    }

    [[nodiscard]] CourseSpec course(const Pricing& pricing, bool is_most) const {
        const std::size_t last = network_.depth() - 1;
        const LayerSpec& layer = network_.layer(last);
        const Measure forward = network_.has_classes() ? Measure::classes : Measure::correct;
        const bool is_http = backend_.info().kind == "http";
        const RequestManner& manner = backend_.info().manner;
        const bool scores_texts = measure_for(network_) == Measure::correct;
        CourseSpec spec{
            .train = job_.train,
            .steps = {},
            .dev = all_of(kDevSplit),
            .test = all_of(kTestSplit),
            .content_free = content_free(),
            .templates = layer.templates.size(),
            .initial = {},
            .proposed = {},
            .usable = facts_.usable,
            .forward_is_score = forward == Measure::classes && measure_for(network_) == forward &&
                                !job_.train.held_out_ranking,
            .recalls_scores =
                is_http && (scores_texts ? manner.recalls_texts : manner.recalls_scores),
            .recalls_calibration = is_http,
            .recalls_evaluations = is_http,
            .counts_right = network_.scoring().objective == Objective::accuracy,
            .right = facts_.right,
            .cost = pricing};
        for (const std::string& prompt : layer.prompts) {
            spec.initial.push_back({static_cast<double>(prompt.size()), false});
        }
        for (std::size_t p = 0; p < facts_.prompts.size(); ++p) {
            spec.proposed.push_back({static_cast<double>(facts_.prompts[p].size()), true, p});
        }
        add_what_was_measured(spec);
        if (is_most) spec.proposed.push_back({longest_prompt(), true});
        if (spec.proposed.empty()) spec.proposed = spec.initial;
        add_steps(pricing, is_most, spec);
        return spec;
    }

    // What is known of the first step: which prompts it proposes, and how some of them score.
    void add_what_was_measured(CourseSpec& spec) const {
        spec.first_step = facts_.first_step;
        spec.measured_on = static_cast<double>(spreads_.measured_on);
        for (std::size_t k = 0; k < spreads_.measured.size(); ++k) {
            (k == 0 ? spec.initial.front() : spec.proposed[k - 1]).measured = spreads_.measured[k];
        }
    }

    // A reply without a line break, all of it a prompt.
    [[nodiscard]] double longest_prompt() const {
        double least = 1.0;
        for (const auto& densities : facts_.contexts) {
            const double mean = densities[kProposedPrompt].mean;
            if (mean > 0.0) least = std::min(least, mean);
        }
        return static_cast<double>(job_.train.proposals.max_tokens) / least;
    }

    [[nodiscard]] ExampleSums all_of(SplitIndex split) const {
        return sums_of(splits_[split], all_examples(splits_[split]));
    }

    [[nodiscard]] ExampleSums content_free() const {
        ExampleSums sums;
        if (job_.scoring.calibration != Calibration::content_free) return sums;
        for (const std::string& input : job_.scoring.content_free_inputs) {
            sums.count += 1.0;
            sums.input_bytes += static_cast<double>(input.size());
        }
        return sums;
    }

    void add_steps(const Pricing& pricing, bool is_most, CourseSpec& spec) const {
        const BatchSampler batches = make_batches(job_, network_, splits_[kTrainSplit]);
        const auto steps = static_cast<std::size_t>(std::max<std::int64_t>(job_.train.steps, 0));
        for (std::size_t s = 0; s < steps; ++s) {
            CourseStep step;
            step.ranked_on = batches.batch(static_cast<std::int64_t>(s));
            step.batch = sums_of(splits_[kTrainSplit], step.ranked_on);
            if (job_.train.held_out_ranking && step.ranked_on.size() > 1) {
                const auto half = static_cast<std::ptrdiff_t>(step.ranked_on.size() / 2);
                step.ranked_on.erase(step.ranked_on.begin(), step.ranked_on.begin() + half);
            }
            step.ranked = sums_of(splits_[kTrainSplit], step.ranked_on);
            step.proposals = s < kStepsWithProposals
                                 ? proposals(pricing, is_most, static_cast<std::int64_t>(s))
                                 : spec.steps[s % kStepsWithProposals].proposals;
            spec.steps.push_back(std::move(step));
        }
    }

    [[nodiscard]] RequestCost proposals(const Pricing& pricing,
                                        bool is_most,
                                        std::int64_t step) const {
        if (!is_most) {
            const bool is_sampled = facts_.replies.texts > 0;
            return proposals(pricing, facts_.right, step,
                             is_sampled ? std::optional(facts_.replies.tokens) : std::nullopt);
        }
        RequestCost most;
        for (const double right : {0.0, 0.5, 1.0}) {
            const RequestCost cost = proposals(pricing, right, step, std::nullopt);
            if (cost.input_tokens >= most.input_tokens) most = cost;
        }
        return most;
    }

    // Without `reply_tokens` replies are as long as they may be.
    [[nodiscard]] RequestCost proposals(const Pricing& pricing,
                                        double right,
                                        std::int64_t step,
                                        std::optional<double> reply_tokens) const {
        const ProposalInput input = expected_proposal_input(job_, network_, splits_[kTrainSplit],
                                                            step, right, facts_.prompts);
        RequestCost cost;
        for (const ProposalRequest& request : proposer_.requests(0, job_.train.candidates - 1)) {
            const std::size_t i = request.proposals.front();
            const double longest = static_cast<double>(request.prompts) *
                                   static_cast<double>(job_.train.proposals.max_tokens);
            const double room = backend_.info().context_tokens - longest;
            const double density = pricing.density(facts_.proposals[request.template_index]);
            const auto tokens = [&](const Context& context) {
                return density * static_cast<double>(context.text.size());
            };
            const auto item = proposer_.item(
                input, i, [&](const Context& context) { return tokens(context) <= room; });
            const bool is_known =
                step == 0 && i < facts_.first_step_tokens.size() && !pricing.is_most();
            if (!item) continue;
            const double drawn =
                is_known ? facts_.first_step_tokens[i] : reply_tokens.value_or(longest);
            cost += priced({1.0, tokens(item->context), drawn}, job_.backend);
        }
        return cost;
    }

    void expect(Plan& plan) const {
        const Pricing pricing(network_, backend_.info().manner, job_.backend, facts_, false);
        const CourseSpec spec = course(pricing, false);
        const std::size_t in_a_run =
            std::max<std::size_t>(spec.steps.size() * job_.train.candidates, 1);
        const std::size_t runs = std::clamp(kCandidatesInAllRuns / in_a_run, kFewestRuns, kRuns);
        std::vector<Course> courses;
        for (std::size_t run = 0; run < runs; ++run) {
            CounterRng random(
                {.seed = job_.seed, .role = RandomRole::plan, .example = 1, .sample = run});
            const double place = (static_cast<double>(run) + 0.5) / static_cast<double>(runs);
            courses.push_back(simulate_course(spec, spreads_.at(place), random));
        }
        sum_up(courses, plan);
    }

    void bound(Plan& plan) const {
        const Pricing pricing(network_, backend_.info().manner, job_.backend, facts_, true);
        const Course most = most_of_course(course(pricing, true));
        plan.training.most = most.steps;
        plan.dev.most = most.dev;
        plan.test.most = most.test;
    }

    // A step: forward, proposals, their scores. What else there is runs beside one of them.
    void chains(Plan& plan) const {
        const auto chain = [&](Measure measure) {
            return measure == Measure::correct ? RequestChain{.texts = 1}
                                               : RequestChain{.scores = 1};
        };
        plan.step_chain = chain(measure_for(network_));
        if (job_.train.candidates > 1) {
            plan.step_chain += chain(network_.has_classes() ? Measure::classes : Measure::correct);
            plan.step_chain.texts += proposer_.asks_model() ? 1 : 0;
        }
        plan.training_chain = plan.step_chain.times(plan.steps);
        plan.dev_chain = chain(measure_for_evaluation(network_));
        if (!splits_[kTestSplit].empty()) plan.test_chain = plan.dev_chain;
    }

    const Job& job_;
    const Network& network_;
    const std::vector<Dataset>& splits_;
    Backend& backend_;
    PlanOptions options_;
    Proposer proposer_;
    TextFacts facts_;
    Spreads spreads_;
};

}  // namespace

PlannedWork& PlannedWork::operator+=(const PlannedWork& other) {
    scores += other.scores;
    texts += other.texts;
    return *this;
}

PlannedWork PlannedWork::operator*(double factor) const {
    return {scores * factor, texts * factor};
}

RequestChain& RequestChain::operator+=(const RequestChain& other) {
    scores += other.scores;
    texts += other.texts;
    return *this;
}

RequestChain RequestChain::times(std::int64_t count) const {
    return {scores * count, texts * count};
}

PlanPart Plan::total() const {
    PlanPart all = training;
    for (const PlanPart* part : {&dev, &test, &probe}) {
        all.expected += part->expected;
        all.most += part->most;
    }
    return all;
}

RequestChain Plan::longest_chain() const {
    RequestChain all = training_chain;
    all += dev_chain.times(dev_rounds);
    all += test_chain;
    return all;
}

Plan make_plan(const Job& job,
               const Network& network,
               const std::vector<Dataset>& splits,
               Backend& forward,
               Backend& backward,
               const PlanOptions& options) {
    // A course knows one model, and steps of one layer in which all candidates are scored on all examples and
    // differ in their prompts and templates only.
    if (network.depth() > 1 || job.backward_backend || job.train.select == SelectMode::racing ||
        std::ranges::any_of(job.train.proposals.templates, changes_words)) {
        return make_rehearsed_plan(job, network, splits, {forward, backward}, options);
    }
    return Planner(job, network, splits, forward, options).run();
}

}  // namespace dln
