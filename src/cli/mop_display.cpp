#include "cli/mop_display.hpp"

#include <algorithm>

#include "dln/mop/split_result.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/evaluate.hpp"

namespace dln {
namespace {

std::string line_of(const mop::SplitLosses& losses,
                    const std::vector<std::size_t>& task_of,
                    std::size_t task,
                    const mop::LossSum& sum,
                    std::uint64_t seed) {
    const Interval perplexity = mop::perplexity_interval(losses, task_of, task, seed);
    const Interval accuracy = wilson_interval(static_cast<std::size_t>(sum.right),
                                              static_cast<std::size_t>(sum.examples));
    return fmt::format(
        "{:>6} examples  perplexity {:.4f} (95 % {:.4f} to {:.4f})  accuracy {:.4f} ({:.4f} to "
        "{:.4f})",
        sum.examples, sum.perplexity(), perplexity.low, perplexity.high, sum.accuracy(),
        accuracy.low, accuracy.high);
}

// The experts that a task's texts heed most, each with its share of them.
std::string experts_of(const std::vector<std::int64_t>& most_heeded, std::int64_t texts) {
    std::string text;
    for (std::size_t e = 0; e < most_heeded.size(); ++e) {
        if (most_heeded[e] == 0) continue;
        text += fmt::format("{}{} ({:.0f} %)", text.empty() ? "" : ", ", e,
                            100.0 * static_cast<double>(most_heeded[e]) /
                                static_cast<double>(std::max<std::int64_t>(1, texts)));
    }
    return text;
}

}  // namespace

std::string describe(const mop::LossSum& sum) {
    return fmt::format("{} examples, perplexity {:.4f}, accuracy {:.4f}", sum.examples,
                       sum.perplexity(), sum.accuracy());
}

std::string describe(const MopJob& job,
                     const mop::SplitLosses& losses,
                     const mop::MixtureTexts& texts) {
    const std::size_t tasks = job.tasks.size();
    const mop::SplitSums sums = mop::sums_of(losses, texts.task_of, tasks);
    const mop::GateTable gate = mop::gate_table(losses, texts.task_of, tasks);
    std::string text = fmt::format(
        "{:<20} {}\n", "all", line_of(losses, texts.task_of, mop::kAllTasks, sums.all(), job.seed));
    for (std::size_t task = 0; task < tasks; ++task) {
        text += fmt::format("{:<20} {}\n", printable(job.tasks[task].name, 20),
                            line_of(losses, texts.task_of, task, sums.tasks[task], job.seed));
    }
    if (losses.gate.columns == 1) return text;
    text += "experts heeded most\n";
    for (std::size_t task = 0; task < tasks; ++task) {
        text += fmt::format("{:<20} {}\n", printable(job.tasks[task].name, 20),
                            experts_of(gate.most_heeded[task], sums.tasks[task].examples));
    }
    return text;
}

template <class... Args>
void MopDisplay::say(fmt::format_string<Args...> form, Args&&... args) const {
    fmt::print(out_, form, std::forward<Args>(args)...);
    std::fputc('\n', out_);
    std::fflush(out_);  // a batch log is read while the job runs
}

MopDisplay::MopDisplay(const MopSession& session, int ranks, std::FILE* out)
    : session_(session), job_(session.job()), ranks_(ranks), out_(out) {}

void MopDisplay::begin() const {
    const MixtureSpec& mixture = job_.mixture;
    say("{}: {} rank{}, {}", printable(job_.name), ranks_, ranks_ == 1 ? "" : "s",
        session_.base().identity);
    say("{} expert{} of {} vectors at block {}; {} task{}: {} train, {} dev, {} test examples",
        mixture.experts, mixture.experts == 1 ? "" : "s", mixture.vectors, mixture.injection_block,
        job_.tasks.size(), job_.tasks.size() == 1 ? "" : "s", session_.texts()[0].size(),
        session_.texts()[1].size(), session_.texts()[2].size());
    if (job_.federated) {
        say("{} clients, {} local steps a round", job_.federated->clients,
            job_.federated->local_steps);
    }
}

void MopDisplay::resumed(const mop::MopState& state, const std::vector<std::string>& skipped) {
    for (const std::string& reason : skipped) warned(reason);
    say("resumed after step {} of {}", state.steps_done, job_.train.steps);
}

void MopDisplay::warned(const std::string& message) {
    fmt::print(stderr, "dln: warning: {}\n", message);
}

void MopDisplay::taught_gate(double loss) {
    say("gate taught the tasks: cross-entropy {:.4f} nats", loss);
}

void MopDisplay::stepped(const mop::MopState& state, const mop::TrainedStep& step, double seconds) {
    say("step {:>5}  loss {:.4f} nats a token  {:.1f} s", state.steps_done,
        step.nll / static_cast<double>(std::max<std::int64_t>(1, step.tokens)), seconds);
}

void MopDisplay::evaluated_dev(const mop::MopState& state,
                               const mop::SplitSums& dev,
                               bool is_best) {
    say("dev after step {}: {}{}", state.steps_done, describe(dev.all()), is_best ? "  best" : "");
}

void MopDisplay::finished(const mop::MopOutcome& outcome) const {
    say("{} of {} steps in {:.0f} s", outcome.state.steps_done, job_.train.steps, outcome.seconds);
    if (outcome.test) {
        say("test\n{}results in {}/result.json",
            describe(job_, *outcome.test, session_.texts()[kTestSplit]), job_.run_dir);
    }
}

}  // namespace dln
