#include "dln/engine/payload.hpp"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "dln/error.hpp"

#include "engine/cbor.hpp"

namespace dln {
namespace payload {
namespace {

using cbor::bytes_of;
using cbor::list_of;
using cbor::text_of;
using cbor::texts_of;
using nlohmann::json;

json to_json(const LayerParameters& layer) {
    return json::array({bytes_of(layer.prompt), layer.template_index, list_of(layer.words)});
}

LayerParameters parameters_from(const json& value) {
    return {text_of(value[0]), value[1], texts_of(value[2])};
}

json to_json(const Context& context) {
    return json::array({bytes_of(context.text), context.chat, context.shared_bytes});
}

Context context_from(const json& value) {
    return {.text = text_of(value[0]), .chat = value[1], .shared_bytes = value[2]};
}

json to_json(const EvaluateUnit& unit) {
    json layers = json::array();
    for (const LayerParameters& layer : unit.parameters) layers.push_back(to_json(layer));
    return json::array({"evaluate", std::move(layers), static_cast<int>(unit.measure), unit.split,
                        unit.examples, unit.step, unit.want_texts});
}

json to_json(const LayerUnit& unit) {
    json items = json::array();
    for (const LayerItem& item : unit.items) {
        items.push_back(json::array({item.example, list_of(item.latents)}));
    }
    return json::array({"layer", unit.layer, to_json(unit.parameters),
                        static_cast<int>(unit.measure), unit.split, std::move(items), unit.step,
                        unit.without_residual, unit.content_free});
}

json to_json(const TextUnit& unit) {
    json items = json::array();
    for (const TextItem& item : unit.items) {
        items.push_back(json::array({to_json(item.context), bytes_of(item.target)}));
    }
    return json::array({"text", std::move(items)});
}

json to_json(const GenerateUnit& unit) {
    const GenerateRequest& request = unit.request;
    json items = json::array();
    for (const GenerateItem& item : request.items) {
        items.push_back(json::array({to_json(item.context), item.seed}));
    }
    json places = json::array();
    for (const TextPlace& place : unit.places) {
        places.push_back(json::array({place.example, place.index}));
    }
    return json::array({"generate", std::move(items), request.max_tokens, request.temperature,
                        request.top_p, list_of(request.stop), static_cast<int>(unit.purpose),
                        unit.layer, std::move(places)});
}

EvaluateUnit evaluate_from(const json& value) {
    EvaluateUnit unit{.parameters = {},
                      .measure = static_cast<Measure>(value[2].get<int>()),
                      .split = value[3],
                      .examples = value[4],
                      .step = value[5],
                      .want_texts = value[6]};
    for (const json& layer : value[1]) unit.parameters.push_back(parameters_from(layer));
    return unit;
}

LayerUnit layer_from(const json& value) {
    LayerUnit unit{.layer = value[1],
                   .parameters = parameters_from(value[2]),
                   .measure = static_cast<Measure>(value[3].get<int>()),
                   .split = value[4],
                   .items = {},
                   .step = value[6],
                   .without_residual = value[7],
                   .content_free = value[8]};
    for (const json& item : value[5]) unit.items.push_back({item[0], texts_of(item[1])});
    return unit;
}

TextUnit text_unit_from(const json& value) {
    TextUnit unit;
    for (const json& item : value[1]) {
        unit.items.push_back({context_from(item[0]), text_of(item[1])});
    }
    return unit;
}

GenerateUnit generate_from(const json& value) {
    GenerateUnit unit{.request = {.items = {},
                                  .max_tokens = value[2],
                                  .temperature = value[3],
                                  .top_p = value[4],
                                  .stop = texts_of(value[5])},
                      .purpose = static_cast<TextPurpose>(value[6].get<int>()),
                      .layer = value[7]};
    for (const json& item : value[1]) {
        unit.request.items.push_back({context_from(item[0]), item[1]});
    }
    for (const json& place : value[8]) unit.places.push_back({place[0], place[1]});
    return unit;
}

Content content_from(const json& value) {
    if (value[0] == "evaluate") return evaluate_from(value);
    if (value[0] == "layer") return layer_from(value);
    if (value[0] == "text") return text_unit_from(value);
    return generate_from(value);
}

}  // namespace

std::string encode(const Work& work) {
    return cbor::encode(
        json::array({static_cast<int>(work.model),
                     std::visit([](const auto& unit) { return to_json(unit); }, work.content)}));
}

Work decode(const std::string& bytes) {
    const json value = json::from_cbor(bytes);
    return {.content = content_from(value[1]),
            .model = static_cast<ModelRole>(value[0].get<int>())};
}

}  // namespace payload

std::size_t cells_an_example(Measure measure, std::size_t classes) {
    return measure == Measure::classes ? classes + 1 : 2;
}

namespace {

// Candidates are told apart by what they begin with.
std::uint64_t affinity_of(const LayerParameters& parameters) {
    std::uint64_t affinity = XXH3_64bits_withSeed(
        parameters.prompt.data(), parameters.prompt.size(), parameters.template_index);
    for (const std::string& word : parameters.words) {
        affinity = XXH3_64bits_withSeed(word.data(), word.size(), affinity);
    }
    return affinity;
}

// Latents of one example that one layer scores after one context.
bool have_one_context(std::size_t layer, const LayerItem& a, const LayerItem& b) {
    const bool are_scored = a.latents.size() > layer && b.latents.size() > layer;
    const auto before = static_cast<std::ptrdiff_t>(layer);
    return are_scored && a.example == b.example &&
           std::equal(a.latents.begin(), a.latents.begin() + before, b.latents.begin());
}

constexpr auto kAllMayPart = [](const auto& /*before*/, const auto& /*behind*/) { return false; };

template <class Entry>
std::vector<Entry> block_of(const std::vector<Entry>& all, std::size_t first, std::size_t block) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
    const std::size_t count = std::min(block, all.size() - first);
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

// Without an affinity units have nothing in common with each other.
Unit unit_of(payload::Content content, ModelRole model, std::optional<std::uint64_t> affinity) {
    Unit unit{.payload = payload::encode({std::move(content), model}), .model = model};
    unit.affinity = affinity ? *affinity : XXH3_64bits(unit.payload.data(), unit.payload.size());
    return unit;
}

// Units of `part` with each block of `all` in turn in `member`, of `width` cells an entry. A block goes on for as
// long as its last entry and the next are inseparable.
template <class Whole, class Entry, class Inseparable = decltype(kAllMayPart)>
std::vector<Unit> cut(Whole part,
                      std::vector<Entry> Whole::*member,
                      const std::vector<Entry>& all,
                      std::size_t block,
                      std::size_t width,
                      ModelRole model,
                      std::optional<std::uint64_t> affinity = std::nullopt,
                      const Inseparable& are_inseparable = kAllMayPart) {
    std::vector<Unit> units;
    for (std::size_t first = 0, count = 0; first < all.size(); first += count) {
        count = std::min(block, all.size() - first);
        while (first + count < all.size() &&
               are_inseparable(all[first + count - 1], all[first + count])) {
            ++count;
        }
        part.*member = block_of(all, first, count);
        Unit unit = unit_of(part, model, affinity);
        unit.first_cell = first * width;
        unit.cells = count * width;
        units.push_back(std::move(unit));
    }
    return units;
}

}  // namespace

std::vector<Unit> make_evaluate_units(const EvaluateUnit& whole,
                                      std::size_t block,
                                      std::size_t classes) {
    return cut(whole, &EvaluateUnit::examples, whole.examples, block,
               cells_an_example(whole.measure, classes), ModelRole::forward,
               affinity_of(whole.parameters.back()));
}

std::vector<Unit> make_layer_units(const LayerUnit& whole, std::size_t block, std::size_t classes) {
    return cut(whole, &LayerUnit::items, whole.items, block,
               cells_an_example(whole.measure, classes), ModelRole::forward,
               affinity_of(whole.parameters), [&whole](const LayerItem& a, const LayerItem& b) {
                   return have_one_context(whole.layer, a, b);
               });
}

std::vector<Unit> make_text_units(const TextUnit& whole, std::size_t block, ModelRole model) {
    return cut(whole, &TextUnit::items, whole.items, block, cells_an_example(Measure::target, 0),
               model);
}

std::vector<Unit> make_generate_units(const GenerateUnit& whole,
                                      std::size_t block,
                                      ModelRole model) {
    std::vector<Unit> units;
    GenerateUnit part = whole;
    for (std::size_t first = 0; first < whole.request.items.size(); first += block) {
        part.request.items = block_of(whole.request.items, first, block);
        if (!whole.places.empty()) part.places = block_of(whole.places, first, block);
        units.push_back(unit_of(part, model, std::nullopt));
    }
    return units;
}

Unit make_generate_unit(const GenerateUnit& whole, ModelRole model) {
    DLN_ASSERT(!whole.request.items.empty(), "a unit without items");
    return std::move(make_generate_units(whole, whole.request.items.size(), model).front());
}

}  // namespace dln
