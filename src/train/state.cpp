#include "dln/train/state.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"

#include "train/class_rows.hpp"

namespace dln {
namespace {

constexpr const char* kDevPrior = "/dev_class_log_prior";
constexpr const char* kWords = "/words";
constexpr const char* kWordLayers = "/word_layers";

// Only jobs with words have any: [network, word], and the layer of each word.
void write_words(const std::vector<NetworkParameters>& networks,
                 const std::string& path,
                 StepDocument& document) {
    if (networks.empty()) return;
    std::vector<std::int64_t> layers;
    for (std::size_t l = 0; l < networks.front().size(); ++l) {
        layers.insert(layers.end(), networks.front()[l].words.size(), static_cast<std::int64_t>(l));
    }
    if (layers.empty()) return;
    std::vector<std::string> words;
    for (const NetworkParameters& network : networks) {
        for (const LayerParameters& layer : network) {
            words.insert(words.end(), layer.words.begin(), layer.words.end());
        }
    }
    document.arrays[path + kWords] = Array::table(networks.size(), layers.size(), std::move(words));
    document.arrays[path + kWordLayers] = Array::list(std::move(layers));
}

void read_words(const std::string& path,
                const StepDocument& document,
                std::vector<NetworkParameters>& networks) {
    if (!document.contains(path + kWords)) return;
    const auto& words = document.texts(path + kWords);
    const auto& layers = document.integers(path + kWordLayers);
    if (words.size() != networks.size() * layers.size()) {
        throw CheckpointError(fmt::format("{}: tables of different lengths", path + kWords));
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
        NetworkParameters& network = networks[i / layers.size()];
        const auto layer = static_cast<std::size_t>(layers[i % layers.size()]);
        if (layer >= network.size()) {
            throw CheckpointError(fmt::format("{}: no such layer", path + kWordLayers));
        }
        network[layer].words.push_back(words[i]);
    }
}

// Parameters of several networks as tables [network, layer].
void write_parameters(const std::vector<NetworkParameters>& networks,
                      const std::string& path,
                      StepDocument& document) {
    std::vector<std::string> prompts;
    std::vector<std::int64_t> templates;
    for (const NetworkParameters& network : networks) {
        for (const LayerParameters& layer : network) {
            prompts.push_back(layer.prompt);
            templates.push_back(static_cast<std::int64_t>(layer.template_index));
        }
    }
    const std::size_t depth = networks.empty() ? 0 : networks.front().size();
    document.arrays[path + "/prompt"] = Array::table(networks.size(), depth, std::move(prompts));
    document.arrays[path + "/template"] =
        Array::table(networks.size(), depth, std::move(templates));
    write_words(networks, path, document);
}

std::vector<NetworkParameters> read_parameters(const std::string& path,
                                               const StepDocument& document) {
    const Array& shape = document.at(path + "/prompt");
    const std::vector<std::string>& prompts = document.texts(path + "/prompt");
    const std::vector<std::int64_t>& templates = document.integers(path + "/template");
    if (shape.shape.size() != 2 || prompts.size() != templates.size()) {
        throw CheckpointError(fmt::format("{}: not a table of parameters", path));
    }
    std::vector<NetworkParameters> networks(shape.shape[0]);
    const std::size_t depth = shape.shape[1];
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        networks[i / depth].push_back({prompts[i], static_cast<std::size_t>(templates[i])});
    }
    read_words(path, document, networks);
    return networks;
}

void write_evaluated(const std::vector<Evaluated>& entries,
                     const std::string& path,
                     StepDocument& document) {
    std::vector<NetworkParameters> networks;
    std::vector<std::int64_t> right;
    std::vector<std::int64_t> examples;
    std::vector<std::int64_t> measured;
    std::vector<std::int64_t> sums;
    for (const Evaluated& entry : entries) {
        networks.push_back(entry.parameters);
        right.push_back(entry.dev.right);
        examples.push_back(entry.dev.examples);
        measured.push_back(entry.dev.measured);
        sums.push_back(entry.dev.log_likelihood_sum);
    }
    write_parameters(networks, path, document);
    document.arrays[path + "/dev_right"] = Array::list(std::move(right));
    document.arrays[path + "/dev_examples"] = Array::list(std::move(examples));
    document.arrays[path + "/dev_measured"] = Array::list(std::move(measured));
    document.arrays[path + "/dev_log_likelihood_sum"] = Array::list(std::move(sums));
    // Only jobs that calibrate have any.
    std::vector<ClassLogProbs> priors;
    for (const Evaluated& entry : entries) priors.push_back(entry.dev.class_log_prior);
    if (std::ranges::all_of(priors, &ClassLogProbs::empty)) return;
    document.arrays[path + kDevPrior] = class_rows(priors);
}

std::vector<Evaluated> read_evaluated(const std::string& path, const StepDocument& document) {
    const std::vector<NetworkParameters> networks = read_parameters(path, document);
    const auto& right = document.integers(path + "/dev_right");
    const auto& examples = document.integers(path + "/dev_examples");
    const auto& measured = document.integers(path + "/dev_measured");
    const auto& sums = document.integers(path + "/dev_log_likelihood_sum");
    if (right.size() != networks.size() || examples.size() != networks.size() ||
        measured.size() != networks.size() || sums.size() != networks.size()) {
        throw CheckpointError(fmt::format("{}: tables of different lengths", path));
    }
    std::vector<Evaluated> entries;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        entries.push_back({networks[i], {right[i], examples[i], measured[i], sums[i], {}}});
    }
    if (document.contains(path + kDevPrior)) {
        auto priors = read_class_rows(document, path + kDevPrior, entries.size());
        for (std::size_t i = 0; i < entries.size(); ++i) {
            entries[i].dev.class_log_prior = std::move(priors[i]);
        }
    }
    return entries;
}

// One entry a prompt, in the order of layers.
void write_history(const TrainState& state, StepDocument& document) {
    std::vector<std::int64_t> layers;
    std::vector<std::string> prompts;
    std::vector<double> scores;
    for (std::size_t l = 0; l < state.history.size(); ++l) {
        for (const TriedPrompt& tried : state.history[l]) {
            layers.push_back(static_cast<std::int64_t>(l));
            prompts.push_back(tried.prompt);
            scores.push_back(tried.score);
        }
    }
    document.arrays["state/history/layer"] = Array::list(std::move(layers));
    document.arrays["state/history/prompt"] = Array::list(std::move(prompts));
    document.arrays["state/history/score"] = Array::list(std::move(scores));
}

void read_history(TrainState& state, const StepDocument& document) {
    const auto& layers = document.integers("state/history/layer");
    const auto& prompts = document.texts("state/history/prompt");
    const auto& scores = document.reals("state/history/score");
    if (layers.size() != prompts.size() || layers.size() != scores.size()) {
        throw CheckpointError("state/history: tables of different lengths");
    }
    if (!layers.empty()) state.history.resize(state.current.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const auto layer = static_cast<std::size_t>(layers[i]);
        if (layer >= state.history.size())
            throw CheckpointError("state/history/layer: no such layer");
        state.history[layer].push_back({prompts[i], scores[i]});
    }
}

// For what older programs did not write.
std::int64_t integer_or_zero(const std::string& path, const StepDocument& document) {
    return document.contains(path) ? document.integer(path) : 0;
}

// The other of write_usage.
Usage read_usage(const std::string& path,
                 const std::string& measured,
                 const StepDocument& document) {
    return {.calls = document.integer(path + "calls"),
            .standalone_tokens = document.integer(path + "standalone_tokens"),
            .evaluated_tokens = document.integer(measured + "evaluated_tokens"),
            .generated_tokens = document.integer(path + "generated_tokens"),
            .recalled = 0,
            .requests = integer_or_zero(measured + "requests", document),
            .prompt_tokens = integer_or_zero(measured + "prompt_tokens", document),
            .discarded_tokens = integer_or_zero(measured + "discarded_tokens", document)};
}

constexpr const char* kBackwardUsage = "state/backward/";
constexpr const char* kBackwardMeasured = "timing/backward/";

}  // namespace

double DevResult::accuracy() const {
    return examples == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(examples);
}

double DevResult::log_likelihood() const {
    return measured == 0 ? 0.0
                         : from_fixed_point(log_likelihood_sum) / static_cast<double>(measured);
}

bool is_better(const DevResult& a, const DevResult& b, Objective objective) {
    if (a.measured != b.measured) return a.measured > b.measured;
    if (objective == Objective::accuracy) {
        return std::tie(a.right, a.log_likelihood_sum) > std::tie(b.right, b.log_likelihood_sum);
    }
    return std::tie(a.log_likelihood_sum, a.right) > std::tie(b.log_likelihood_sum, b.right);
}

void note_tried(std::vector<TriedPrompt>& history, const TriedPrompt& tried, std::size_t capacity) {
    std::erase_if(history, [&](const TriedPrompt& other) { return other.prompt == tried.prompt; });
    const auto place = std::ranges::find_if(
        history, [&](const TriedPrompt& other) { return tried.score > other.score; });
    history.insert(place, tried);
    if (history.size() > capacity) history.resize(capacity);
}

void remember(TrainState& state,
              const Evaluated& evaluated,
              std::size_t capacity,
              Objective objective) {
    std::erase_if(state.memory,
                  [&](const Evaluated& entry) { return entry.parameters == evaluated.parameters; });
    const auto place = std::ranges::find_if(state.memory, [&](const Evaluated& entry) {
        return is_better(evaluated.dev, entry.dev, objective);
    });
    state.memory.insert(place, evaluated);
    if (state.memory.size() > capacity) state.memory.resize(capacity);
}

void write_usage(const Usage& usage,
                 const std::string& path,
                 const std::string& measured,
                 StepDocument& document) {
    auto& arrays = document.arrays;
    arrays[path + "calls"] = Array::scalar(usage.calls);
    arrays[path + "standalone_tokens"] = Array::scalar(usage.standalone_tokens);
    arrays[path + "generated_tokens"] = Array::scalar(usage.generated_tokens);
    arrays[measured + "requests"] = Array::scalar(usage.requests);
    arrays[measured + "prompt_tokens"] = Array::scalar(usage.prompt_tokens);
    arrays[measured + "discarded_tokens"] = Array::scalar(usage.discarded_tokens);
    // How much of it had to be computed depends on which rank had which prefix.
    arrays[measured + "evaluated_tokens"] = Array::scalar(usage.evaluated_tokens);
}

void write_state(const TrainState& state, StepDocument& document) {
    auto& arrays = document.arrays;
    arrays["state/steps_done"] = Array::scalar(state.steps_done);
    write_parameters({state.current}, "state/current", document);
    write_evaluated(state.best, "state/best", document);
    arrays["state/best_step"] = Array::scalar(state.best_step);
    write_evaluated(state.memory, "state/memory", document);
    arrays["state/tried_in_templates"] = Array::list(state.tried_in_templates);
    write_history(state, document);
    arrays["state/without_gain"] = Array::scalar(state.without_gain);
    arrays["state/noise_floor"] = Array::scalar(state.noise_floor);
    write_usage(state.usage, "state/", "timing/", document);
    arrays["timing/recalled"] = Array::scalar(state.usage.recalled);
    if (state.backward_usage) {
        write_usage(*state.backward_usage, kBackwardUsage, kBackwardMeasured, document);
    }
}

TrainState read_state(const StepDocument& document) {
    TrainState state;
    state.steps_done = document.integer("state/steps_done");
    const auto current = read_parameters("state/current", document);
    if (current.size() != 1) throw CheckpointError("state/current: not one set of parameters");
    state.current = current.front();
    state.best = read_evaluated("state/best", document);
    state.best_step = document.integer("state/best_step");
    state.memory = read_evaluated("state/memory", document);
    state.tried_in_templates = document.texts("state/tried_in_templates");
    read_history(state, document);
    state.without_gain = document.integer("state/without_gain");
    state.noise_floor = document.real("state/noise_floor");
    state.usage = read_usage("state/", "timing/", document);
    state.usage.recalled = document.integer("timing/recalled");
    if (document.contains(std::string(kBackwardUsage) + "calls")) {
        state.backward_usage = read_usage(kBackwardUsage, kBackwardMeasured, document);
    }
    return state;
}

}  // namespace dln
