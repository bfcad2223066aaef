#include "engine/payload.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "engine/cbor.hpp"

namespace dln {
namespace payload {
namespace {

using cbor::bytes_of;
using cbor::text_of;
using nlohmann::json;

json to_json(const EvaluateUnit& unit) {
    json layers = json::array();
    for (const LayerParameters& layer : unit.parameters) {
        layers.push_back(json::array({bytes_of(layer.prompt), layer.template_index}));
    }
    return json::array({"evaluate", std::move(layers), static_cast<int>(unit.measure), unit.split,
                        unit.examples, unit.step, unit.want_texts});
}

json to_json(const GenerateRequest& request) {
    json items = json::array();
    for (const GenerateItem& item : request.items) {
        items.push_back(json::array({bytes_of(item.context.text), item.context.chat,
                                     item.context.shared_bytes, item.seed}));
    }
    json stop = json::array();
    for (const std::string& text : request.stop) stop.push_back(bytes_of(text));
    return json::array({"generate", std::move(items), request.max_tokens, request.temperature,
                        request.top_p, std::move(stop)});
}

EvaluateUnit evaluate_from(const json& value) {
    EvaluateUnit unit{.parameters = {},
                      .measure = static_cast<Measure>(value[2].get<int>()),
                      .split = value[3],
                      .examples = value[4],
                      .step = value[5],
                      .want_texts = value[6]};
    for (const json& layer : value[1]) unit.parameters.push_back({text_of(layer[0]), layer[1]});
    return unit;
}

GenerateRequest generate_from(const json& value) {
    GenerateRequest request{.items = {},
                            .max_tokens = value[2],
                            .temperature = value[3],
                            .top_p = value[4],
                            .stop = {}};
    for (const json& item : value[1]) {
        request.items.push_back(
            {{.text = text_of(item[0]), .chat = item[1], .shared_bytes = item[2]}, item[3]});
    }
    for (const json& text : value[5]) request.stop.push_back(text_of(text));
    return request;
}

}  // namespace

std::string encode(const Content& content) {
    return cbor::encode(std::visit([](const auto& unit) { return to_json(unit); }, content));
}

Content decode(const std::string& bytes) {
    const json value = json::from_cbor(bytes);
    if (value[0] == "evaluate") return evaluate_from(value);
    return generate_from(value);
}

}  // namespace payload

std::size_t cells_an_example(Measure measure, std::size_t classes) {
    return measure == Measure::classes ? classes + 1 : 2;
}

std::vector<Unit> make_evaluate_units(const EvaluateUnit& whole,
                                      std::size_t block,
                                      std::size_t classes) {
    const LayerParameters& last = whole.parameters.back();
    const std::uint64_t affinity =
        XXH3_64bits_withSeed(last.prompt.data(), last.prompt.size(), last.template_index);
    const std::size_t width = cells_an_example(whole.measure, classes);
    std::vector<Unit> units;
    EvaluateUnit part{.parameters = whole.parameters,
                      .measure = whole.measure,
                      .split = whole.split,
                      .examples = {},
                      .step = whole.step,
                      .want_texts = whole.want_texts};
    for (std::size_t first = 0; first < whole.examples.size(); first += block) {
        const std::size_t count = std::min(block, whole.examples.size() - first);
        const auto begin = whole.examples.begin() + static_cast<std::ptrdiff_t>(first);
        part.examples.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
        units.push_back({.payload = payload::encode(part),
                         .affinity = affinity,
                         .first_cell = first * width,
                         .cells = count * width});
    }
    return units;
}

Unit make_generate_unit(const GenerateRequest& request) {
    Unit unit{.payload = payload::encode(request), .affinity = 0, .first_cell = 0, .cells = 0};
    unit.affinity = XXH3_64bits(unit.payload.data(), unit.payload.size());
    return unit;
}

}  // namespace dln
