#include "dln/train/state.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"

#include "train/class_rows.hpp"
#include "train/parameters_document.hpp"

namespace dln {
namespace {

constexpr const char* kDevPrior = "/dev_class_log_prior";

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

// One entry an example seen.
void write_responsibilities(const TrainState& state, StepDocument& document) {
    for (const auto& [layer, seen] : state.responsibilities) {
        std::vector<std::int64_t> examples;
        std::vector<double> shares;
        for (const auto& [example, own] : seen) {
            examples.push_back(static_cast<std::int64_t>(example));
            shares.insert(shares.end(), own.begin(), own.end());
        }
        const std::string at = mixture_path("state", layer);
        const std::size_t count = examples.size();
        document.arrays[at + "/examples"] = Array::list(std::move(examples));
        document.arrays[at + "/responsibilities"] =
            Array::table(count, expert_count(state.current[layer]), std::move(shares));
    }
}

void read_responsibilities(TrainState& state, const StepDocument& document) {
    for (std::size_t l = 0; l < state.current.size(); ++l) {
        const std::string at = mixture_path("state", l);
        if (!document.contains(at + "/examples")) continue;
        const auto& examples = document.integers(at + "/examples");
        const auto& shares = document.reals(at + "/responsibilities");
        const std::size_t experts = expert_count(state.current[l]);
        if (shares.size() != examples.size() * experts) {
            throw CheckpointError(fmt::format("{}: tables of different lengths", at));
        }
        Responsibilities& seen = state.responsibilities[l];
        for (std::size_t i = 0; i < examples.size(); ++i) {
            const auto first = shares.begin() + static_cast<std::ptrdiff_t>(i * experts);
            seen[static_cast<std::uint64_t>(examples[i])].assign(
                first, first + static_cast<std::ptrdiff_t>(experts));
        }
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

std::size_t place_of(const NetworkParameters& parameters, std::size_t layer, std::size_t expert) {
    std::size_t place = expert;
    for (std::size_t l = 0; l < layer; ++l) place += expert_count(parameters[l]);
    return place;
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
    write_responsibilities(state, document);
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
    read_responsibilities(state, document);
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
