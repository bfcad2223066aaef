// dln predict: a network over JSON lines, with the same engine as training.

#include <cmath>
#include <fstream>
#include <iostream>
#include <memory>
#include <span>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/cli/commands.hpp"
#include "dln/comm/fixed_point.hpp"
#include "dln/network/scores.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/evaluate.hpp"

#include "cli/job_options.hpp"
#include "cli/ranks.hpp"
#include "cli/session.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestCause = 400;

struct PredictOptions {
    JobOptions job;
    std::string input = "-";
    std::string output = "-";
    std::string field = "input";
    bool latents = false;
};

// The lines as they came, and their inputs as a split.
struct Lines {
    std::vector<Json> objects;
    Dataset inputs;
};

std::string input_text(const std::string& path) {
    if (path != "-") {
        auto text = read_text_file(path);
        if (!text) throw UsageError(fmt::format("{}: cannot be read", path));
        return std::move(*text);
    }
    std::ostringstream text;
    text << std::cin.rdbuf();
    return std::move(text).str();
}

Lines read_lines(const PredictOptions& options) {
    const std::string text = input_text(options.input);
    const std::string name = options.input == "-" ? "standard input" : options.input;
    Lines lines;
    std::istringstream stream(text);
    std::string line;
    for (std::size_t number = 1; std::getline(stream, line); ++number) {
        if (trim(line).empty()) continue;
        Json object = Json::parse(line, nullptr, false);
        if (object.is_discarded() || !object.is_object()) {
            throw UsageError(
                fmt::format("{}:{}: not a JSON object: {}. Expected a line like "
                            "{{\"{}\": \"...\"}}",
                            name, number, printable(line, 60), options.field));
        }
        if (!object.contains(options.field) || !object[options.field].is_string()) {
            throw UsageError(fmt::format("{}:{}: no text field \"{}\". Name the field with --field",
                                         name, number, options.field));
        }
        lines.inputs.add(object[options.field].get<std::string>(), "");
        lines.objects.push_back(std::move(object));
    }
    if (lines.objects.empty()) throw UsageError(fmt::format("{}: no line to predict", name));
    return lines;
}

// Adds what the network said to the line's object.
void annotate(Json& object,
              const Network& network,
              std::span<const std::int64_t> cells,
              std::span<const std::string> texts,
              bool want_latents) {
    if (cells.back() == 0) {
        object["output"] = nullptr;
        object["error"] = printable(texts.back(), kLongestCause);
        return;
    }
    if (network.has_classes()) {
        std::vector<double> raw;
        for (const std::int64_t cell : cells.first(cells.size() - 1)) {
            raw.push_back(from_fixed_point(cell));
        }
        object["output"] = network.classes()[predicted_class(raw)].name;
        Json probabilities = Json::object();
        const std::vector<double> normalised = normalise_classes(raw);
        for (std::size_t c = 0; c < normalised.size(); ++c) {
            probabilities[network.classes()[c].name] =
                std::round(std::exp(normalised[c]) * 1e6) / 1e6;
        }
        object["probabilities"] = std::move(probabilities);
    } else {
        object["output"] = texts.back();
    }
    if (want_latents && texts.size() > 1) {
        object["latents"] = std::vector<std::string>(texts.begin(), texts.end() - 1);
    }
}

// The lines to write, and how many of them failed.
struct Predicted {
    std::string text;
    std::size_t lines = 0;
    std::size_t failed = 0;
};

Predicted predict_lines(Session& session,
                        const NetworkParameters& parameters,
                        std::size_t split,
                        Lines lines,
                        bool latents) {
    const Network& network = session.network();
    const Measure measure = network.has_classes() ? Measure::classes : Measure::correct;
    TaskGraph graph;
    const std::vector<std::uint64_t> examples = all_examples(session.splits()[split]);
    const TaskId task = add_evaluation(graph, network,
                                       {.parameters = parameters,
                                        .measure = measure,
                                        .split = split,
                                        .examples = examples,
                                        .step = 0,
                                        .want_texts = true});
    session.engine().run(graph);
    const TaskResult& result = graph.result(task);
    std::vector<std::string> texts;
    for (const auto& unit : result.texts) texts.insert(texts.end(), unit.begin(), unit.end());
    const std::size_t width = cells_an_example(measure, network.classes().size());
    const std::size_t depth = network.depth();
    Predicted out{.text = {}, .lines = lines.objects.size()};
    for (std::size_t i = 0; i < lines.objects.size(); ++i) {
        const auto cells = std::span(result.table).subspan(i * width, width);
        if (cells.back() == 0) ++out.failed;
        annotate(lines.objects[i], network, cells, std::span(texts).subspan(i * depth, depth),
                 latents);
        out.text += lines.objects[i].dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    return out;
}

int run_predict(Communicator& comm, const PredictOptions& options) {
    NetworkParameters parameters;
    Lines lines;
    const auto check = [&](Session& session) {
        parameters = read_parameters(options.job, session.job());
        lines = read_lines(options);
    };
    Session session(
        comm, [&] { return read_job(options.job); }, {.train = false, .dev = false, .test = false},
        check);
    const std::size_t split = session.add_split(lines.inputs);
    session.start();
    return session.run([&] {
        const Predicted out =
            predict_lines(session, parameters, split, std::move(lines), options.latents);
        if (options.output == "-") {
            fmt::print("{}", out.text);
        } else {
            durable_write(options.output, out.text);
        }
        if (out.failed > 0) {
            spdlog::warn("{} of {} predictions failed; \"error\" in their lines says why",
                         out.failed, out.lines);
        }
        return static_cast<int>(out.failed == out.lines ? ExitCode::backend : ExitCode::complete);
    });
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
