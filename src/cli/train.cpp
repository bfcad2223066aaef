// dln train: starts, resumes, or says that the run is complete.

#include "cli/train.hpp"

#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/cli/commands.hpp"
#include "dln/job/differences.hpp"
#include "dln/llm/probe.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/train/trainer.hpp"

#include "cli/alternatives.hpp"
#include "cli/job_options.hpp"
#include "cli/mop_session.hpp"
#include "cli/mop_train.hpp"
#include "cli/ranks.hpp"
#include "cli/session.hpp"
#include "cli/stop_signals.hpp"
#include "cli/text_file.hpp"
#include "cli/train_display.hpp"
#include "cli/version.hpp"

namespace dln {
namespace {

struct TrainOptions {
    JobOptions job;
    std::string replay;      // directory of the run to replay; empty: none
    double max_hours = 0.0;  // 0: none
};

// Whether the run in `run` has done all steps of the job, or those after which it was to pause, and has its
// results. When the model goes by another
// name now, only loading it tells whether it is the same one.
bool is_complete(const RunDirectory& run, const Job& job, std::int64_t pause_after) {
    const auto result = read_json_file(run.file("result.json"));
    const auto begun = read_json_file(run.file("job.json"));
    if (!result.is_object() || !begun.is_object() || !begun.contains("backend")) return false;
    const auto names = [](const nlohmann::json& backend, const BackendSpec& spec) {
        return backend.value("model", "") == spec.model &&
               backend.value("replies", "") == spec.replies;
    };
    const auto done = result.value("steps_done", std::int64_t{-1});
    return (done == job.train.steps || (pause_after > 0 && done >= pause_after)) &&
           names(begun["backend"], job.backend) &&
           (!job.backward_backend ||
            names(begun.value("backward_backend", nlohmann::json::object()),
                  *job.backward_backend));
}

// What differs between the job that a run was begun with, and `job`.
std::string differences_of_jobs(const std::string& begun, const Job& job) {
    try {
        const std::string lines =
            differences(job_identity(job_from_json(begun, "job.json")), job_identity(job));
        return lines.empty() ? "  /data: the files have other content" : lines;
    } catch (const UsageError&) {
        return {};  // written by another version of the program
    }
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

void refuse_unless_usable(const ProbeReport& report) {
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
}

// What `probe` finds out of the backend behind `spec`; throws when that is of no use, with `remedy` at the end.
ProbeReport probe_or_refuse(const std::function<ProbeReport()>& probe,
                            const BackendSpec& spec,
                            const BackendPlace& place,
                            const std::string& remedy = {}) {
    ProbeReport report;
    try {
        report = probe();
        refuse_unless_usable(report);
    } catch (const BackendError& error) {
        throw with_alternative(BackendError(error.what() + remedy), report, spec, place);
    }
    // Only servers are paid.
    if (spec.kind != BackendKind::http) report.used = {};
    return report;
}

// Probes the backends before anything else is spent on them. Of the backward model it must only be known whether
// it can score, and that only where it will have to.
ProbedBackend probe_before_training(Session& session) {
    const Job& job = session.job();
    ProbedBackend probed;
    if (job.backward_backend && scores_samples(job)) {
        probed.backward_used =
            probe_or_refuse([&] { return check_scores_belong(session.backward()); },
                            *job.backward_backend, {job.path, kBackwardPointer},
                            ". /train/posterior/log_q needs scores of the backward model: "
                            "without it any server will do")
                .used;
    }
    const ProbeReport report = probe_or_refuse([&] { return probe_backend(session.backend()); },
                                               job.backend, {job.path, kBackendPointer});
    probed.noise_floor = report.noise_floor;
    probed.used = report.used;
    probed.used += probed.backward_used;
    return probed;
}

// Only http has what a replay needs: a journal, and what the servers said of themselves.
void check_replayable(const Job& job, const std::string& replay) {
    if (!has_journal(job)) {
        throw UsageError(
            fmt::format("--replay {}: /backend/kind is not \"http\". Expected a job whose model "
                        "servers' replies are in a journal; other backends compute again.",
                        replay));
    }
    const RunDirectory run(replay);
    std::error_code failure;
    if (std::filesystem::equivalent(replay, job.run_dir, failure)) {
        throw UsageError(fmt::format(
            "--replay {}: is the job's own run_dir. Expected another one for the replay: --set "
            "/run_dir=...",
            replay));
    }
    const auto check_facts = [&](const BackendSpec& spec, const char* name) {
        const bool holds_run = run.holds_run();
        if (holds_run && (spec.kind != BackendKind::http || read_text_file(run.file(name)))) return;
        throw UsageError(fmt::format(
            "--replay {}: {}. Expected the run_dir of a run with model servers, by a dln that "
            "keeps what they said of themselves.",
            replay, holds_run ? fmt::format("there is no {}", name) : "there is no run"));
    };
    check_facts(job.backend, kServerFile);
    if (job.backward_backend) check_facts(*job.backward_backend, kBackwardServerFile);
    if (embeds_by_servers(job)) {
        check_facts(backend_of(*job.embedding), kEmbeddingServerFile);
    }
}

// As the replayed run measured it: it decides which differences between candidates count.
double replayed_noise_floor(const std::string& replay) {
    const RunDirectory run(replay);
    std::string why = "there is none";
    for (const std::string& path : run.step_files()) {
        try {
            return read_state(read_step_file(path).document).noise_floor;
        } catch (const CheckpointError& error) {
            why = error.what();
        }
    }
    throw UsageError(
        fmt::format("--replay {}: its noise floor is in its step files, and none can be read: {}",
                    replay, why));
}

// Lets whoever started the run have a turn as well.
class TurnedDisplay : public TrainDisplay {
  public:
    TurnedDisplay(const Job& job, int ranks, const Training& training)
        : TrainDisplay(job, ranks, training.output), on_turn_(training.on_turn) {}
    void progressed(const TrainState& state, const EngineProgress& progress) override {
        TrainDisplay::progressed(state, progress);
        if (on_turn_) on_turn_();
    }

  private:
    const std::function<void()>& on_turn_;
};

int train_on_root(Session& session, const std::string& hash, const Training& training) {
    const Job& job = session.job();
    const std::string& replay = training.replay;
    RunDirectory run(job.run_dir);
    const auto store = make_hdf5_store(run.steps_path(), hash);
    const bool is_new = !run.holds_run();
    // The floor is part of the state: a resumed run takes it from its step file.
    ProbedBackend probed;
    if (is_new || store->steps().empty()) {
        probed = replay.empty() ? probe_before_training(session)
                                : ProbedBackend{.noise_floor = replayed_noise_floor(replay)};
    }
    // What a server was paid for embeddings belongs to the run that they were made for.
    const std::optional<EmbeddedInputs>& embedded = session.embedded_inputs();
    if (embedded && embeds_by_servers(job)) probed.used += embedded->usage;
    const BackendInfo& info = session.backend().info();
    const BackendInfo& backward = session.backward().info();
    const bool has_backward = job.backward_backend.has_value();
    run.create(job_to_json(job).dump(2) + "\n", hash,
               {.forward = info.model,
                .backward = has_backward ? backward.model : std::string(),
                .embedding = embedded ? embedded->info.model : std::string()});
    if (replay.empty()) {
        if (!info.facts.empty()) run.write_file(kServerFile, info.facts);
        if (has_backward && !backward.facts.empty()) {
            run.write_file(kBackwardServerFile, backward.facts);
        }
        if (embedded && !embedded->info.facts.empty()) {
            run.write_file(kEmbeddingServerFile, embedded->info.facts);
        }
    }
    const BatchSampler batches =
        make_batches(job, session.network(), session.splits()[kTrainSplit]);
    const Proposer proposer(job.train.proposals);
    const PosteriorSampler posterior(job.train.posterior);
    const TrainContext context{.job = job,
                               .network = session.network(),
                               .splits = session.splits(),
                               .engine = session.engine(),
                               .backward = session.backward(),
                               .batches = batches,
                               .proposer = proposer,
                               .posterior = posterior,
                               .inputs = session.inputs()};
    TurnedDisplay display(job, session.comm().size(), training);
    display.begin(info.description, has_backward ? backward.description : std::string(),
                  session.splits()[kTrainSplit].size(), session.splits()[kDevSplit].size(),
                  session.splits()[kTestSplit].size());
    if (embedded) display.embeds_by(embedded->info.description);
    display.holds(session.replies_held());
    const StepHeader header{.program_version = fmt::format("{} {}", kVersion, kGitRevision),
                            .job_hash = hash};
    StopSignals::defer();  // until here there was nothing that ending in order would save
    display.finished(train(context, run, *store, header, probed, display,
                           {.stop = [&training] { return stop_reason_of(training); },
                            .pause_after = training.pause_after}));
    return 0;
}

int run_network_training(Communicator& comm, const Job& job, const Training& training) {
    std::string hash;
    bool complete = false;
    const auto check = [&](Session& session) {
        check_trainable(session.job());
        check_examples_left(session.job(), session.network(), session.splits()[kTrainSplit]);
        const RunDirectory run(session.job().run_dir);
        hash = session.hash();
        if (!training.replay.empty()) check_replayable(session.job(), training.replay);
        run.check_is_free();
        run.check_belongs_to(hash, [&session](const std::string& begun) {
            return differences_of_jobs(begun, session.job());
        });
        check_steps_left(run, hash, session.job());
        complete = is_complete(run, session.job(), training.pause_after);
        if (complete) return;
        run.check_writable();
        check_budget_left(session.job(), run, *make_hdf5_store(run.steps_path(), hash));
    };
    Session session(
        comm, [&job] { return job; }, {}, check);
    complete = comm.broadcast(complete ? "1" : "0") == "1";
    if (complete) {
        if (comm.rank() == 0) {
            fmt::print(training.output, "{}: complete after {} steps; results in {}/result.json\n",
                       session.job().name, session.job().train.steps, session.job().run_dir);
        }
        return 0;
    }
    session.start(ModelsWanted::both,
                  {.keeps_replies = training.replay.empty(),
                   .replayed_run = training.replay,
                   .shared_journal = training.shared_journal},
                  training.share);
    if (comm.rank() != 0) {
        session.engine().ask_to_halt_when(StopSignals::received);
        StopSignals::defer();
    }
    return session.run(
        [&] {
            try {
                return train_on_root(session, hash, training);
            } catch (const Error& error) {
                if (training.failed) training.failed(error);
                throw;
            }
        },
        training.output);
}

}  // namespace

std::string stop_reason_of(const Training& training) {
    std::string reason = stop_reason(training.stop_time);
    if (reason.empty() && training.told_to_stop) reason = training.told_to_stop();
    return reason;
}

int run_training(Communicator& comm, const Training& training) {
    const AnyJob job = share_any_job(comm, training.read);
    if (const auto* mixture = std::get_if<MopJob>(&job)) {
        return run_mop_training(comm, *mixture, training);
    }
    return run_network_training(comm, std::get<Job>(job), training);
}

void add_train_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<TrainOptions>();
    CLI::App* command =
        app.add_subcommand("train", "Train a network: start, resume, or report completion");
    add_job_options(*command, options->job);
    command->add_option("--replay", options->replay,
                        "Take all replies of model servers from the journal of this run "
                        "directory; nothing is sent");
    add_max_hours(*command, options->max_hours);
    command->footer(
        "The same command, with every --set, resumes an interrupted run, on any number of ranks.\n"
        "SIGUSR1, SIGTERM and SIGINT make it stop in order, and so does the end of its Slurm job "
        "a\n"
        "minute before: exit code 75, submit again.\n"
        "Example:  mpirun -n 2 dln train jobs/quickstart.json --set /seed=2\n"
        "Replay:   dln train jobs/nav.json --set /run_dir=../runs/again --replay runs/nav");
    command->callback([options, &chosen] {
        chosen = [options] {
            const StopSignals signals;  // before MPI starts: from then on signals are forwarded
            return run_on_ranks([&](Communicator& comm) {
                return run_training(comm, {.read = [&] { return read_any_job(options->job); },
                                           .replay = options->replay,
                                           .stop_time = StopTime(options->max_hours)});
            });
        };
    });
}

}  // namespace dln
