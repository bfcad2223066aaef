// dln train: starts, resumes, or says that the run is complete.

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/cli/commands.hpp"
#include "dln/llm/probe.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/train/trainer.hpp"

#include "cli/job_options.hpp"
#include "cli/ranks.hpp"
#include "cli/session.hpp"
#include "cli/text_file.hpp"
#include "cli/train_display.hpp"
#include "cli/version.hpp"

namespace dln {
namespace {

// Whether the run in `run` has done all steps of the job and has its results. When the model goes by another
// name now, only loading it tells whether it is the same one.
bool is_complete(const RunDirectory& run, const Job& job) {
    const auto result = read_json_file(run.file("result.json"));
    const auto begun = read_json_file(run.file("job.json"));
    if (!result.is_object() || !begun.is_object() || !begun.contains("backend")) return false;
    return result.value("steps_done", std::int64_t{-1}) == job.train.steps &&
           begun["backend"].value("model", "") == job.backend.model &&
           begun["backend"].value("replies", "") == job.backend.replies;
}

// Steps can be added to a run, not taken away.
void check_steps_left(const RunDirectory& run, const std::string& hash, const Job& job) {
    const std::vector<std::int64_t> done = make_hdf5_store(run.steps_path(), hash)->steps();
    if (done.empty() || done.back() <= job.train.steps) return;
    throw UsageError(fmt::format(
        "{}: /train/steps: {}, but the run in {} has done {} steps: it was extended, or the job "
        "asks "
        "for fewer now. Expected at least {}: write that into the job file, or add --set "
        "/train/steps={}. For a shorter run give another run_dir.",
        job.path, job.train.steps, job.run_dir, done.back(), done.back(), done.back()));
}

// Probes the backend before anything is spent on it; returns its noise floor.
double probe_before_training(Backend& backend) {
    const ProbeReport report = probe_backend(backend);
    for (const ProbeCheck& check : report.checks) {
        spdlog::debug("probe: {}: {} ({})", check.name, check.ok ? "yes" : "no", check.detail);
        if (check.ok) continue;
        if (check.name == "scores do not depend on their company") {
            spdlog::warn("{}", check.detail);
        } else {
            throw BackendError(
                fmt::format("{}: {}: no. {}", report.info.model, check.name, check.detail));
        }
    }
    return report.noise_floor;
}

int train_on_root(Session& session, const std::string& hash) {
    const Job& job = session.job();
    RunDirectory run(job.run_dir);
    const auto store = make_hdf5_store(run.steps_path(), hash);
    const bool is_new = !run.holds_run();
    // The floor is part of the state: a resumed run takes it from its step file.
    const double noise_floor =
        is_new || store->steps().empty() ? probe_before_training(session.backend()) : 0.0;
    run.create(job_to_json(job).dump(2) + "\n", hash, session.backend().info().model);
    const BatchSampler batches =
        make_batches(job, session.network(), session.splits()[kTrainSplit]);
    const Proposer proposer(job.train.proposals);
    const TrainContext context{.job = job,
                               .network = session.network(),
                               .splits = session.splits(),
                               .engine = session.engine(),
                               .backend = session.backend(),
                               .batches = batches,
                               .proposer = proposer};
    TrainDisplay display(job, session.comm().size());
    display.begin(session.backend().info().description, session.splits()[kTrainSplit].size(),
                  session.splits()[kDevSplit].size(), session.splits()[kTestSplit].size());
    const StepHeader header{.program_version = fmt::format("{} {}", kVersion, kGitRevision),
                            .job_hash = hash};
    display.finished(train(context, run, *store, header, noise_floor, display));
    return 0;
}

void check_examples_left(const Session& session) {
    const std::size_t shown = session.network().few_shot_examples().size();
    const std::size_t all = session.splits()[kTrainSplit].size();
    if (shown < all) return;
    throw UsageError(fmt::format(
        "{}: /network/layers/{}/few_shot: {} shows all {} training examples; none is left "
        "to train on. Expected fewer than {}.",
        session.job().path, session.network().depth() - 1, shown, all, all));
}

int run_train(Communicator& comm, const JobOptions& options) {
    std::string hash;
    bool complete = false;
    const auto check = [&](Session& session) {
        check_trainable(session.job());
        check_examples_left(session);
        const RunDirectory run(session.job().run_dir);
        hash = session.hash();
        run.check_is_free();
        run.check_belongs_to(hash);
        check_steps_left(run, hash, session.job());
        complete = is_complete(run, session.job());
        if (complete) return;
        run.check_writable();
        check_budget_left(session.job(), run, *make_hdf5_store(run.steps_path(), hash));
    };
    Session session(
        comm, [&] { return read_job(options); }, {}, check);
    complete = comm.broadcast(complete ? "1" : "0") == "1";
    if (complete) {
        if (comm.rank() == 0) {
            fmt::print("{}: complete after {} steps; results in {}/result.json\n",
                       session.job().name, session.job().train.steps, session.job().run_dir);
        }
        return 0;
    }
    session.start(true);
    return session.run([&] { return train_on_root(session, hash); });
}

}  // namespace

void add_train_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<JobOptions>();
    CLI::App* command =
        app.add_subcommand("train", "Train a network: start, resume, or report completion");
    add_job_options(*command, *options);
    command->footer(
        "The same command resumes an interrupted run, on any number of ranks.\n"
        "Example:  mpirun -n 2 dln train jobs/quickstart.json --set /seed=2");
    command->callback([options, &chosen] {
        chosen = [options] {
            return run_on_ranks([&](Communicator& comm) { return run_train(comm, *options); });
        };
    });
}

}  // namespace dln
