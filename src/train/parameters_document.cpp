#include "train/parameters_document.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dln/error.hpp"

namespace dln {

std::string mixture_path(const std::string& path, std::size_t layer) {
    return fmt::format("{}/mixtures/{}", path, layer);
}

namespace {

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

// A gate that was not fitted is all zeros, which is what it says.
void write_gates(const std::vector<Gate>& gates,
                 std::size_t experts,
                 const std::string& path,
                 StepDocument& document) {
    std::size_t width = 0;
    for (const Gate& gate : gates) width = std::max(width, gate.weights.size());
    std::vector<double> bias;
    std::vector<double> weights;
    for (Gate gate : gates) {
        gate.bias.resize(experts, 0.0);
        gate.weights.resize(width, 0.0);
        bias.insert(bias.end(), gate.bias.begin(), gate.bias.end());
        weights.insert(weights.end(), gate.weights.begin(), gate.weights.end());
    }
    document.arrays[path + "/gate_bias"] = Array::table(gates.size(), experts, std::move(bias));
    document.arrays[path + "/gate_weights"] = {{gates.size(), experts, width / experts},
                                               std::move(weights)};
}

Gate read_gate(const std::string& path, const StepDocument& document, std::size_t network) {
    const std::vector<std::size_t> shape = document.at(path + "/gate_weights").shape;
    const auto row = [&](const std::string& name, std::size_t width) {
        const std::vector<double>& all = document.reals(path + name);
        if ((network + 1) * width > all.size()) {
            throw CheckpointError(fmt::format("{}: tables of different lengths", path + name));
        }
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(network * width);
        return std::vector<double>(first, first + static_cast<std::ptrdiff_t>(width));
    };
    if (shape.size() != 3) throw CheckpointError(fmt::format("{}: no gates", path));
    Gate gate{.bias = row("/gate_bias", shape[1]),
              .weights = row("/gate_weights", shape[1] * shape[2])};
    const auto is_zero = [](double number) { return number == 0.0; };
    const bool says_nothing =
        std::ranges::all_of(gate.bias, is_zero) && std::ranges::all_of(gate.weights, is_zero);
    return says_nothing ? Gate{} : gate;
}

// Only mixture layers have any: all experts [network, expert], and their gates.
void write_mixtures(const std::vector<NetworkParameters>& networks,
                    const std::string& path,
                    StepDocument& document) {
    for (std::size_t l = 0; !networks.empty() && l < networks.front().size(); ++l) {
        const std::size_t experts = expert_count(networks.front()[l]);
        if (experts == 1) continue;
        std::vector<Gate> gates;
        std::vector<std::string> prompts;
        std::vector<std::int64_t> templates;
        std::vector<std::string> words;
        for (const NetworkParameters& network : networks) {
            gates.push_back(network[l].gate);
            for (const LayerParameters& expert : experts_of(network[l])) {
                prompts.push_back(expert.prompt);
                templates.push_back(static_cast<std::int64_t>(expert.template_index));
                words.insert(words.end(), expert.words.begin(), expert.words.end());
            }
        }
        const std::string at = mixture_path(path, l);
        const std::size_t width = networks.front()[l].words.size();
        document.arrays[at + "/prompt"] = Array::table(networks.size(), experts, prompts);
        document.arrays[at + "/template"] = Array::table(networks.size(), experts, templates);
        if (width > 0) {
            document.arrays[at + kWords] = {{networks.size(), experts, width}, std::move(words)};
        }
        write_gates(gates, experts, at, document);
    }
}

void read_mixture(const std::string& at,
                  const StepDocument& document,
                  std::vector<NetworkParameters>& networks,
                  std::size_t layer) {
    const std::vector<std::size_t> shape = document.at(at + "/prompt").shape;
    const auto& prompts = document.texts(at + "/prompt");
    const auto& templates = document.integers(at + "/template");
    if (shape.size() != 2 || shape[0] != networks.size() || prompts.size() != templates.size()) {
        throw CheckpointError(fmt::format("{}: not a table of experts", at));
    }
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        LayerParameters& parameters = networks[i / shape[1]][layer];
        if (i % shape[1] == 0) {
            parameters.gate = read_gate(at, document, i / shape[1]);
            continue;  // the first expert stands where other layers have their prompt
        }
        const std::size_t width = parameters.words.size();
        LayerParameters& expert = parameters.others.emplace_back(
            LayerParameters{prompts[i], static_cast<std::size_t>(templates[i])});
        if (width == 0) continue;
        const auto first =
            document.texts(at + kWords).begin() + static_cast<std::ptrdiff_t>(i * width);
        expert.words.assign(first, first + static_cast<std::ptrdiff_t>(width));
    }
}

void read_mixtures(const std::string& path,
                   const StepDocument& document,
                   std::vector<NetworkParameters>& networks) {
    for (std::size_t l = 0; !networks.empty() && l < networks.front().size(); ++l) {
        const std::string at = mixture_path(path, l);
        if (document.contains(at + "/prompt")) read_mixture(at, document, networks, l);
    }
}

}  // namespace

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
    write_mixtures(networks, path, document);
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
    read_mixtures(path, document, networks);
    return networks;
}

}  // namespace dln
