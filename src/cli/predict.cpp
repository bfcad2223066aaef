// dln predict: a network over JSON lines, with the same engine as training.

#include <cmath>
#include <memory>
#include <optional>
#include <span>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/cli/commands.hpp"
#include "dln/network/scores.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/evaluate.hpp"

#include "cli/job_options.hpp"
#include "cli/mop_predict.hpp"
#include "cli/mop_session.hpp"
#include "cli/predict_lines.hpp"
#include "cli/ranks.hpp"
#include "cli/session.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

struct PredictOptions {
    JobOptions job;
    std::string input = "-";
    std::string output = "-";
    std::string field = "input";
    bool latents = false;
    // of mixtures of prompts
    std::string task;
    int max_tokens = 64;
    double temperature = 0.0;
};

// What the network says, with the parameters and what its answers are calibrated by.
struct Predictor {
    NetworkParameters parameters;
    ClassLogProbs class_prior;  // kept with the parameters; empty: none
};

void annotate_classes(Json& object, const Network& network, const ClassLogProbs& classes) {
    object["output"] = network.classes()[predicted_class(classes)].name;
    Json probabilities = Json::object();
    for (std::size_t c = 0; c < classes.size(); ++c) {
        probabilities[network.classes()[c].name] = std::round(std::exp(classes[c]) * 1e6) / 1e6;
    }
    object["probabilities"] = std::move(probabilities);
}

// A line alone has no class prior of its own: what is kept with the prompts comes first.
ClassLogProbs prior_of(const Session& session,
                       const TaskGraph& graph,
                       const Predictor& predictor,
                       const std::vector<ClassLogProbs>& rows,
                       std::optional<TaskId> content_free) {
    const Network& network = session.network();
    if (!is_calibrated(network) || !predictor.class_prior.empty()) return predictor.class_prior;
    if (!content_free) {
        spdlog::warn(
            "no class prior is kept with these prompts, so that answers are calibrated by the mean "
            "over the {} lines: they depend on each other. Use the prompts of a run with a dev "
            "split",
            rows.size());
    }
    return class_prior_for(network, graph, rows, content_free);
}

// The lines to write, and how many of them failed.
struct Predicted {
    std::string text;
    std::size_t lines = 0;
    std::size_t failed = 0;
};

Predicted predict_lines(Session& session,
                        const Predictor& predictor,
                        std::size_t split,
                        Lines lines,
                        bool want_latents) {
    const Network& network = session.network();
    const Measure measure = network.has_classes() ? Measure::classes : Measure::correct;
    TaskGraph graph;
    const TaskId task = add_evaluation(graph, network,
                                       {.parameters = predictor.parameters,
                                        .measure = measure,
                                        .split = split,
                                        .examples = all_examples(session.splits()[split]),
                                        .step = 0,
                                        .want_texts = true},
                                       session.inputs());
    std::optional<TaskId> content_free;
    if (predictor.class_prior.empty()) {
        content_free = add_content_free(graph, network, predictor.parameters.back());
    }
    session.engine().run(graph);
    const TaskResult& result = graph.result(task);
    std::vector<std::string> texts;
    for (const auto& unit : result.texts) texts.insert(texts.end(), unit.begin(), unit.end());
    std::vector<ClassLogProbs> rows;
    if (network.has_classes()) rows = read_classes(network, result.table);
    const ClassLogProbs prior = prior_of(session, graph, predictor, rows, content_free);
    const std::size_t width = cells_an_example(measure, network.classes().size());
    const std::size_t depth = network.depth();
    Predicted out{.text = {}, .lines = lines.objects.size()};
    for (std::size_t i = 0; i < lines.objects.size(); ++i) {
        Json& object = lines.objects[i];
        const auto said = std::span(texts).subspan(i * depth, depth);
        if (result.table[(i + 1) * width - 1] == 0) {
            annotate_failure(object, said.back());
            ++out.failed;
        } else if (is_calibrated(network) && prior.empty()) {
            annotate_failure(object, "no content-free input could be scored: " +
                                         graph.result(*content_free).first_failure);
            ++out.failed;
        } else if (network.has_classes()) {
            annotate_classes(object, network, prior.empty() ? rows[i] : calibrated(rows[i], prior));
        } else {
            object["output"] = said.back();
        }
        if (want_latents && depth > 1 && !object["output"].is_null()) {
            object["latents"] = std::vector<std::string>(said.begin(), said.end() - 1);
        }
        out.text += object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    return out;
}

int run_network_predict(Communicator& comm, const Job& job, const PredictOptions& options) {
    Predictor predictor;
    Lines lines;
    const auto check = [&](Session& session) {
        check_output(options.output);
        predictor = {.parameters = read_parameters(options.job, session.job()),
                     .class_prior = read_class_prior(options.job, session.job())};
        lines = read_lines(options.input, options.field);
    };
    Session session(
        comm, [&job] { return job; }, {.train = false, .dev = false, .test = false}, check);
    const std::size_t split = session.add_split(lines.inputs);
    session.start(ModelsWanted::forward, {.embeddings_of_run = options.job.run_path});
    return session.run([&] {
        session.check_gates(predictor.parameters);
        const Predicted out =
            predict_lines(session, predictor, split, std::move(lines), options.latents);
        write_output(options.output, out.text);
        if (out.failed > 0) {
            spdlog::warn("{} of {} predictions failed; \"error\" in their lines says why",
                         out.failed, out.lines);
        }
        return static_cast<int>(out.failed == out.lines ? ExitCode::backend : ExitCode::complete);
    });
}

int run_predict(Communicator& comm, const PredictOptions& options) {
    const AnyJob job = share_any_job(comm, [&] { return read_any_job(options.job); });
    if (const auto* mixture = std::get_if<MopJob>(&job)) {
        return run_mop_predict(comm, *mixture,
                               {.run_dir = options.job.run_path,
                                .input = options.input,
                                .output = options.output,
                                .field = options.field,
                                .task = options.task,
                                .max_tokens = options.max_tokens,
                                .temperature = options.temperature});
    }
    return run_network_predict(comm, std::get<Job>(job), options);
}

}  // namespace

void add_predict_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<PredictOptions>();
    CLI::App* command = app.add_subcommand(
        "predict", "Run a network over JSON lines: one object in, one object out");
    add_network_options(*command, options->job);
    command->add_option("--input,-i", options->input, "JSON lines to read; - is standard input")
        ->capture_default_str();
    command->add_option("--output,-o", options->output, "File to write; - is standard output")
        ->capture_default_str();
    command->add_option("--field", options->field, "Field that holds the input")
        ->capture_default_str();
    command->add_flag("--latents", options->latents, "Also return what the hidden layers wrote");
    command
        ->add_option("--task", options->task,
                     "Mixtures of prompts: the task of lines without a field \"task\"")
        ->type_name("NAME");
    command
        ->add_option("--max-tokens", options->max_tokens,
                     "Mixtures of prompts: most tokens of a generated output")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command
        ->add_option("--temperature", options->temperature,
                     "Mixtures of prompts: 0 takes the most probable token")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    command->footer(
        "Each line keeps its fields and gains \"output\" and, in class jobs, \"probabilities\".\n"
        "Example:  echo '{\"input\": \"delightful\"}' | dln predict --run runs/quickstart");
    command->callback([options, &chosen] {
        chosen = [options] {
            return run_on_ranks([&](Communicator& comm) { return run_predict(comm, *options); });
        };
    });
}

}  // namespace dln
