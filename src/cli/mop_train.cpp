// dln train of a mixture of prompts: starts, resumes, or says that the run is complete.

#include "cli/mop_train.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/job/differences.hpp"
#include "dln/mop/clients.hpp"
#include "dln/mop/trainer.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/train/evaluate.hpp"

#include "cli/mop_display.hpp"
#include "cli/mop_session.hpp"
#include "cli/ranks.hpp"
#include "cli/stop_signals.hpp"
#include "cli/text_file.hpp"
#include "cli/version.hpp"

namespace dln {
namespace {

// What differs between the job that a run was begun with, and `job`.
std::string differences_of_jobs(const std::string& begun, const MopJob& job) {
    try {
        const std::string lines = differences(
            mop_job_identity(mop_job_from_json(begun, "job.json")), mop_job_identity(job));
        return lines.empty() ? "  /tasks: the files have other content" : lines;
    } catch (const UsageError&) {
        return {};  // of another system, or written by another version of the program
    }
}

bool is_complete(const RunDirectory& run, const MopJob& job, std::int64_t pause_after) {
    const auto result = read_json_file(run.file("result.json"));
    if (!result.is_object()) return false;
    const auto done = result.value("steps_done", std::int64_t{-1});
    return done == job.train.steps || (pause_after > 0 && done >= pause_after);
}

void check_steps_left(const std::vector<std::int64_t>& done, const MopJob& job) {
    if (done.empty() || done.back() <= job.train.steps) return;
    throw UsageError(fmt::format(
        "{}: /train/steps: {}, but the run in {} has done {} steps. Expected at least {}, or "
        "another run_dir.",
        job.path, job.train.steps, job.run_dir, done.back(), done.back()));
}

void check_clients(const MopSession& session) {
    const MopJob& job = session.job();
    if (!job.federated) return;
    try {
        (void)mop::make_clients(session.task_of()[kTrainSplit], job.tasks.size(), *job.federated,
                                job.seed);
    } catch (const UsageError& error) {
        throw UsageError(fmt::format("{}: {}", job.path, error.what()));
    }
}

// Before the model is loaded. Returns whether nothing is left to do.
bool check_before(const MopSession& session, const Training& training) {
    const MopJob& job = session.job();
    const RunDirectory run(job.run_dir);
    if (!training.replay.empty()) {
        throw UsageError(fmt::format(
            "--replay {}: a mixture of prompts asks no server. Expected the command without it.",
            training.replay));
    }
    check_clients(session);
    run.check_is_free();
    run.check_belongs_to(session.hash(), [&job](const std::string& begun) {
        return differences_of_jobs(begun, job);
    });
    check_steps_left(make_hdf5_store(run.steps_path(), session.hash())->steps(), job);
    if (is_complete(run, job, training.pause_after)) return true;
    run.check_writable();
    return false;
}

int train_on_root(MopSession& session,
                  mop::MixtureRanks& ranks,
                  RunDirectory& run,
                  const Training& training) {
    const MopJob& job = session.job();
    const auto store = make_hdf5_store(run.steps_path(), session.hash());
    run.create(mop_job_to_json(job).dump(2) + "\n", session.hash(),
               {.forward = session.base().identity, .backward = {}, .embedding = {}});
    MopDisplay display(session, session.comm().size(), training.output);
    display.begin();
    StopSignals::defer();  // until here there was nothing that ending in order would save
    const mop::MopContext context{
        .job = job,
        .ranks = ranks,
        .shape = session.shape(),
        .splits = {&session.texts()[0], &session.texts()[1], &session.texts()[2]}};
    const TrainEnd end{.stop = [&training] { return stop_reason_of(training); },
                       .pause_after = training.pause_after};
    display.finished(
        mop::train_mixture(context, run, *store,
                           {.program_version = fmt::format("{} {}", kVersion, kGitRevision),
                            .job_hash = session.hash()},
                           display, end));
    return 0;
}

// Rank 0's part; the others are told to return whatever happens that they can be told of.
int run_root(MopSession& session, const Training& training) {
    RunDirectory run(session.job().run_dir);
    bool is_begun = false;
    mop::MixtureRanks ranks = session.make_ranks([] { return !StopSignals::received().empty(); },
                                                 [&] {
                                                     if (is_begun) run.keep_alive();
                                                     if (training.on_turn) training.on_turn();
                                                 });
    int code = 0;
    try {
        is_begun = true;
        code = train_on_root(session, ranks, run, training);
    } catch (const InternalError&) {
        throw;  // nothing is known of what the other ranks are doing
    } catch (const CommError&) {
        throw;  // nor whether they can be reached
    } catch (const Error& error) {
        if (training.failed) training.failed(error);
        fmt::print(stderr, "dln: {}\n", error.what());
        code = static_cast<int>(error.exit_code());
    }
    ranks.end();
    return code;
}

}  // namespace

int run_mop_training(Communicator& comm, const MopJob& job, const Training& training) {
    MopSession session(comm, job, {});
    const bool complete = from_root(comm, [&]() -> std::string {
                              return check_before(session, training) ? "1" : "0";
                          }) == "1";
    if (complete) {
        if (comm.rank() == 0) {
            fmt::print(training.output, "{}: complete after {} steps; results in {}/result.json\n",
                       job.name, job.train.steps, job.run_dir);
        }
        return 0;
    }
    session.start();
    if (comm.rank() == 0) return run_root(session, training);
    StopSignals::defer();
    session.make_ranks([] { return !StopSignals::received().empty(); }).serve();
    return 0;
}

}  // namespace dln
