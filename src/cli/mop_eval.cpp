#include "cli/mop_eval.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/mop/split_losses_json.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/train/evaluate.hpp"

#include "cli/mop_display.hpp"
#include "cli/mop_session.hpp"
#include "cli/ranks.hpp"

namespace dln {

mop::MopState read_trained_mixture(const std::string& run_dir, const MopJob& job) {
    const RunDirectory run(run_dir);
    if (!run.holds_run() || run.step_files().empty()) {
        throw UsageError(fmt::format(
            "{}: no mixture was trained here. Train one with dln train, or name its directory with "
            "--run.",
            run_dir));
    }
    const auto loaded = make_hdf5_store(run.steps_path(), "")->load_newest();
    if (!loaded || !mop::holds_mixture(loaded->file.document)) {
        throw UsageError(
            fmt::format("{}: holds the run of a network, not of a mixture of prompts", run_dir));
    }
    mop::MopState state = mop::read_mop_state(loaded->file.document);
    const nn::Matrix& prompts = state.parameters.prompts;
    const std::size_t wanted = job.mixture.experts * job.mixture.vectors;
    if (prompts.rows != wanted || state.parameters.b2.columns != job.mixture.experts) {
        throw UsageError(fmt::format(
            "{}: has {} experts and {} vectors in all, the job {} and {}. Expected the job that it "
            "was trained with.",
            run_dir, state.parameters.b2.columns, prompts.rows, job.mixture.experts, wanted));
    }
    return state;
}

int run_mop_eval(Communicator& comm,
                 const MopJob& job,
                 const std::string& run_dir,
                 std::size_t split,
                 bool json) {
    MopSession session(comm, job,
                       {.train = split == kTrainSplit || needs_training_texts(job),
                        .dev = split == kDevSplit,
                        .test = split == kTestSplit});
    mop::MopState state;
    (void)from_root(comm, [&]() -> std::string {
        state = read_trained_mixture(run_dir.empty() ? job.run_dir : run_dir, job);
        if (session.examples().at(split).empty()) {
            throw UsageError(fmt::format(
                "{}: no task has such a split. Choose another with --split.", job.path));
        }
        return {};
    });
    session.start();
    mop::MixtureRanks ranks = session.make_ranks();
    if (comm.rank() != 0) {
        ranks.serve();
        return 0;
    }
    const mop::SplitLosses losses = ranks.evaluate(mop::best_parameters(state), split);
    ranks.end();
    const mop::MixtureTexts& texts = session.texts().at(split);
    if (json) {
        fmt::print("{}\n", mop::split_losses_json(job, losses, texts).dump(2));
    } else {
        fmt::print("mixture of step {}\n{}", state.best ? state.best->step : state.steps_done,
                   describe(session.job(), losses, texts));
    }
    return 0;
}

}  // namespace dln
