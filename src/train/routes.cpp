#include "train/routes.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"
#include "dln/network/gate.hpp"
#include "dln/network/scores.hpp"

namespace dln {
namespace {

// Which rows of the parts' tables, laid end to end, say something of an example.
struct Answer {
    std::size_t row = 0;
    double log_weight = 0.0;
};
struct Layout {
    std::vector<std::vector<Answer>> of_examples;
    std::size_t width = 0;  // cells of a row
    std::size_t depth = 0;  // texts of a row
    std::size_t rows = 0;
};

Layout layout_of(const std::vector<RoutePart>& parts, std::size_t examples) {
    Layout layout;
    layout.of_examples.resize(examples);
    for (const RoutePart& part : parts) {
        for (std::size_t i = 0; i < part.places.size(); ++i) {
            layout.of_examples[part.places[i]].push_back({layout.rows++, part.log_weights[i]});
        }
    }
    return layout;
}

// log of sum over e of g_e p_e(c), each p_e normalised over the classes; nothing is said where an expert failed.
std::vector<std::int64_t> mixed_row(std::span<const std::int64_t> table,
                                    const std::vector<Answer>& answers,
                                    std::size_t width) {
    std::vector<std::int64_t> mixed(width, 0);
    std::vector<std::vector<double>> by_class(width - 1);
    for (const Answer& answer : answers) {
        const auto cells = table.subspan(answer.row * width, width);
        if (cells.back() == 0) return mixed;
        std::vector<double> said;
        for (const std::int64_t cell : cells.first(width - 1)) {
            said.push_back(from_fixed_point(cell));
        }
        said = normalise_classes(said);
        for (std::size_t c = 0; c < said.size(); ++c) {
            by_class[c].push_back(answer.log_weight + said[c]);
        }
    }
    for (std::size_t c = 0; c < by_class.size(); ++c) {
        mixed[c] = to_fixed_point(log_sum_exp(by_class[c]));
    }
    mixed.back() = 1;
    return mixed;
}

// Of several answers the heaviest one's texts, but those of one that failed, which say why.
std::size_t told_by(const std::vector<Answer>& answers,
                    std::span<const std::int64_t> table,
                    std::size_t width) {
    for (const Answer& answer : answers) {
        if (table[(answer.row + 1) * width - 1] == 0) return answer.row;
    }
    return std::ranges::max_element(answers, {}, &Answer::log_weight)->row;
}

// From the parts' rows to the examples', as if there had been one part.
void put_together(const Layout& layout, TaskResult& result) {
    const std::span<const std::int64_t> table(result.table);
    std::vector<std::string> texts;
    for (auto& unit : result.texts) std::ranges::move(unit, std::back_inserter(texts));
    std::vector<std::int64_t> cells;
    std::vector<std::string> told;
    for (const std::vector<Answer>& answers : layout.of_examples) {
        if (answers.size() == 1) {
            const auto row = table.subspan(answers.front().row * layout.width, layout.width);
            cells.insert(cells.end(), row.begin(), row.end());
        } else {
            std::ranges::copy(mixed_row(table, answers, layout.width), std::back_inserter(cells));
        }
        if (texts.empty()) continue;
        const auto first =
            texts.begin() +
            static_cast<std::ptrdiff_t>(told_by(answers, table, layout.width) * layout.depth);
        told.insert(told.end(), first, first + static_cast<std::ptrdiff_t>(layout.depth));
    }
    result.table = std::move(cells);
    if (!texts.empty()) result.texts = {std::move(told)};
}

std::vector<Unit> units_of(const std::vector<RoutePart>& parts,
                           const EvaluateUnit& whole,
                           std::size_t block,
                           std::size_t classes) {
    std::vector<Unit> units;
    std::size_t rows = 0;
    const std::size_t width = cells_an_example(whole.measure, classes);
    for (const RoutePart& part : parts) {
        EvaluateUnit own = whole;
        own.parameters = part.parameters;
        own.examples.clear();
        for (const std::size_t place : part.places) own.examples.push_back(whole.examples[place]);
        for (Unit& unit : make_evaluate_units(own, block, classes)) {
            unit.first_cell += rows * width;
            units.push_back(std::move(unit));
        }
        rows += part.places.size();
    }
    return units;
}

}  // namespace

bool is_routed(const NetworkParameters& parameters) {
    return std::ranges::any_of(parameters,
                               [](const LayerParameters& layer) { return !layer.others.empty(); });
}

std::vector<RoutePart> route_parts(const NetworkParameters& parameters,
                                   std::span<const std::span<const float>> embeddings,
                                   bool mixes_last) {
    std::map<std::vector<std::size_t>, RoutePart> parts;
    for (std::size_t place = 0; place < embeddings.size(); ++place) {
        std::vector<std::size_t> route;
        std::vector<double> log_gate;  // of the last layer
        for (const LayerParameters& layer : parameters) {
            log_gate = gate_log_probs(layer.gate, expert_count(layer), embeddings[place]);
            route.push_back(largest_of(log_gate));
        }
        const auto add = [&](double log_weight) {
            RoutePart& part = parts[route];
            part.places.push_back(place);
            part.log_weights.push_back(log_weight);
        };
        if (!mixes_last) {
            add(0.0);
            continue;
        }
        for (std::size_t e = 0; e < log_gate.size(); ++e) {
            route.back() = e;
            add(log_gate[e]);
        }
    }
    std::vector<RoutePart> all;
    for (auto& [route, part] : parts) {
        for (std::size_t l = 0; l < route.size(); ++l) {
            part.parameters.push_back(expert_of(parameters[l], route[l]));
        }
        all.push_back(std::move(part));
    }
    return all;
}

TaskId add_routed_evaluation(TaskGraph& graph,
                             const Network& network,
                             EvaluateUnit what,
                             const InputEmbeddings* inputs,
                             std::vector<TaskId> needs) {
    DLN_ASSERT(inputs != nullptr, "mixture layers, and no embeddings of inputs");
    std::vector<std::span<const float>> embeddings;
    for (const std::uint64_t example : what.examples) {
        embeddings.push_back(inputs->of(what.split, example));
    }
    const std::size_t classes = network.classes().size();
    const MixtureLayerSpec& last = network.layer(network.depth() - 1).mixture;
    const bool mixes_last = what.parameters.back().others.size() > 0 &&
                            last.prediction == MixturePrediction::mixture &&
                            what.measure == Measure::classes;
    std::vector<RoutePart> parts = route_parts(what.parameters, embeddings, mixes_last);
    Layout layout = layout_of(parts, what.examples.size());
    layout.width = cells_an_example(what.measure, classes);
    layout.depth = network.depth();
    const std::size_t cells = layout.rows * layout.width;
    const std::size_t block = network.scoring().block;
    return graph.add({.needs = std::move(needs),
                      .expand = [what = std::move(what), parts = std::move(parts), block,
                                 classes] { return units_of(parts, what, block, classes); },
                      .cells = cells,
                      .finish = [layout = std::move(layout)](
                                    TaskResult& result) { put_together(layout, result); }});
}

}  // namespace dln
