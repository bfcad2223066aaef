// dln plan: what a job will cost, before any of it is paid for.

#include "dln/train/plan.hpp"

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "dln/cli/commands.hpp"
#include "dln/llm/probe.hpp"
#include "dln/train/trainer.hpp"

#include "cli/job_options.hpp"
#include "cli/ranks.hpp"
#include "cli/session.hpp"

namespace dln {
namespace {

struct PlanOptions {
    JobOptions job;
    bool measure = false;
};

void print_row(const char* name, const PlannedWork& work, std::int64_t times) {
    const PlannedWork all = work.times(times);
    fmt::print("{:<22} {:>6} {:>14} {:>14} {:>16} {:>16}\n", name, times, all.scoring_calls,
               all.generation_calls, all.context_tokens, all.generated_tokens);
}

void print_plan(const Plan& plan) {
    fmt::print("upper bounds; a row has the sums over all its times\n");
    fmt::print("{:<22} {:>6} {:>14} {:>14} {:>16} {:>16}\n", "", "times", "scoring calls",
               "generations", "context tokens", "new tokens");
    print_row("step", plan.step, plan.steps);
    print_row("dev evaluation", plan.dev, plan.dev_evaluations);
    print_row("test evaluation", plan.test, 1);
    print_row("total", plan.total(), 1);
    fmt::print("longest chain of dependent calls: {}\n", plan.longest_chain);
}

int run_plan(Communicator& comm, const PlanOptions& options) {
    Session session(
        comm, [&] { return read_job(options.job); }, {},
        [](Session& ready) { check_trainable(ready.job()); });
    session.start();
    if (comm.rank() != 0) return 0;
    const Plan plan =
        make_plan(session.job(), session.network(), session.splits(), session.backend());
    fmt::print("{}: {}\n", session.job().name, session.backend().info().description);
    print_plan(plan);
    if (options.measure) {
        const ProbeReport report = probe_backend(session.backend());
        const PlannedWork all = plan.total();
        const double seconds =
            static_cast<double>(all.scoring_calls) / report.scored_items_per_second +
            static_cast<double>(all.generated_tokens) / report.generated_tokens_per_second;
        fmt::print(
            "at {:.0f} items scored and {:.0f} tokens generated a second: about {:.0f} s on one "
            "rank\n",
            report.scored_items_per_second, report.generated_tokens_per_second, seconds);
    }
    return 0;
}

}  // namespace

void add_plan_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<PlanOptions>();
    CLI::App* command = app.add_subcommand(
        "plan", "Foretell calls, tokens and time of a job; nothing is trained or written");
    add_job_options(*command, options->job);
    command->add_flag("--measure", options->measure,
                      "Also measure the backend's speed with a few tokens and estimate the time");
    command->footer("Example:  dln plan jobs/quickstart.json --measure");
    command->callback([options, &chosen] {
        chosen = [options] {
            return run_on_ranks([&](Communicator& comm) { return run_plan(comm, *options); });
        };
    });
}

}  // namespace dln
