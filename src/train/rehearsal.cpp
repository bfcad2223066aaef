#include "train/rehearsal.hpp"

#include <algorithm>
#include <utility>

#include "dln/comm/communicator.hpp"
#include "dln/engine/engine.hpp"
#include "dln/engine/payload.hpp"
#include "dln/train/evaluate.hpp"
#include "dln/train/step.hpp"
#include "dln/train/trainer.hpp"

#include "train/dev_round.hpp"
#include "train/plan_assembly.hpp"
#include "train/run_files.hpp"
#include "train/stand_in.hpp"
#include "train/step_outcome.hpp"

namespace dln {
namespace {

/// Tells the stand-in which unit its requests are of.
class RehearsalRunner : public UnitRunner {
  public:
    RehearsalRunner(const Network& network,
                    const std::vector<Dataset>& splits,
                    StandIn& stand_in,
                    std::uint64_t seed)
        : stand_in_(stand_in), inner_(network, splits, stand_in, seed) {}
    void start(std::uint64_t id, const std::string& bytes) override {
        stand_in_.expect(id, payload::decode(bytes).content);
        inner_.start(id, bytes);
    }
    [[nodiscard]] std::vector<Finished> advance(std::chrono::milliseconds wait) override {
        return inner_.advance(wait);
    }
    [[nodiscard]] std::size_t wanted_units(ModelRole model) const override {
        return inner_.wanted_units(model);
    }

  private:
    StandIn& stand_in_;
    NetworkRunner inner_;
};

// What keeps a better candidate from winning is left out where nobody may need more; what it costs stays.
Job rehearsed_job(const Job& job, const RehearsalMood& mood) {
    Job rehearsed = job;
    if (!mood.is_most) return rehearsed;
    constexpr double kNothing = 1e-12;
    TrainSpec& train = rehearsed.train;
    train.select = SelectMode::exact;
    train.tie_margin = 0.0;
    train.tolerance = 0;
    train.nce = false;
    train.trust_factor = std::min(train.trust_factor, kNothing);
    train.logp_penalty = std::min(train.logp_penalty, kNothing);
    return rehearsed;
}

RequestChain since(const RequestChain& begin, const RequestChain& end) {
    return {.scores = end.scores - begin.scores, .texts = end.texts - begin.texts};
}

class Rehearsal {
  public:
    Rehearsal(const Job& job,
              const Network& network,
              const std::vector<Dataset>& splits,
              const PlannedModels& models,
              RehearsedTexts& texts,
              const RehearsalMood& mood)
        : job_(rehearsed_job(job, mood)),
          network_(network),
          splits_(splits),
          is_most_(mood.is_most),
          stand_in_(job_, network, splits, models, texts, mood),
          runner_(network, splits, stand_in_, job.seed),
          engine_(*comm_, runner_),
          batches_(make_batches(job_, network, splits[kTrainSplit])),
          proposer_(job_.train.proposals),
          posterior_(job_.train.posterior) {}

    Rehearsed run(std::int64_t steps) {
        state_.current = network_.initial_parameters();
        const TrainSpec& train = job_.train;
        if (train.eval_initial) evaluate_dev(nullptr);
        for (std::int64_t s = 1; s <= steps; ++s) {
            const StepRecord record = step();
            if (s % train.eval_every == 0 || s == steps) evaluate_dev(&record);
        }
        evaluate_test();
        seen_.course.recalled = stand_in_.recalled();
        seen_.usable =
            proposals_ == 0 ? 1.0 : static_cast<double>(usable_) / static_cast<double>(proposals_);
        seen_.requests = stand_in_.sampled();
        return std::move(seen_);
    }

  private:
    StepRecord step() {
        PlannedWork work;
        stand_in_.begin(work, static_cast<std::uint64_t>(state_.steps_done));
        const RequestChain before = stand_in_.now();
        const TrainContext context{.job = job_,
                                   .network = network_,
                                   .splits = splits_,
                                   .engine = engine_,
                                   .backward = stand_in_,
                                   .batches = batches_,
                                   .proposer = proposer_,
                                   .posterior = posterior_};
        StepRecord record = run_step(context, state_);
        if (is_most_) work = work * most_candidates(record);
        seen_.course.steps += work;
        seen_.by_step.push_back(work);
        const RequestChain chain = since(before, stand_in_.now());
        seen_.training_chain += chain;
        raise(seen_.step_chain, chain);
        const NetworkParameters current = state_.current;
        take_step(context, record, state_);
        note(record);
        seen_.course.wins += state_.current == current ? 0.0 : 1.0;
        return record;
    }

    // By how much more a step may have to score. Here each step's best prompt is new and the first of the memory, so
    // that incumbent and memory have one in common; an incumbent that stays may be none of the memory.
    [[nodiscard]] double most_candidates(const StepRecord& record) const {
        double factor = 1.0;
        for (const LayerRecord& layer : record.layers) {
            const auto most = static_cast<double>(job_.train.candidates + job_.train.memory);
            factor = std::max(factor, most / static_cast<double>(layer.candidates.size()));
        }
        return factor;
    }

    // Candidates of a layer, in the mean over the trained ones.
    void note(const StepRecord& record) {
        for (const LayerRecord& layer : record.layers) {
            seen_.course.candidates += static_cast<double>(layer.candidates.size()) /
                                       static_cast<double>(record.layers.size());
            proposals_ += layer.proposals.size();
            for (const StepCandidate& candidate : layer.candidates) {
                usable_ += is_proposed(candidate) ? 1U : 0U;
            }
            for (const ProposalRecord& proposal : layer.proposals) {
                note_prompt(proposal.prompt, seen_.prompts);
                if (layer.layer + 1 == network_.depth()) {
                    note_prompt(proposal.prompt, seen_.last_prompts);
                }
            }
        }
    }

    static void note_prompt(const std::string& prompt, std::vector<std::string>& prompts) {
        if (prompt.empty() || std::ranges::find(prompts, prompt) != prompts.end()) return;
        prompts.push_back(prompt);
    }

    [[nodiscard]] bool is_proposed(const StepCandidate& candidate) const {
        return std::ranges::any_of(proposer_.spec().templates, [&](const auto& known) {
            return known.name == candidate.origin;
        });
    }

    std::vector<Evaluation> evaluate(const std::vector<NetworkParameters>& parameters,
                                     SplitIndex split,
                                     PlannedWork& sum,
                                     RequestChain& chain) {
        // What the last step found is new.
        stand_in_.begin(
            sum, static_cast<std::uint64_t>(std::max<std::int64_t>(state_.steps_done, 1) - 1));
        const RequestChain before = stand_in_.now();
        std::vector<Evaluation> evaluations =
            evaluate_split(engine_, network_, splits_, split, parameters,
                           static_cast<std::uint64_t>(state_.steps_done));
        raise(chain, since(before, stand_in_.now()));
        return evaluations;
    }

    void evaluate_dev(const StepRecord* record) {
        if (splits_[kDevSplit].empty()) return;
        const TrainSpec& train = job_.train;
        const DevRound round = run_dev_round(
            train, network_.scoring().objective,
            worth_evaluating(record, state_.current, train.eval_candidates),
            [this](const auto& parameters) {
                return evaluate(parameters, kDevSplit, seen_.course.dev, seen_.dev_chain);
            },
            state_);
        seen_.course.dev_evaluations += static_cast<double>(round.paid.size());
        go_back(train, state_);
    }

    void evaluate_test() {
        if (splits_[kTestSplit].empty()) return;
        std::vector<NetworkParameters> both{best_parameters(state_), network_.initial_parameters()};
        if (both[0] == both[1]) both.pop_back();
        (void)evaluate(both, kTestSplit, seen_.course.test, seen_.test_chain);
    }

    Job job_;
    const Network& network_;
    const std::vector<Dataset>& splits_;
    bool is_most_;
    StandIn stand_in_;
    RehearsalRunner runner_;
    std::unique_ptr<Communicator> comm_ = make_local_communicator();
    Engine engine_;
    BatchSampler batches_;
    Proposer proposer_;
    PosteriorSampler posterior_;
    TrainState state_;
    Rehearsed seen_;
    std::size_t proposals_ = 0;
    std::size_t usable_ = 0;
};

}  // namespace

Rehearsed rehearse(const Job& job,
                   const Network& network,
                   const std::vector<Dataset>& splits,
                   const PlannedModels& models,
                   RehearsedTexts& texts,
                   const RehearsalMood& mood,
                   std::int64_t steps) {
    return Rehearsal(job, network, splits, models, texts, mood).run(steps);
}

}  // namespace dln
