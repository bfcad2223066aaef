#include "dln/mop/trainer.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/mop/gate_training.hpp"
#include "dln/store/failpoint.hpp"
#include "dln/store/metrics_lines.hpp"
#include "dln/text/utf8.hpp"

#include "mop/gradient_sum.hpp"
#include "mop/run_files.hpp"

namespace dln::mop {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kRunSeconds = "timing/run_seconds";
constexpr std::size_t kDev = 1;
constexpr std::size_t kTest = 2;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

class MopTraining {
  public:
    MopTraining(const MopContext& context,
                RunDirectory& run,
                CheckpointStore& store,
                StepHeader header,
                MopObserver& observer,
                const TrainEnd& end)
        : context_(context),
          run_(run),
          store_(store),
          header_(std::move(header)),
          observer_(observer),
          end_(end) {}

    MopOutcome run_to_the_end() {
        begin();
        while (!is_last() && !is_pause()) {
            stop_if_asked();
            failpoint("step_begin");
            step();
            failpoint("after_step");
            const bool is_due = state_.steps_done % context_.job.train.eval_every == 0;
            if (is_due || is_last()) evaluate_dev();
            save();
            failpoint("step_end");
        }
        return finish();
    }

  private:
    [[nodiscard]] bool is_last() const { return state_.steps_done >= context_.job.train.steps; }
    [[nodiscard]] bool is_pause() const {
        return end_.pause_after > 0 && state_.steps_done >= end_.pause_after;
    }

    void begin() {
        run_.remove_file(kDivergedFile);
        if (auto loaded = store_.load_newest()) {
            const StepDocument& document = loaded->file.document;
            state_ = read_mop_state(document);
            if (document.contains(kRunSeconds)) seconds_before_ = document.real(kRunSeconds);
            run_.truncate_metrics(state_.steps_done);
            if (!is_last()) go_on();
            run_.set_latest(state_.steps_done);
            prune();
            observer_.resumed(state_, loaded->skipped);
            return;
        }
        run_.truncate_metrics(-1);
        InitialMixture initial = begin_mixture(context_.job, context_.shape, *context_.splits[0]);
        if (initial.gate_loss) observer_.taught_gate(*initial.gate_loss);
        state_.parameters = std::move(initial.parameters);
        if (!context_.job.federated) state_.adam = fresh_adam(context_.shape);
        evaluate_dev();
        save();
    }

    // Perhaps from a complete run with fewer steps, whose last one was evaluated on dev whatever eval_every says.
    void go_on() {
        run_.remove_file("result.json");
        const MopTrainSpec& spec = context_.job.train;
        if (state_.steps_done % spec.eval_every == 0 ||
            !has_metrics_line(run_.metrics_path(), "dev", state_.steps_done)) {
            return;
        }
        observer_.warned(
            fmt::format("step {} was evaluated on dev because it was the last one then, beside "
                        "/train/eval_every {}: a run of {} steps from the start may differ",
                        state_.steps_done, spec.eval_every, spec.steps));
    }

    void stop_if_asked() {
        std::string why = end_.stop ? end_.stop() : std::string();
        if (why.empty() && context_.ranks.is_stop_asked()) why = "a signal on another rank";
        if (why.empty()) return;
        failpoint("before_stop");
        throw StoppedError(fmt::format(
            "{}: stopped ({}) with {} of {} steps complete. Run the same command again to go on.",
            context_.job.path, why, state_.steps_done, context_.job.train.steps));
    }

    void step() {
        const Clock::time_point start = Clock::now();
        const MopTrainSpec& spec = context_.job.train;
        document_ = {};
        TrainedStep taken;
        if (context_.job.federated) {
            RoundAverage round = context_.ranks.round(state_.parameters, state_.steps_done);
            taken = round.step;
            check_sound(taken.has_diverged, "train");
            state_.parameters = std::move(round.parameters);
            document_.arrays["step/clients"] = Array::list(std::move(round.clients));
        } else {
            BatchGradient batch = context_.ranks.gradient(state_.parameters, state_.steps_done);
            taken = batch.step;
            check_sound(taken.has_diverged, "train");
            document_.arrays["step/gradient_norm"] = Array::scalar(norm(batch.gradient));
            clip(batch.gradient, spec.clip);
            take_adam_step({.prompts = spec.prompts_rate, .gate = spec.gate_rate}, batch.gradient,
                           *state_.adam, state_.parameters);
        }
        // Before they are saved: the newest step file is to be of use.
        check_sound(!is_sound(state_.parameters), "train");
        ++state_.steps_done;
        state_.tokens += taken.tokens;
        document_.arrays["step/nll"] = Array::scalar(taken.nll);
        document_.arrays["step/tokens"] = Array::scalar(taken.tokens);
        step_seconds_ = seconds_since(start);
        run_.append_metrics(train_line(state_.steps_done, taken));
        observer_.stepped(state_, taken, step_seconds_);
    }

    // What a run stands at when its numbers are none any more is its newest step file.
    void check_sound(bool has_diverged, const char* split) {
        if (!has_diverged) return;
        const std::int64_t step = state_.steps_done + (split == std::string_view("train") ? 1 : 0);
        const std::int64_t good = std::max<std::int64_t>(saved_or_loaded(), 0);
        run_.write_file(kDivergedFile, diverged_json(step, split, good));
        throw DivergedError(fmt::format(
            "{}: step {}: training has diverged: on {}, the loss or a parameter is no finite "
            "number "
            "any more, or beyond 1e6. Step {} is the last good one, and kept. The same job would "
            "come here again: lower /train/prompts_rate ({}) or /train/gate_rate ({}), with "
            "another "
            "/run_dir.",
            context_.job.path, step, split, good, context_.job.train.prompts_rate,
            context_.job.train.gate_rate));
    }

    [[nodiscard]] std::int64_t saved_or_loaded() const {
        const std::vector<std::int64_t> steps = store_.steps();
        return steps.empty() ? -1 : steps.back();
    }

    void evaluate_dev() {
        const MixtureTexts& dev = *context_.splits[kDev];
        if (dev.size() == 0) return;
        const SplitSums sums = sums_of(context_.ranks.evaluate(state_.parameters, kDev),
                                       dev.task_of, context_.job.tasks.size());
        check_sound(sums.has_diverged, "dev");
        const bool is_best =
            !state_.best || sums.all().mean_nll() < state_.best->dev.all().mean_nll();
        if (is_best) {
            state_.best = BestMixture{
                .step = state_.steps_done, .parameters = state_.parameters, .dev = sums};
        }
        observer_.evaluated_dev(state_, sums, is_best);
        failpoint("after_dev");
        run_.append_metrics(metrics_line(context_.job, state_.steps_done, "dev", sums));
    }

    void save() {
        write_state(state_, document_);
        document_.arrays["timing/step_seconds"] = Array::scalar(step_seconds_);
        document_.arrays[kRunSeconds] = Array::scalar(run_seconds());
        header_.step = state_.steps_done;
        failpoint("before_save");
        store_.save(header_, document_);
        run_.set_latest(state_.steps_done);
        prune();
    }

    void prune() {
        store_.prune({.newest = context_.job.keep,
                      .best_step = state_.best ? state_.best->step : std::int64_t{-1}});
    }

    [[nodiscard]] double run_seconds() const { return seconds_before_ + seconds_since(start_); }

    MopOutcome finish() {
        MopOutcome outcome{.state = state_, .test = {}, .seconds = 0.0};
        const MixtureTexts& test = *context_.splits[kTest];
        if (is_last() && test.size() > 0) {
            stop_if_asked();
            failpoint("before_test");
            outcome.test = context_.ranks.evaluate(best_parameters(state_), kTest);
            const SplitSums sums = sums_of(*outcome.test, test.task_of, context_.job.tasks.size());
            check_sound(sums.has_diverged, "test");
            failpoint("after_test");
            run_.append_metrics(metrics_line(context_.job, state_.steps_done, "test", sums));
        }
        outcome.seconds = run_seconds();
        run_.write_file("result.json", result_json(context_.job, outcome, test));
        return outcome;
    }

    const MopContext& context_;
    RunDirectory& run_;
    CheckpointStore& store_;
    StepHeader header_;
    MopObserver& observer_;
    const TrainEnd& end_;
    Clock::time_point start_ = Clock::now();
    double seconds_before_ = 0.0;  // of the run's earlier processes
    MopState state_;
    StepDocument document_;
    double step_seconds_ = 0.0;
};

// Every fourth row of some training texts: places where prompts may begin.
nn::Matrix some_states(const MixtureTexts& train, std::size_t width) {
    constexpr std::size_t kTexts = 256;
    constexpr std::size_t kEvery = 4;
    const std::size_t stride = std::max<std::size_t>(1, train.size() / kTexts);
    std::vector<float> values;
    for (std::size_t i = 0; i < train.size(); i += stride) {
        const nn::Matrix hidden = train.rows(i);
        // The first row of a text is like no other: all later ones attend to it.
        for (std::size_t r = 1; r < hidden.rows; r += kEvery) {
            values.insert(values.end(), hidden.row(r).begin(), hidden.row(r).end());
        }
    }
    nn::Matrix states;
    states.rows = values.size() / width;
    states.columns = width;
    states.values = std::move(values);
    return states;
}

}  // namespace

InitialMixture begin_mixture(const MopJob& job,
                             const MixtureShape& shape,
                             const MixtureTexts& train) {
    InitialMixture initial{
        .parameters = initial_parameters(shape, some_states(train, shape.width), job.seed),
        .gate_loss = {}};
    const GateSpec& gate = job.mixture.gate;
    if (!gate.pretrain || gate.kind == GateKind::uniform || shape.experts == 1) return initial;
    initial.gate_loss = pretrain_gate(train.z, train.task_of, job.tasks.size(),
                                      {.steps = gate.pretrain_steps, .rate = gate.pretrain_rate},
                                      initial.parameters);
    return initial;
}

MopOutcome train_mixture(const MopContext& context,
                         RunDirectory& run,
                         CheckpointStore& store,
                         const StepHeader& header,
                         MopObserver& observer,
                         const TrainEnd& end) {
    return MopTraining(context, run, store, header, observer, end).run_to_the_end();
}

}  // namespace dln::mop
