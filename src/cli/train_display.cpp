#include "cli/train_display.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "dln/text/utf8.hpp"

#include "cli/shown_parameters.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace {

std::string duration(double seconds) {
    if (seconds < 90.0) return fmt::format("{:.0f} s", seconds);
    if (seconds < 5400.0) return fmt::format("{:.0f} min", seconds / 60.0);
    return fmt::format("{:.1f} h", seconds / 3600.0);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// ", expert 2 with 7 of 20 examples"; nothing in a layer that is no mixture.
std::string owned_text(const StepRecord& record, const LayerRecord& layer) {
    const MixtureRecord* const mixture = mixture_of(record, layer.layer);
    if (mixture == nullptr || mixture->responsibilities.empty()) return {};
    std::size_t owned = 0;
    for (std::size_t i = 0; i < record.batch.size(); ++i) {
        owned += mixture->owns(layer.expert, i) ? 1U : 0U;
    }
    return fmt::format(", expert {} with {} of {} examples", layer.expert + 1, owned,
                       record.batch.size());
}

}  // namespace

template <class... Args>
void TrainDisplay::say(fmt::format_string<Args...> form, Args&&... args) const {
    fmt::print(out_, form, std::forward<Args>(args)...);
    std::fputc('\n', out_);
    std::fflush(out_);  // a batch log is read while the job runs
}

std::string describe(const Evaluation& evaluation) {
    std::string text = fmt::format("{} examples", evaluation.examples);
    if (evaluation.measured == 0) {
        return fmt::format("{}, none measured, {} failed", text, evaluation.failures);
    }
    if (evaluation.has_accuracy) {
        const Interval interval = wilson_interval(evaluation.right, evaluation.examples);
        text += fmt::format(", accuracy {:.4f} (95 % {:.4f} to {:.4f})", evaluation.accuracy(),
                            interval.low, interval.high);
    }
    if (evaluation.has_log_likelihood) {
        text += fmt::format(", log-likelihood {:.4f}", evaluation.log_likelihood());
    }
    if (evaluation.failures > 0) text += fmt::format(", {} failed", evaluation.failures);
    return text;
}

TrainDisplay::TrainDisplay(const Job& job, int ranks, std::FILE* out)
    : job_(job),
      ranks_(ranks),
      out_(out),
      on_terminal_(out == stdout && ::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()) {}

void TrainDisplay::begin(const std::string& backend,
                         const std::string& backward,
                         std::size_t train,
                         std::size_t dev,
                         std::size_t test) {
    say("{}: {} steps on {} rank{}, {} training, {} dev, {} test examples", job_.name,
        job_.train.steps, ranks_, ranks_ == 1 ? "" : "s", train, dev, test);
    say("backend: {}", backend);
    if (!backward.empty()) say("backward backend: {}", backward);
}

void TrainDisplay::resumed(const TrainState& state, const std::vector<std::string>& skipped) {
    for (const std::string& reason : skipped) warned(reason);
    first_step_ = state.steps_done;
    say("resumed after step {} of {}", state.steps_done, job_.train.steps);
}

void TrainDisplay::embeds_by(const std::string& embedding) const {
    if (nearest_shown(job_) > 0) say("nearest {} examples by {}", nearest_shown(job_), embedding);
    if (has_mixtures(job_)) say("gates see embeddings by {}", embedding);
}

void TrainDisplay::holds(std::int64_t replies) {
    if (replies > 0) say("journal: {} replies are held", grouped(replies));
}

// What the job's evaluations measure, as describe() has it for test.
std::string TrainDisplay::describe_dev(const DevResult& dev) const {
    if (dev.measured == 0) return fmt::format("none of {} examples measured", dev.examples);
    const bool has_classes = !job_.classes.empty();
    const bool has_log_prob = job_.scoring.objective == Objective::log_prob;
    std::string text;
    if (has_classes || !has_log_prob) text = fmt::format("accuracy {:.4f}", dev.accuracy());
    if (has_classes || has_log_prob) {
        text +=
            fmt::format("{}log-likelihood {:.4f}", text.empty() ? "" : ", ", dev.log_likelihood());
    }
    return text;
}

const std::string& TrainDisplay::template_name(std::size_t layer,
                                               const LayerParameters& parameters) const {
    return job_.network.layers[layer].templates[parameters.template_index].name;
}

void TrainDisplay::show_layer(std::size_t layer, const LayerParameters& parameters) {
    for (const LayerParameters& expert : experts_of(parameters)) {
        say("      {:>{}}  {}{}", "", std::to_string(job_.train.steps).size(),
            job_.network.layers.size() == 1 ? "" : fmt::format("layer {}: ", layer + 1),
            shown_parameters(expert, template_name(layer, expert), 160));
    }
}

void TrainDisplay::evaluated_dev(const TrainState& state, const DevResult& dev, bool is_best) {
    clear_bar();
    say("step {:>{}}  dev {}{}", state.steps_done, std::to_string(job_.train.steps).size(),
        describe_dev(dev), is_best ? "  (best so far)" : "");
    if (!is_best) return;
    const NetworkParameters& best = state.best[0].parameters;
    // Before the first step they are the job's own prompts.
    for (std::size_t l = 0; l < best.size() && state.steps_done > 0; ++l) {
        if (l >= shown_.size() || experts_of(shown_[l]) != experts_of(best[l])) {
            show_layer(l, best[l]);
        }
    }
    shown_ = best;
}

void TrainDisplay::stepped(const StepRecord& record, const TrainState& state, double seconds) {
    clear_bar();
    const auto width = std::to_string(job_.train.steps).size();
    const bool is_deep = state.current.size() > 1;
    const bool has_parts = is_deep || !record.mixtures.empty();
    if (has_parts) {
        say("step {:>{}}  {}{} calls, {:.1f} s", state.steps_done, width,
            record.nothing_to_learn ? "no error in the batch, nothing to learn; " : "",
            grouped(record.usage.calls), seconds);
    }
    for (const LayerRecord& layer : record.layers) {
        if (is_deep && record.nothing_to_learn) break;
        const StepCandidate& kept = layer.candidates[layer.chosen];
        const std::string compared = fmt::format(
            "{} candidates, incumbent {:.4f}, {} {:.4f}", layer.candidates.size(),
            layer.scores[0].mean(),
            layer.chosen == 0 ? "kept at"
                              : fmt::format("replaced ({})", printable(kept.origin, 60)),
            layer.scores[layer.chosen].mean());
        if (has_parts) {
            say("      {:>{}}  layer {}{}: {}", "", width, layer.layer + 1,
                owned_text(record, layer), compared);
        } else {
            say("step {:>{}}  {}, {} calls, {:.1f} s", state.steps_done, width, compared,
                grouped(record.usage.calls), seconds);
        }
    }
    shown_.resize(state.current.size());
    for (const LayerRecord& layer : record.layers) {
        if (layer.chosen == 0) continue;
        show_layer(layer.layer, layer.chosen_parameters());
        shown_[layer.layer] = state.current[layer.layer];
    }
}

void TrainDisplay::warned(const std::string& message) {
    clear_bar();
    fmt::print(stderr, "dln: warning: {}\n", message);
}

void TrainDisplay::finished(const TrainOutcome& outcome) {
    clear_bar();
    for (std::size_t l = 0; l < outcome.parameters.size(); ++l) {
        const LayerParameters& layer = outcome.parameters[l];
        for (std::size_t e = 0; e < expert_count(layer); ++e) {
            const LayerParameters expert = expert_of(layer, e);
            say("{}: {}", prompt_label(layer, l, e),
                shown_parameters(expert, template_name(l, expert), 400));
        }
    }
    if (outcome.test) {
        say("test, initial prompt: {}", describe(*outcome.test_initial));
        say("test, trained prompt: {}", describe(*outcome.test));
        if (outcome.test->has_accuracy && outcome.test->measured > 0 &&
            outcome.test_initial->measured > 0) {
            say("gain: {} examples newly right, {} newly wrong, p = {:.2g} (McNemar, exact, "
                "two-sided)",
                outcome.gain.only_second, outcome.gain.only_first, outcome.gain.p_value);
        }
    }
    const Usage& usage = outcome.state.usage;
    // One call's worth: the mean of what the calls would have cost one by one.
    const double worth = usage.standalone_tokens == 0
                             ? 0.0
                             : static_cast<double>(usage.evaluated_tokens) *
                                   static_cast<double>(usage.calls) /
                                   static_cast<double>(usage.standalone_tokens);
    // Calls and tokens are those of the whole run, the time is this process's: a run may have had several.
    say("training used {} calls of {} tokens; sharing left {} tokens to compute (as many as {:.0f} "
        "calls have); {} in this process",
        grouped(usage.calls), grouped(usage.standalone_tokens), grouped(usage.evaluated_tokens),
        worth, duration(seconds_since(start_)));
    if (uses_servers(job_)) {
        const RequestCost served = served_cost(outcome.spent);
        const double money = money_of(outcome.spent, job_.backend, backward_spec(job_));
        const auto whole = [](double number) { return grouped(std::llround(number)); };
        say("servers counted {} requests of {} tokens, and {} tokens that they generated{}; the "
            "run took {}",
            whole(served.requests), whole(served.input_tokens), whole(served.output_tokens),
            money > 0.0 ? fmt::format(", which cost {:.4g}", money) : "",
            duration(outcome.spent.seconds));
    }
    if (outcome.recalled > 0) {
        say("journal: {} replies were held already and not paid for again",
            grouped(outcome.recalled));
    }
    say("run: {}", shown_path(job_.run_dir));
}

// Where one of two models is no server's, the other one's part.
RequestCost TrainDisplay::served_cost(const Spending& spent) const {
    const bool serves_forward = job_.backend.kind == BackendKind::http;
    if (!serves_forward) return spent.backward;
    const bool serves_backward = backward_spec(job_).kind == BackendKind::http;
    return cost_of(spent) + spent.backward * (serves_backward ? 0.0 : -1.0);
}

void TrainDisplay::progressed(const TrainState& state, const EngineProgress& progress) {
    constexpr auto kInterval = std::chrono::milliseconds(200);
    const auto now = std::chrono::steady_clock::now();
    if (!on_terminal_ || now - bar_shown_ < kInterval) return;
    bar_shown_ = now;
    show_bar(state, progress);
}

void TrainDisplay::clear_bar() {
    if (on_terminal_) fmt::print(stderr, "\r\x1b[2K");
}

// What is left of the run is not known before its steps are over; of the step, only what has been asked for.
void TrainDisplay::show_bar(const TrainState& state, const EngineProgress& progress) {
    constexpr std::size_t kWidth = 24;
    const std::size_t known = std::max<std::size_t>(progress.units_known, 1);
    const std::size_t filled = progress.units_done * kWidth / known;
    const auto done = static_cast<double>(state.steps_done - first_step_);
    const auto left = static_cast<double>(job_.train.steps - state.steps_done);
    const double seconds = seconds_since(start_);
    fmt::print(stderr, "\r\x1b[2K[{:=<{}}{:<{}}] step {} of {}, {}/{} units, {} tokens{}", "",
               filled, "", kWidth - filled, std::min(state.steps_done + 1, job_.train.steps),
               job_.train.steps, progress.units_done, progress.units_known,
               grouped(state.usage.evaluated_tokens + progress.usage.evaluated_tokens),
               done > 0 && left > 0 ? fmt::format(", {} left", duration(seconds / done * left))
                                    : std::string());
    std::fflush(stderr);
}

}  // namespace dln
