// dln plan: what a job will cost, before any of it is paid for.

#include "dln/train/plan.hpp"

#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/cli/commands.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/nearest_examples.hpp"
#include "dln/train/trainer.hpp"

#include "cli/job_options.hpp"
#include "cli/plan_report.hpp"
#include "cli/ranks.hpp"
#include "cli/session.hpp"

namespace dln {
namespace {

struct CommandOptions {
    JobOptions job;
    bool measure = false;
    bool no_samples = false;
    bool json = false;
};

int plan_and_print(Session& session, const CommandOptions& options) {
    const Job& job = session.job();
    if (job.backward_backend && options.measure) {
        spdlog::warn("{}: --measure asks {} only: times are told as if {} were as fast", job.path,
                     kBackendPointer, kBackwardPointer);
    }
    const Plan plan =
        make_plan(job, session.network(), session.splits(), session.backend(), session.backward(),
                  {.samples_texts = !options.no_samples,
                   .engine = options.measure ? &session.engine() : nullptr});
    std::optional<PlanTiming> timing;
    if (options.measure) {
        const PlanSpeed speed = measure_speed(job, session.network(), session.splits(),
                                              session.backend(), plan.basis, session.comm().size());
        timing = PlanTiming{speed, time_of(plan, speed)};
    }
    if (options.json) {
        fmt::print("{}\n", plan_to_json(job, session.backend().info(), plan, timing).dump(2));
    } else {
        print_plan(job, session.backend().info(), plan, timing);
    }
    return 0;
}

// Embedding all inputs may be paid for, and a plan is not: random examples stand for the nearest ones.
Job read_planned_job(const CommandOptions& options, bool& shows_nearest) {
    Job job = read_job(options.job);
    shows_nearest = nearest_shown(job) > 0;
    if (shows_nearest) job.network.layers.back().few_shot_choice = FewShotChoice::random;
    return job;
}

void warn_of_embedding(const Session& session) {
    const Job& job = session.job();
    const DistinctTexts texts = distinct_texts(session.splits(), job.scoring.content_free_inputs);
    std::size_t bytes = 0;
    for (const std::string_view text : texts.texts) bytes += text.size();
    spdlog::warn(
        "{}: plans embed nothing: examples drawn at random stand for the nearest ones, and the "
        "run will embed {} texts of {} bytes by {}, which is in none of the numbers",
        job.path, grouped(static_cast<std::int64_t>(texts.texts.size())),
        grouped(static_cast<std::int64_t>(bytes)), kEmbeddingPointer);
}

void refuse_mixtures(const Job& job) {
    if (!has_mixtures(job)) return;
    throw UsageError(fmt::format(
        "{}: dln plan cannot foretell mixture layers yet. Plan the job with one expert a layer "
        "(--set /network/layers/<n>/mixture/experts=1), and count scores and proposals of a "
        "mixture layer as many times as it has experts.",
        job.path));
}

int run_plan(Communicator& comm, const CommandOptions& options) {
    bool shows_nearest = false;
    Session session(
        comm, [&] { return read_planned_job(options, shows_nearest); }, {},
        [&](Session& ready) {
            check_trainable(ready.job());
            refuse_mixtures(ready.job());
            check_examples_left(ready.job(), ready.network(), ready.splits()[kTrainSplit]);
            if (shows_nearest) warn_of_embedding(ready);
        });
    session.start(ModelsWanted::both);
    return session.run([&] { return plan_and_print(session, options); });
}

}  // namespace

void add_plan_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<CommandOptions>();
    CLI::App* command = app.add_subcommand(
        "plan",
        "Foretell requests, tokens, money and critical path of a job; nothing is trained or "
        "written");
    add_job_options(*command, options->job);
    command->add_flag("--measure", options->measure,
                      "Also measure speed and how much prompts differ, with some hundred requests");
    command->add_flag("--no-samples", options->no_samples,
                      "Let the model write no texts for the plan: lengths are the most allowed");
    command->add_flag("--json", options->json, "Print the plan as JSON");
    command->footer("Example:  dln plan jobs/quickstart.json --measure");
    command->callback([options, &chosen] {
        chosen = [options] {
            return run_on_ranks([&](Communicator& comm) { return run_plan(comm, *options); });
        };
    });
}

}  // namespace dln
