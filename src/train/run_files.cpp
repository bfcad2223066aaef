#include "train/run_files.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/prompts_file.hpp"

#include "train/run_spending.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kClassLogPrior = "class_log_prior";

// Prompts come from job files, which are valid UTF-8, and from models, whose replies were made so; an
// invalid byte that got here all the same must not cost the run.
std::string dump(const Json& value, int indent) {
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json layer_json(const LayerSpec& spec, const LayerParameters& parameters) {
    Json layer;
    layer["prompt"] = parameters.prompt;
    layer["template"] = spec.templates[parameters.template_index].name;
    for (std::size_t w = 0; w < spec.words.size(); ++w) {
        layer["words"][spec.words[w].name] = parameters.words.at(w);
    }
    return layer;
}

// The first expert of a mixture layer stands where other layers have their prompt, all of them below "experts".
Json layers_json(const Job& job, const NetworkParameters& parameters) {
    Json layers = Json::array();
    for (std::size_t l = 0; l < parameters.size(); ++l) {
        const LayerSpec& spec = job.network.layers[l];
        Json& layer = layers.emplace_back(layer_json(spec, parameters[l]));
        if (parameters[l].others.empty()) continue;
        for (const LayerParameters& expert : experts_of(parameters[l])) {
            layer["experts"].push_back(layer_json(spec, expert));
        }
    }
    return layers;
}

// What predicting needs beside the prompts.
void add_gates(const NetworkParameters& parameters, Json& layers) {
    for (std::size_t l = 0; l < parameters.size(); ++l) {
        const Gate& gate = parameters[l].gate;
        if (!gate.is_fitted()) continue;
        layers[l]["gate"] = {{"bias", gate.bias}, {"weights", gate.weights}};
    }
}

Json dev_json(const DevResult& dev) {
    return {{"examples", dev.examples},
            {"accuracy", dev.accuracy()},
            {"log_likelihood", dev.log_likelihood()}};
}

Json evaluation_json(const Evaluation& evaluation) {
    Json json{{"examples", evaluation.examples}, {"failures", evaluation.failures}};
    if (evaluation.has_accuracy) {
        const Interval interval = wilson_interval(evaluation.right, evaluation.examples);
        json["accuracy"] = evaluation.accuracy();
        json["accuracy_95"] = {interval.low, interval.high};
    }
    if (evaluation.has_log_likelihood) json["log_likelihood"] = evaluation.log_likelihood();
    return json;
}

// An evaluation with what comparing it example by example with that of another run takes: '1' for each
// example that was answered right, else '0', in the order of the data file.
Json paired_json(const Evaluation& evaluation) {
    Json json = evaluation_json(evaluation);
    json["measured"] = evaluation.measured;
    if (!evaluation.has_accuracy) return json;
    std::string right;
    for (const bool is_right : evaluation.right_by_example) right += is_right ? '1' : '0';
    json["right"] = std::move(right);
    return json;
}

Json calls_json(const BackendCounts& counts) {
    Json json;
    for (const BackendCountField& field : backend_count_fields()) {
        json[field.name] = counts.*field.member;
    }
    return json;
}

UsageError fault(const std::string& path, const std::string& why) {
    return UsageError(fmt::format("{}: {}", path, why));
}

Json parse_file(const std::string& text, const std::string& path) {
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded() || !json.is_object() || !json.contains("layers") ||
        !json["layers"].is_array()) {
        throw fault(path, "not a prompts file (an object with \"layers\"); dln train writes one");
    }
    return json;
}

// The words in a layer of a prompts file, which `place` names.
std::vector<std::string> parse_words(const Json& layer,
                                     const std::string& place,
                                     const LayerSpec& spec) {
    const Json given = layer.value("words", Json::object());
    std::vector<std::string> names;
    std::vector<std::string> words;
    for (const WordSpec& word : spec.words) {
        names.push_back(word.name);
        if (!given.is_object() || !given.contains(word.name) || !given[word.name].is_string()) {
            throw UsageError(
                fmt::format("{}/words/{}: missing or no text. Expected the word that "
                            "the job's templates show as {{{{word.{}}}}}",
                            place, word.name, word.name));
        }
        words.push_back(given[word.name].get<std::string>());
    }
    for (const auto& [name, value] : given.items()) {
        if (std::ranges::find(names, name) != names.end()) continue;
        throw UsageError(fmt::format("{}/words/{}: the job's layer has no such word", place,
                                     printable(name, 60)));
    }
    return words;
}

// The gate in a layer of a prompts file, which `place` names; none: it was not fitted yet.
Gate parse_gate(const Json& layer, const std::string& place, std::size_t experts) {
    if (!layer.contains("gate")) return {};
    const auto numbers = [&](const char* name) {
        const Json list = layer["gate"].is_object() ? layer["gate"].value(name, Json()) : Json();
        const auto is_number = [](const Json& value) { return value.is_number(); };
        if (!list.is_array() || !std::ranges::all_of(list, is_number)) {
            throw UsageError(fmt::format(
                "{}/gate/{}: no list of numbers. Expected what dln train wrote", place, name));
        }
        return list.get<std::vector<double>>();
    };
    Gate gate{.bias = numbers("bias"), .weights = numbers("weights")};
    if (gate.bias.size() != experts || gate.weights.size() % experts != 0) {
        throw UsageError(fmt::format(
            "{}/gate: {} numbers in \"bias\" and {} in \"weights\" for {} experts. Expected one "
            "each in the first, and as many for each in the second",
            place, gate.bias.size(), gate.weights.size(), experts));
    }
    return gate;
}

}  // namespace

const NetworkParameters& best_parameters(const TrainState& state) {
    return state.best.empty() ? state.current : state.best.front().parameters;
}

std::string metrics_line(std::int64_t step, std::string_view split, const DevResult& result) {
    Json line{{"step", step}, {"split", split}};
    line.update(dev_json(result));
    return dump(line, -1);
}

std::string metrics_line(std::int64_t step, std::string_view split, const Evaluation& result) {
    Json line{{"step", step}, {"split", split}};
    line.update(evaluation_json(result));
    return dump(line, -1);
}

std::string prompts_json(const Job& job, const TrainState& state) {
    Json json{{"format", 1},
              {"job", job.name},
              {"steps_done", state.steps_done},
              {"layers", layers_json(job, best_parameters(state))}};
    add_gates(best_parameters(state), json["layers"]);
    if (!state.best.empty()) {
        const DevResult& dev = state.best.front().dev;
        json["dev"] = dev_json(dev);
        for (std::size_t c = 0; c < dev.class_log_prior.size(); ++c) {
            json[kClassLogPrior][job.classes[c].name] = dev.class_log_prior[c];
        }
    }
    return dump(json, 2) + "\n";
}

std::string result_json(const Job& job, const TrainOutcome& outcome) {
    Json json{{"format", 1},
              {"job", job.name},
              {"steps_done", outcome.state.steps_done},
              {"layers", layers_json(job, outcome.parameters)}};
    if (!outcome.state.best.empty()) json["dev"] = dev_json(outcome.state.best.front().dev);
    if (outcome.test) {
        json["test"] = paired_json(*outcome.test);
        json["test"]["data_sha256"] = outcome.test_data;
        json["test_initial"] = paired_json(*outcome.test_initial);
        json["gain"] = {{"only_initial_right", outcome.gain.only_first},
                        {"only_trained_right", outcome.gain.only_second},
                        {"p_value", outcome.gain.p_value}};
    }
    // Of training; the evaluations on test are not in it, but in `spent`.
    const Usage& usage = outcome.state.usage;
    json["usage"] = {{"calls", usage.calls},
                     {"standalone_tokens", usage.standalone_tokens},
                     {"generated_tokens", usage.generated_tokens}};
    json["spent"] = {{"requests", outcome.spent.requests},
                     {"prompt_tokens", outcome.spent.prompt_tokens},
                     {"generated_tokens", outcome.spent.generated_tokens},
                     {"discarded_tokens", outcome.spent.discarded_tokens}};
    if (outcome.spent.backward != RequestCost{}) {
        json["spent"]["backward"] = backward_spent_json(outcome.spent);
    }
    if (has_prices(job)) {
        json["spent"]["money"] = money_of(outcome.spent, job.backend, backward_spec(job));
    }
    // Depends on how often and where the run was started.
    json["measured"] = {{"recalled", outcome.recalled}, {"seconds", outcome.spent.seconds}};
    // Of this process; a run may have had several.
    if (outcome.counts != BackendCounts{}) json["measured"]["calls"] = calls_json(outcome.counts);
    return dump(json, 2) + "\n";
}

NetworkParameters parse_prompts(const std::string& text, const std::string& path, const Job& job) {
    const Json json = parse_file(text, path);
    const auto fail = [&path](const std::string& why) { return fault(path, why); };
    const auto& specs = job.network.layers;
    if (json["layers"].size() != specs.size()) {
        throw fail(fmt::format("/layers: {} layer{}, the job's network has {}",
                               json["layers"].size(), json["layers"].size() == 1 ? "" : "s",
                               specs.size()));
    }
    const auto parse_layer = [&](const Json& layer, const std::string& at,
                                 std::size_t l) -> LayerParameters {
        if (!layer.is_object() || !layer.contains("prompt") || !layer["prompt"].is_string() ||
            !layer.contains("template") || !layer["template"].is_string()) {
            throw fail(fmt::format("{}: needs \"prompt\" and \"template\", both texts", at));
        }
        const auto name = layer["template"].get<std::string>();
        std::vector<std::string> known;
        for (const TemplateSpec& in : specs[l].templates) known.push_back(in.name);
        const auto found = std::ranges::find(known, name);
        if (found == known.end()) {
            throw fail(fmt::format("{}/template: the job has no template \"{}\"", at,
                                   printable(name, 60)));
        }
        return {layer["prompt"].get<std::string>(), static_cast<std::size_t>(found - known.begin()),
                parse_words(layer, fmt::format("{}: {}", path, at), specs[l])};
    };
    NetworkParameters parameters;
    for (std::size_t l = 0; l < specs.size(); ++l) {
        const Json& layer = json["layers"][l];
        const std::string at = fmt::format("/layers/{}", l);
        parameters.push_back(parse_layer(layer, at, l));
        const Json experts = layer.value("experts", Json::array());
        const std::size_t count = experts.is_array() && !experts.empty() ? experts.size() : 1;
        if (count != specs[l].mixture.experts) {
            throw fail(fmt::format("{}/experts: {} expert{}, the job's layer has {}", at, count,
                                   count == 1 ? "" : "s", specs[l].mixture.experts));
        }
        for (std::size_t e = 0; count > 1 && e < count; ++e) {
            LayerParameters expert =
                parse_layer(experts[e], fmt::format("{}/experts/{}", at, e), l);
            if (e == 0) {
                set_expert(parameters[l], 0, expert);
            } else {
                parameters[l].others.push_back(std::move(expert));
            }
        }
        if (count > 1)
            parameters[l].gate = parse_gate(layer, fmt::format("{}: {}", path, at), count);
    }
    return parameters;
}

ClassLogProbs parse_class_prior(const std::string& text, const std::string& path, const Job& job) {
    const Json json = parse_file(text, path);
    if (job.scoring.calibration == Calibration::none || !json.contains(kClassLogPrior)) return {};
    const Json& prior = json[kClassLogPrior];
    ClassLogProbs values;
    for (const ClassSpec& entry : job.classes) {
        if (!prior.is_object() || !prior.contains(entry.name) || !prior[entry.name].is_number()) {
            throw fault(path,
                        fmt::format("/{}: no number for class \"{}\". Expected the logarithm "
                                    "of its prior, or no \"{}\" at all",
                                    kClassLogPrior, printable(entry.name, 60), kClassLogPrior));
        }
        values.push_back(prior[entry.name].get<double>());
    }
    return values;
}

}  // namespace dln
