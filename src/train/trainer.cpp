#include "dln/train/trainer.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/store/failpoint.hpp"
#include "dln/store/metrics_lines.hpp"
#include "dln/text/utf8.hpp"

#include "train/dev_round.hpp"
#include "train/run_files.hpp"
#include "train/run_spending.hpp"
#include "train/step_outcome.hpp"
#include "train/step_values.hpp"

namespace dln {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Says what was being done when the backend was lost.
template <class Work>
auto saying(const std::string& what, Work work) {
    try {
        return work();
    } catch (const BackendError& error) {
        throw BackendError(fmt::format("{}: {}", what, error.what()));
    }
}

class Training {
  public:
    Training(const TrainContext& context,
             RunDirectory& run,
             CheckpointStore& store,
             StepHeader header,
             const ProbedBackend& probed,
             TrainObserver& observer,
             const TrainEnd& end)
        : context_(context),
          run_(run),
          store_(store),
          header_(std::move(header)),
          probed_(probed),
          observer_(observer),
          end_(end),
          budget_(context.job) {}

    TrainOutcome run() {
        // A step can take longer than other hosts wait before they take a silent lock for a dead one.
        context_.engine.on_turn([this](const EngineProgress& progress) {
            run_.keep_alive();
            observer_.progressed(state_, progress);
        });
        context_.engine.halt_when(
            [this](const EngineProgress& progress) { return halt_for(progress); });
        TrainOutcome outcome;
        try {
            outcome = run_to_the_end();
        } catch (const EngineHalted& halted) {
            if (!asked_to_stop_.empty()) stop_as_asked(halted.progress());
            stop(spent_with(halted.progress()));
        }
        context_.engine.on_turn({});
        context_.engine.halt_when({});
        return outcome;
    }

  private:
    TrainOutcome run_to_the_end() {
        begin();
        while (!is_last() && !is_pause()) {
            stop_if_due();
            failpoint("step_begin");
            step();
            failpoint("after_step");
            if (state_.steps_done % context_.job.train.eval_every == 0 || is_last()) evaluate_dev();
            save();
            failpoint("step_end");
        }
        return finish();
    }

    // By the whole run: what its complete steps cost, what they did not count, and `under_way`.
    [[nodiscard]] Spending spent_with(const EngineProgress& under_way) const {
        Usage usage = state_.usage;
        usage += uncounted_;
        usage += under_way.usage;
        Usage backward = state_.backward_usage.value_or(Usage{});
        backward += under_way.backward_usage;
        return spending_of(usage, backward, seconds_before_ + seconds_since(start_));
    }

    void stop_if_due() {
        if (is_asked_to_stop({})) stop_as_asked({});
        const Spending spent = spent_with({});
        if (budget_.is_spent_by(spent)) stop(spent);
    }

    [[nodiscard]] Halt halt_for(const EngineProgress& progress) {
        if (is_asked_to_stop(progress)) {
            return Clock::now() - asked_to_stop_at_ > kStopGrace ? Halt::at_once
                                                                 : Halt::after_units;
        }
        // Only replies that a journal keeps are not lost with the step under way.
        const bool is_spent = budget_.is_limited() && uses_servers(context_.job) &&
                              budget_.is_spent_by(spent_with(progress));
        return is_spent ? Halt::after_units : Halt::no;
    }

    // Once asked, always asked.
    [[nodiscard]] bool is_asked_to_stop(const EngineProgress& progress) {
        if (asked_to_stop_.empty()) {
            asked_to_stop_ = progress.halt_asked;
            if (asked_to_stop_.empty() && end_.stop) asked_to_stop_ = end_.stop();
            asked_to_stop_at_ = Clock::now();
        }
        return !asked_to_stop_.empty();
    }

    // What is under way is done again, but for what the journal keeps: only with that it has been used.
    [[noreturn]] void stop_as_asked(const EngineProgress& under_way) {
        failpoint("before_stop");
        const bool is_kept = uses_servers(context_.job);
        run_.write_file(kSpentFile, spent_json(saved_step_,
                                               spent_with(is_kept ? under_way : EngineProgress{})));
        throw StoppedError(fmt::format(
            "{}: stopped ({}) with {} of {} steps complete{}. Run the same command again to go on.",
            context_.job.path, asked_to_stop_, std::max<std::int64_t>(saved_step_, 0),
            context_.job.train.steps,
            is_kept ? "; what was paid for behind them is in the journal" : ""));
    }

    [[noreturn]] void stop(const Spending& spent) {
        failpoint("before_stop");
        run_.write_file(kSpentFile, spent_json(saved_step_, spent));
        throw BudgetError(
            budget_message(context_.job, spent, std::max<std::int64_t>(saved_step_, 0)));
    }

    [[nodiscard]] bool is_last() const { return state_.steps_done >= context_.job.train.steps; }
    [[nodiscard]] bool is_pause() const {
        return end_.pause_after > 0 && state_.steps_done >= end_.pause_after;
    }

    void begin() {
        auto loaded = store_.load_newest();
        seconds_before_ =
            spent_so_far(run_, loaded ? std::optional(loaded->file) : std::nullopt).seconds;
        if (loaded) {
            state_ = read_state(loaded->file.document);
            saved_step_ = state_.steps_done;
            run_.truncate_metrics(state_.steps_done);
            if (!is_last()) go_on();
            // A kill may have come between the step file and the files that follow from it.
            run_.set_latest(state_.steps_done);
            run_.write_file("prompts.json", prompts_json(context_.job, state_));
            prune();
            observer_.resumed(state_, loaded->skipped);
            return;
        }
        run_.truncate_metrics(-1);
        state_.current = context_.network.initial_parameters();
        state_.noise_floor = probed_.noise_floor;
        state_.usage += discarded(probed_.used);
        if (context_.job.backward_backend) {
            state_.backward_usage = discarded(probed_.backward_used);
        }
        if (context_.job.train.eval_initial) evaluate_dev();
        save();
    }

    // What a complete run with fewer steps left. Its last step was evaluated on dev whatever eval_every
    // says, which a run with more steps from the start would not have done.
    void go_on() {
        run_.remove_file("result.json");
        if (state_.steps_done % context_.job.train.eval_every != 0 &&
            has_metrics_line(run_.metrics_path(), "dev", state_.steps_done)) {
            observer_.warned(fmt::format(
                "step {} was evaluated on dev because it was the last one then, beside "
                "/train/eval_every "
                "{}: a run of {} steps from the start may differ",
                state_.steps_done, context_.job.train.eval_every, context_.job.train.steps));
        }
    }

    void step() {
        const Clock::time_point start = Clock::now();
        const EngineTimes before = context_.engine.times();
        record_ = saying(fmt::format("step {}", state_.steps_done + 1),
                         [&] { return run_step(context_, state_); });
        check_usable(context_, *record_);
        step_seconds_ = seconds_since(start);
        backend_seconds_ = context_.engine.times().backend - before.backend;
        waiting_seconds_ = context_.engine.times().waiting - before.waiting;
        take_step(context_, *record_, state_);
        observer_.stepped(*record_, state_, step_seconds_);
        if (record_->failures > 0) {
            observer_.warned(fmt::format("step {}: {} requests failed; the first: {}",
                                         state_.steps_done, record_->failures,
                                         printable(record_->first_failure)));
        }
    }

    [[nodiscard]] std::vector<Evaluation> evaluate(const std::vector<NetworkParameters>& parameters,
                                                   SplitIndex split) {
        const auto what = fmt::format("{} after step {}", split == kTestSplit ? "test" : "dev",
                                      state_.steps_done);
        return saying(what, [&] {
            return evaluate_split(context_.engine, context_.network, context_.splits, split,
                                  parameters, static_cast<std::uint64_t>(state_.steps_done),
                                  context_.inputs);
        });
    }

    void evaluate_dev() {
        if (context_.splits[kDevSplit].empty()) return;
        const TrainSpec& spec = context_.job.train;
        const DevRound round = run_dev_round(
            spec, context_.network.scoring().objective,
            worth_evaluating(record_ ? &*record_ : nullptr, state_.current, spec.eval_candidates),
            [this](const auto& parameters) { return evaluate(parameters, kDevSplit); }, state_);
        for (const Evaluation& paid : round.paid) {
            if (paid.failures == 0) continue;
            observer_.warned(fmt::format("dev: {} requests failed; the first: {}", paid.failures,
                                         printable(paid.first_failure)));
        }
        observer_.evaluated_dev(state_, round.shown.dev, round.gained);
        failpoint("after_dev");
        run_.append_metrics(metrics_line(state_.steps_done, "dev", round.shown.dev));
        go_back(spec, state_);
    }

    void save() {
        StepDocument document;
        write_state(state_, document);
        if (record_) write_step(*record_, document);
        auto& arrays = document.arrays;
        arrays["timing/step_seconds"] = Array::scalar(step_seconds_);
        arrays["timing/backend_seconds"] = Array::scalar(backend_seconds_);
        arrays["timing/waiting_seconds"] = Array::scalar(waiting_seconds_);
        arrays[kRunSeconds] = Array::scalar(spent_with({}).seconds);
        header_.step = state_.steps_done;
        failpoint("before_save");
        store_.save(header_, document);
        saved_step_ = state_.steps_done;
        run_.remove_file(kSpentFile);  // the step file tells more
        run_.set_latest(state_.steps_done);
        run_.write_file("prompts.json", prompts_json(context_.job, state_));
        prune();
    }

    void prune() { store_.prune({.newest = context_.job.keep, .best_step = state_.best_step}); }

    TrainOutcome finish() {
        TrainOutcome outcome{.parameters = best_parameters(state_), .state = state_};
        if (is_last() && !context_.splits[kTestSplit].empty()) {
            stop_if_due();
            failpoint("before_test");
            std::vector<NetworkParameters> both{outcome.parameters,
                                                context_.network.initial_parameters()};
            if (both[0] == both[1]) both.pop_back();
            const std::vector<Evaluation> tested = evaluate(both, kTestSplit);
            outcome.test = tested.front();
            outcome.test_initial = tested.back();
            failpoint("after_test");
            outcome.test_data = context_.splits[kTestSplit].digest();
            for (const Evaluation& each : tested) uncounted_ += each.usage;
            outcome.gain =
                mcnemar(outcome.test_initial->right_by_example, outcome.test->right_by_example);
            run_.append_metrics(metrics_line(state_.steps_done, "test", *outcome.test));
        }
        outcome.spent = spent_with({});
        outcome.recalled = state_.usage.recalled + uncounted_.recalled;
        outcome.counts = context_.engine.total_counts();
        run_.write_file("result.json", result_json(context_.job, outcome));
        run_.remove_file(kSpentFile);
        return outcome;
    }

    const TrainContext& context_;
    RunDirectory& run_;
    CheckpointStore& store_;
    StepHeader header_;
    ProbedBackend probed_;
    TrainObserver& observer_;
    const TrainEnd& end_;
    std::string asked_to_stop_;  // why; empty: it was not
    Clock::time_point asked_to_stop_at_;
    Budget budget_;
    Clock::time_point start_ = Clock::now();
    double seconds_before_ = 0.0;   // of the run's earlier processes
    std::int64_t saved_step_ = -1;  // the newest step file
    Usage uncounted_;               // of evaluations on test, which are no part of the state
    TrainState state_;
    std::optional<StepRecord> record_;
    double step_seconds_ = 0.0;
    double backend_seconds_ = 0.0;
    double waiting_seconds_ = 0.0;
};

}  // namespace

TrainOutcome train(const TrainContext& context,
                   RunDirectory& run,
                   CheckpointStore& store,
                   const StepHeader& header,
                   const ProbedBackend& probed,
                   TrainObserver& observer,
                   const TrainEnd& end) {
    return Training(context, run, store, header, probed, observer, end).run();
}

void check_trainable(const Job& job) {
    const auto& layers = job.network.layers;
    if (std::ranges::any_of(layers, &LayerSpec::train)) return;
    throw UsageError(
        layers.size() == 1
            ? fmt::format(
                  "{}: /network/layers/0/train: false, so nothing would be trained. Use dln eval.",
                  job.path)
            : fmt::format(
                  "{}: /network/layers: \"train\" is false in all of them, so nothing would be "
                  "trained. Use dln eval.",
                  job.path));
}

void check_examples_left(const Job& job, const Network& network, const Dataset& train) {
    // An example is not shown to itself.
    const std::size_t shown = std::max(network.few_shot_examples().size(), network.nearest_shown());
    if (shown < train.size()) return;
    throw UsageError(fmt::format(
        "{}: /network/layers/{}/few_shot: {} shows all {} training examples; none is left "
        "to train on. Expected fewer than {}.",
        job.path, network.depth() - 1, shown, train.size(), train.size()));
}

bool scores_samples(const Job& job) {
    const PosteriorSpec& posterior = job.train.posterior;
    return job.network.layers.size() > 1 && posterior.log_q &&
           !needs_no_terms(weight_rule(posterior), posterior.samples);
}

BatchSampler make_batches(const Job& job, const Network& network, const Dataset& train) {
    const std::vector<std::size_t>& shown = network.few_shot_examples();
    const bool balanced = job.train.class_balanced && network.has_classes();
    std::vector<std::vector<std::size_t>> strata(balanced ? network.classes().size() : 1);
    for (std::size_t i = 0; i < train.size(); ++i) {
        if (std::ranges::find(shown, i) != shown.end()) continue;
        strata[balanced ? network.class_index(train[i].target) : 0].push_back(i);
    }
    return BatchSampler(job.seed, job.train.batch_size, std::move(strata));
}

}  // namespace dln
