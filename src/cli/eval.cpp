// dln eval: how good given prompts are on a split.

#include <cmath>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "dln/cli/commands.hpp"
#include "dln/text/utf8.hpp"

#include "cli/job_options.hpp"
#include "cli/mop_eval.hpp"
#include "cli/mop_session.hpp"
#include "cli/ranks.hpp"
#include "cli/session.hpp"
#include "cli/shown_parameters.hpp"
#include "cli/train_display.hpp"

namespace dln {
namespace {

struct EvalOptions {
    JobOptions job;
    std::string split = "test";
    bool json = false;
};

std::size_t split_index(const std::string& name) {
    if (name == "train") return kTrainSplit;
    return name == "dev" ? kDevSplit : kTestSplit;
}

std::string class_prior_text(const Network& network, const ClassLogProbs& prior) {
    std::string text;
    for (std::size_t c = 0; c < prior.size(); ++c) {
        text += fmt::format("{}{} {:.4f}", text.empty() ? "" : ", ",
                            printable(network.classes()[c].name, 60), std::exp(prior[c]));
    }
    return text;
}

int run_network_eval(Communicator& comm, const Job& job, const EvalOptions& options) {
    NetworkParameters parameters;
    const std::size_t split = split_index(options.split);
    const auto check = [&](Session& session) {
        parameters = read_parameters(options.job, session.job());
        if (session.splits()[split].empty()) {
            throw UsageError(
                fmt::format("{}: the job has no {} split. Add /data/{} or choose another "
                            "with --split.",
                            session.job().path, options.split, options.split));
        }
    };
    Session session(
        comm, [&job] { return job; },
        {.train = split == kTrainSplit, .dev = split == kDevSplit, .test = split == kTestSplit},
        check);
    session.start(ModelsWanted::forward, {.embeddings_of_run = options.job.run_path});
    return session.run([&] {
        session.check_gates(parameters);
        const Evaluation evaluation =
            evaluate_split(session.engine(), session.network(), session.splits(), split,
                           {parameters}, 0, session.inputs())
                .front();
        for (std::size_t l = 0; l < parameters.size(); ++l) {
            const LayerSpec& layer = session.network().layer(l);
            for (std::size_t e = 0; e < expert_count(parameters[l]); ++e) {
                const LayerParameters expert = expert_of(parameters[l], e);
                fmt::print(
                    "{}: {}\n", prompt_label(parameters[l], l, e),
                    shown_parameters(expert, layer.templates[expert.template_index].name, 400));
            }
        }
        fmt::print("{}: {}\n", options.split, describe(evaluation));
        if (!evaluation.class_log_prior.empty()) {
            fmt::print("class prior: {}\n",
                       class_prior_text(session.network(), evaluation.class_log_prior));
        }
        if (evaluation.failures > 0) {
            spdlog::warn("{} requests failed and count as wrong; the first: {}",
                         evaluation.failures, printable(evaluation.first_failure));
        }
        // Nothing measured is no result; a split is never empty here.
        return static_cast<int>(evaluation.measured == 0 ? ExitCode::backend : ExitCode::complete);
    });
}

int run_eval(Communicator& comm, const EvalOptions& options) {
    const AnyJob job = share_any_job(comm, [&] { return read_any_job(options.job); });
    if (const auto* mixture = std::get_if<MopJob>(&job)) {
        return run_mop_eval(comm, *mixture, options.job.run_path, split_index(options.split),
                            options.json);
    }
    return run_network_eval(comm, std::get<Job>(job), options);
}

}  // namespace

void add_eval_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<EvalOptions>();
    CLI::App* command = app.add_subcommand(
        "eval", "Evaluate prompts on a split: accuracy with 95 % interval, log-likelihood");
    add_network_options(*command, options->job);
    command->add_option("--split", options->split, "Which split")
        ->check(CLI::IsMember({"train", "dev", "test"}))
        ->capture_default_str();
    command->add_flag("--json", options->json, "Print JSON (mixtures of prompts)");
    command->footer(
        "Examples:  dln eval jobs/quickstart.json --split dev     (the job's initial prompts)\n"
        "           dln eval --run runs/quickstart                (the trained ones)");
    command->callback([options, &chosen] {
        chosen = [options] {
            return run_on_ranks([&](Communicator& comm) { return run_eval(comm, *options); });
        };
    });
}

}  // namespace dln
