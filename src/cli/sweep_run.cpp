// dln sweep run: all trials in one allocation. Ranks form groups; a group that is free takes the next trial.
//
// Rank 0 hands out the numbers while it runs trials of its own: between its trials, and in each turn of its
// engine's loop. The first rank of a group asks, the others of its group learn from it.

#include <chrono>
#include <ctime>
#include <deque>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"
#include "dln/sweep/results.hpp"
#include "dln/text/utf8.hpp"

#include "cli/job_options.hpp"
#include "cli/ranks.hpp"
#include "cli/sweep.hpp"

namespace dln {
namespace {

struct RunOptions {
    std::string path;
    int group_size = 1;
    bool retry_failed = false;
    double max_hours = 0.0;
};

using Clock = std::chrono::steady_clock;

constexpr const char* kNext = "next";
constexpr const char* kStop = "stop";  // this group was told to end; hand out nothing more
constexpr const char* kEnd = "end";    // all groups are done

// Ranks that wait must not take a core from those that compute.
void pause_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

std::string wait_for_message(Communicator& world) {
    for (;;) {
        if (const auto message = world.receive()) return message->bytes;
        pause_a_little();
    }
}

/// Hands out trials; on rank 0 of the world only.
class Dispatcher {
  public:
    Dispatcher(Communicator& world, std::deque<std::uint64_t> trials, int groups)
        : world_(world), trials_(std::move(trials)), others_left_(groups - 1) {}

    /// The next trial, as text; empty: there is none.
    [[nodiscard]] std::string next() {
        if (trials_.empty() || has_stopped_) return {};
        const std::uint64_t number = trials_.front();
        trials_.pop_front();
        return std::to_string(number);
    }
    void stop() { has_stopped_ = true; }
    [[nodiscard]] bool has_stopped() const { return has_stopped_; }

    /// The same in passing: looks at most once in kBetween, as each look at messages may cost a turn of the core.
    void serve_in_passing() {
        if (Clock::now() - served_ >= kBetween) serve();
    }
    /// Answers the groups that have asked.
    void serve() {
        const std::clock_t start = std::clock();
        while (const auto message = world_.receive()) {
            if (message->bytes == kStop) stop();
            const std::string trial = next();
            if (trial.empty()) --others_left_;
            world_.send(message->source, trial);
        }
        served_ = Clock::now();
        serving_ += std::clock() - start;
    }
    /// Of processor time: looking at messages yields the core to whoever wants it.
    [[nodiscard]] double seconds_serving() const {
        return static_cast<double>(serving_) / CLOCKS_PER_SEC;
    }
    /// Until every group has been told that there is no more.
    void serve_to_the_end() {
        while (others_left_ > 0) {
            serve();
            pause_a_little();
        }
        for (int rank = 1; rank < world_.size(); ++rank) world_.send(rank, kEnd);
    }

  private:
    Communicator& world_;
    std::deque<std::uint64_t> trials_;
    int others_left_;  // groups that still run trials
    bool has_stopped_ = false;
    static constexpr std::chrono::milliseconds kBetween{5};
    Clock::time_point served_ = Clock::now();
    std::clock_t serving_ = 0;
};

void show_end(const OpenSweep& sweep, std::uint64_t number, const TrialEnd& end) {
    const Trial trial = sweep.trials.trial(number);
    const SweepMetric& metric = sweep.trials.spec().metric;
    std::string what;
    if (end.is_failure()) {
        what = fmt::format("failed: {}", printable(end.reason, 160));
    } else if (end.exit_code != 0) {
        what = "stopped";
    } else if (const auto value = read_metric(trial.run_dir, metric)) {
        what = fmt::format("finished, {} {:.4f}", printable(metric.pointer, 60), *value);
    } else {
        what = fmt::format("finished, without {}", printable(metric.pointer, 60));
    }
    fmt::print("trial {}  {}  {}{}\n", trial_directory_name(number), what, describe(trial.settings),
               trial.seed ? fmt::format(", /seed={}", *trial.seed) : std::string());
    std::fflush(stdout);
}

/// What becomes of the output that dln train would have: trials run side by side.
struct NoOutput {
    NoOutput() : file(std::fopen("/dev/null", "w")) { DLN_ASSERT(file != nullptr, "/dev/null"); }
    ~NoOutput() { std::fclose(file); }
    NoOutput(const NoOutput&) = delete;
    NoOutput& operator=(const NoOutput&) = delete;
    std::FILE* file;
};

/// Runs trials with the ranks of `group` until there are no more.
void run_trials(Communicator& world,
                Communicator& group,
                const BegunSweep& begun,
                const StopTime& stop_time,
                Dispatcher* dispatcher) {
    const NoOutput nowhere;
    TrialSurroundings surroundings{.output = nowhere.file,
                                   .journal = begun.journal,
                                   .share = LimitShare{.rank = world.rank(), .ranks = world.size()},
                                   .stop_time = stop_time};
    if (dispatcher != nullptr) surroundings.on_turn = [&] { dispatcher->serve_in_passing(); };
    const char* wanted = kNext;
    for (;;) {
        // A signal between trials, or in one that has just come to its end.
        if (!stop_reason(stop_time).empty()) {
            wanted = kStop;
            if (dispatcher != nullptr) dispatcher->stop();
        }
        std::string trial;
        if (dispatcher != nullptr) {
            dispatcher->serve();
            trial = dispatcher->next();
        } else if (group.rank() == 0) {
            world.send(0, wanted);
            trial = wait_for_message(world);
        }
        trial = group.broadcast(std::move(trial));
        if (trial.empty()) return;
        const std::uint64_t number = std::stoull(trial);
        const TrialEnd end = run_trial(group, begun.sweep, number, surroundings);
        if (group.rank() != 0) continue;
        show_end(begun.sweep, number, end);
        if (end.exit_code != static_cast<int>(ExitCode::submit_again)) continue;
        wanted = kStop;
        if (dispatcher != nullptr) dispatcher->stop();
    }
}

std::deque<std::uint64_t> trials_to_run(const OpenSweep& sweep, bool retry_failed) {
    const SweepProgress progress = read_progress(sweep.trials, sweep.directory);
    std::deque<std::uint64_t> numbers;
    for (std::uint64_t i = 0; i < sweep.trials.size(); ++i) {
        const TrialState state = progress.states[i];
        const bool is_open = state == TrialState::waiting || state == TrialState::stopped;
        if (is_open || (retry_failed && state == TrialState::failed)) numbers.push_back(i);
    }
    return numbers;
}

std::string count_of(const SweepProgress& progress) {
    std::string text;
    for (const TrialState state : {TrialState::finished, TrialState::failed, TrialState::running,
                                   TrialState::stopped, TrialState::waiting}) {
        if (progress.count(state) == 0) continue;
        text +=
            fmt::format("{}{} {}", text.empty() ? "" : ", ", progress.count(state), name_of(state));
    }
    return text;
}

// The last lines, and the exit code of the sweep.
int conclude(const OpenSweep& sweep, const RunOptions& options, bool has_stopped) {
    const SweepProgress progress = read_progress(sweep.trials, sweep.directory);
    fmt::print("{}: {} trials: {}\n", sweep.trials.spec().name, sweep.trials.size(),
               count_of(progress));
    if (progress.count(TrialState::failed) > 0 && !has_stopped) {
        fmt::print("dln sweep status {} tells why; --retry-failed runs the failed trials again\n",
                   options.path);
    }
    if (progress.count(TrialState::finished) > 0)
        fmt::print("results: dln sweep best {}\n", options.path);
    if (has_stopped || progress.count(TrialState::running) > 0) {
        return static_cast<int>(ExitCode::submit_again);
    }
    for (const auto& [number, failure] : progress.failures) {
        if (number < sweep.trials.size() && progress.states[number] == TrialState::failed) {
            return failure.exit_code == 0 ? static_cast<int>(ExitCode::internal_error)
                                          : failure.exit_code;
        }
    }
    return 0;
}

int run_sweep(Communicator& world, const RunOptions& options) {
    const StopTime stop_time(options.max_hours);
    const BegunSweep begun = begin_sweep(world, options.path);
    const int groups = std::max(world.size() / options.group_size, 1);
    // Ranks that are left over join the last group.
    const auto group = world.split(std::min(world.rank() / options.group_size, groups - 1));
    if (world.rank() != 0) {
        run_trials(world, *group, begun, stop_time, nullptr);
        (void)wait_for_message(world);
        return 0;
    }
    auto numbers = trials_to_run(begun.sweep, options.retry_failed);
    fmt::print("{}: {} trials, {} to run, {} group{} of ranks\n", begun.sweep.trials.spec().name,
               begun.sweep.trials.size(), numbers.size(), groups, groups == 1 ? "" : "s");
    std::fflush(stdout);
    Dispatcher dispatcher(world, std::move(numbers), groups);
    const std::clock_t start = std::clock();
    run_trials(world, *group, begun, stop_time, &dispatcher);
    spdlog::debug("handing out trials took {:.6f} s of {:.3f} s of processor time",
                  dispatcher.seconds_serving(),
                  static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    dispatcher.serve_to_the_end();
    return conclude(begun.sweep, options, dispatcher.has_stopped());
}

}  // namespace

void add_sweep_run(CLI::App& sweep, Chosen& chosen) {
    auto options = std::make_shared<RunOptions>();
    CLI::App* command = sweep.add_subcommand(
        "run", "Run all trials: ranks form groups, a free group takes the next trial");
    command->add_option("sweep", options->path, "Sweep file")->required();
    command->add_option("--group-size", options->group_size, "Ranks that run a trial together")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command->add_flag("--retry-failed", options->retry_failed, "Run failed trials again");
    add_max_hours(*command, options->max_hours);
    command->footer(
        "The same command goes on after a kill: finished trials stay, others resume. The exit "
        "code\nis 0 when all trials have finished, else that of the first failed one.\n"
        "Example:  mpirun -n 4 dln sweep run jobs/sweeps/quickstart.json");
    command->callback([options, &chosen] {
        chosen = [options] {
            const StopSignals signals;  // before MPI starts: from then on signals are forwarded
            return run_on_ranks([&](Communicator& comm) { return run_sweep(comm, *options); });
        };
    });
}

}  // namespace dln
