#include "dln/mop/state.hpp"

#include <array>
#include <string>

#include <fmt/format.h>

#include "dln/error.hpp"

namespace dln::mop {
namespace {

constexpr std::array<const char*, 5> kParts{"prompts", "gate_w1", "gate_b1", "gate_w2", "gate_b2"};
constexpr const char* kParameters = "state/mixture";
constexpr const char* kFirst = "state/adam/first";
constexpr const char* kSecond = "state/adam/second";
constexpr const char* kBest = "state/best/mixture";

// As doubles, which hold every float: other programs read these files.
void write_parameters(const MixtureParameters& parameters,
                      const std::string& path,
                      StepDocument& document) {
    const auto parts = parameters.parts();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const nn::Matrix& part = *parts.at(i);
        document.arrays[fmt::format("{}/{}", path, kParts.at(i))] = Array::table(
            part.rows, part.columns, std::vector<double>(part.values.begin(), part.values.end()));
    }
}

MixtureParameters read_parameters(const StepDocument& document, const std::string& path) {
    MixtureParameters parameters;
    const auto parts = parameters.parts();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::string place = fmt::format("{}/{}", path, kParts.at(i));
        const std::vector<double>& values = document.reals(place);
        const std::vector<std::size_t>& shape = document.at(place).shape;
        if (shape.size() != 2 || shape[0] * shape[1] != values.size()) {
            throw CheckpointError(fmt::format("{}: not a table of numbers", place));
        }
        nn::Matrix& part = *parts.at(i);
        part = nn::Matrix(shape[0], shape[1]);
        for (std::size_t k = 0; k < values.size(); ++k) {
            part.values[k] = static_cast<float>(values[k]);
        }
    }
    return parameters;
}

void write_sums(const SplitSums& sums, const std::string& path, StepDocument& document) {
    std::vector<std::int64_t> table;
    for (const LossSum& task : sums.tasks) {
        table.insert(table.end(), {task.examples, task.tokens, task.right, task.nll});
    }
    document.arrays[path] = Array::table(sums.tasks.size(), 4, std::move(table));
}

SplitSums read_sums(const StepDocument& document, const std::string& path) {
    const std::vector<std::int64_t>& table = document.integers(path);
    SplitSums sums;
    for (std::size_t i = 0; i + 4 <= table.size(); i += 4) {
        sums.tasks.push_back({.examples = table[i],
                              .tokens = table[i + 1],
                              .right = table[i + 2],
                              .nll = table[i + 3]});
    }
    return sums;
}

}  // namespace

void write_state(const MopState& state, StepDocument& document) {
    auto& arrays = document.arrays;
    arrays["state/steps_done"] = Array::scalar(state.steps_done);
    arrays["state/tokens"] = Array::scalar(state.tokens);
    write_parameters(state.parameters, kParameters, document);
    if (state.adam) {
        write_parameters(state.adam->first, kFirst, document);
        write_parameters(state.adam->second, kSecond, document);
        arrays["state/adam/steps"] = Array::scalar(state.adam->steps);
    }
    if (!state.best) return;
    arrays["state/best/step"] = Array::scalar(state.best->step);
    write_parameters(state.best->parameters, kBest, document);
    write_sums(state.best->dev, "state/best/dev", document);
}

MopState read_mop_state(const StepDocument& document) {
    MopState state;
    state.steps_done = document.integer("state/steps_done");
    state.tokens = document.integer("state/tokens");
    state.parameters = read_parameters(document, kParameters);
    if (document.contains("state/adam/steps")) {
        state.adam = AdamState{.first = read_parameters(document, kFirst),
                               .second = read_parameters(document, kSecond),
                               .steps = document.integer("state/adam/steps")};
    }
    if (document.contains("state/best/step")) {
        state.best = BestMixture{.step = document.integer("state/best/step"),
                                 .parameters = read_parameters(document, kBest),
                                 .dev = read_sums(document, "state/best/dev")};
    }
    return state;
}

const MixtureParameters& best_parameters(const MopState& state) {
    return state.best ? state.best->parameters : state.parameters;
}

bool holds_mixture(const StepDocument& document) {
    return document.contains(fmt::format("{}/{}", kParameters, kParts[0]));
}

}  // namespace dln::mop
