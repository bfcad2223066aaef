#include "dln/engine/network_runner.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "dln/comm/fixed_point.hpp"
#include "dln/engine/payload.hpp"
#include "dln/error.hpp"
#include "dln/network/scores.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/utf8.hpp"

namespace dln {

// Examples on their way through layers `layer` to `end` - 1; the last of these is measured.
struct NetworkRunner::Pass {
    std::size_t layer = 0;
    std::size_t end = 0;
    NetworkParameters parameters;  // of `layer`, which is first, and those after it
    Measure measure = Measure::classes;
    std::size_t split = 0;
    std::vector<LayerItem> items;
    std::uint64_t step = 0;
    bool want_texts = false;
    bool without_residual = false;
    bool content_free = false;

    [[nodiscard]] bool is_measured() const { return layer + 1 == end; }
    [[nodiscard]] const LayerParameters& layer_parameters() const {
        return parameters[parameters.size() - (end - layer)];
    }
};

// Where a request holds what an item of a pass needs.
struct NetworkRunner::Asked {
    std::size_t item = 0;   // of the pass
    std::size_t place = 0;  // item of the request
    std::size_t target =
        0;  // the only one of that item that counts, where an example has one target
};

// A pass goes through its layers, a request each; other units are one request.
struct NetworkRunner::Active {
    payload::Content content;
    ModelRole model = ModelRole::forward;
    Pass pass;
    std::vector<std::string> failures;  // by item; empty: alive
    std::vector<Asked> asked;           // of the pending request
    std::vector<std::vector<std::string>> texts;
    UnitResult result;

    [[nodiscard]] bool is_pass() const { return pass.end > 0; }

    void fail(std::size_t item, const std::string& why) {
        failures[item] = why.empty() ? "no reason given" : why;
        count_failure(failures[item]);
    }
    void count_failure(const std::string& why) {
        ++result.failures;
        if (result.first_failure.empty()) result.first_failure = why;
    }
};

namespace {

// Why an item has no score, if it has none.
const std::string* failure_of(std::span<const TargetScore> scores) {
    const auto failed = std::ranges::find_if(scores, [](const auto& s) { return !s.ok(); });
    return failed == scores.end() ? nullptr : &failed->error;
}

}  // namespace

NetworkRunner::NetworkRunner(const Network& network,
                             const std::vector<Dataset>& splits,
                             Backend& backend,
                             std::uint64_t seed,
                             Backend* backward,
                             const NearestExamples* nearest)
    : network_(network),
      splits_(splits),
      sides_{{.backend = &backend}},
      seed_(seed),
      nearest_(nearest) {
    DLN_ASSERT(nearest_ != nullptr || network_.nearest_shown() == 0,
               "{} examples an input, and nobody says which", network_.nearest_shown());
    if (backward != nullptr) sides_.push_back({.backend = backward});
}

NetworkRunner::~NetworkRunner() = default;

std::size_t NetworkRunner::side_of(ModelRole model) const {
    return model == ModelRole::backward ? sides_.size() - 1 : 0;
}

std::size_t NetworkRunner::wanted_units(ModelRole model) const {
    return sides_[side_of(model)].backend->wanted_requests();
}

BackendCounts NetworkRunner::counts() const {
    BackendCounts counts;
    for (const Side& side : sides_) counts += side.backend->counts();
    return counts;
}

void NetworkRunner::start(std::uint64_t id, const std::string& bytes) {
    auto unit = std::make_unique<Active>();
    payload::Work work = payload::decode(bytes);
    unit->content = std::move(work.content);
    unit->model = work.model;
    if (auto* evaluate = std::get_if<EvaluateUnit>(&unit->content)) {
        unit->pass = {.layer = 0,
                      .end = network_.depth(),
                      .parameters = std::move(evaluate->parameters),
                      .measure = evaluate->measure,
                      .split = evaluate->split,
                      .items = {},
                      .step = evaluate->step,
                      .want_texts = evaluate->want_texts};
        for (const std::uint64_t example : evaluate->examples) {
            unit->pass.items.push_back({.example = example, .latents = {}});
        }
    } else if (auto* layer = std::get_if<LayerUnit>(&unit->content)) {
        unit->pass = {.layer = layer->layer,
                      .end = layer->layer + 1,
                      .parameters = {std::move(layer->parameters)},
                      .measure = layer->measure,
                      .split = layer->split,
                      .items = std::move(layer->items),
                      .step = layer->step,
                      .want_texts = false,
                      .without_residual = layer->without_residual,
                      .content_free = layer->content_free};
    }
    submit(id, *unit);
    active_.emplace(id, std::move(unit));
}

void NetworkRunner::ask(std::uint64_t id, const Active& unit, Request request) {
    Side& side = sides_[side_of(unit.model)];
    ++side.pending;
    quiet_since_ = std::chrono::steady_clock::now();
    side.backend->submit(id, std::move(request));
}

void NetworkRunner::submit(std::uint64_t id, Active& unit) {
    if (auto* generate = std::get_if<GenerateUnit>(&unit.content)) {
        return ask(id, unit, std::move(generate->request));
    }
    if (const auto* texts = std::get_if<TextUnit>(&unit.content)) {
        ScoreRequest request;
        for (const TextItem& item : texts->items) {
            request.items.push_back({item.context, {item.target}});
        }
        unit.result.cells.assign(2 * texts->items.size(), 0);
        return ask(id, unit, std::move(request));
    }
    const Pass& pass = unit.pass;
    unit.failures.resize(pass.items.size());
    unit.texts.resize(pass.items.size());
    unit.result.cells.assign(
        pass.items.size() * cells_an_example(pass.measure, network_.classes().size()), 0);
    ask(id, unit, layer_request(unit));
}

// What the layer that the pass is at has to be asked.
Request NetworkRunner::layer_request(Active& unit) const {
    const Pass& pass = unit.pass;
    const LayerParameters& parameters = pass.layer_parameters();
    const LayerSpec& layer = network_.layer(pass.layer);
    const bool scores = pass.is_measured() && pass.measure != Measure::correct;
    unit.asked.clear();
    ScoreRequest score;
    GenerateRequest generate{.items = {},
                             .max_tokens = layer.max_tokens,
                             .temperature = layer.temperature,
                             .top_p = 1.0,
                             .stop = layer.stop};
    for (std::size_t i = 0; i < pass.items.size(); ++i) {
        if (!unit.failures[i].empty()) continue;
        const LayerItem& item = pass.items[i];
        std::vector<Example> shown;
        if (network_.nearest_shown() > 0 && pass.layer + 1 == network_.depth()) {
            const ShownExamples& nearest = shown_with(pass, i);
            if (!nearest.failure.empty()) {
                unit.fail(i, nearest.failure);
                continue;
            }
            for (const std::uint32_t example : nearest.examples) {
                shown.push_back(splits_.front()[example]);
            }
        }
        Context context = network_.context(
            pass.layer, parameters,
            pass.without_residual
                ? item.latents[pass.layer - 1]
                : network_.layer_input(pass.layer, input_of(pass, i), item.latents),
            shown);
        if (!scores) {
            CounterRng random({.seed = seed_,
                               .step = pass.step,
                               .layer = pass.layer,
                               .role = RandomRole::forward_sampling,
                               .example = item.example});
            generate.items.push_back({std::move(context), random.next()});
            unit.asked.push_back({.item = i, .place = generate.items.size() - 1});
        } else if (pass.measure == Measure::classes) {
            score.items.push_back(
                {std::move(context), network_.class_forms(parameters.template_index).targets});
            unit.asked.push_back({.item = i, .place = score.items.size() - 1});
        } else {
            // Latents of one example have one context, which is then tokenised and computed once.
            if (score.items.empty() || score.items.back().context != context) {
                score.items.push_back({std::move(context), {}});
            }
            std::vector<std::string>& targets = score.items.back().targets;
            targets.push_back(network_.separator(pass.layer, parameters.template_index) +
                              target_of(pass, i));
            unit.asked.push_back(
                {.item = i, .place = score.items.size() - 1, .target = targets.size() - 1});
        }
    }
    if (scores) return score;
    return generate;
}

const ShownExamples& NetworkRunner::shown_with(const Pass& pass, std::size_t item) const {
    const std::uint64_t example = pass.items[item].example;
    return pass.content_free ? nearest_->content_free.at(example)
                             : nearest_->splits.at(pass.split).at(example);
}

std::string_view NetworkRunner::input_of(const Pass& pass, std::size_t item) const {
    const std::uint64_t example = pass.items[item].example;
    if (pass.content_free) return network_.scoring().content_free_inputs[example];
    return splits_[pass.split][example].input;
}

// What the measured layer should say.
std::string NetworkRunner::target_of(const Pass& pass, std::size_t item) const {
    const LayerItem& it = pass.items[item];
    return pass.end < network_.depth() ? it.latents[pass.layer]
                                       : std::string(splits_[pass.split][it.example].target);
}

std::vector<UnitRunner::Finished> NetworkRunner::advance(std::chrono::milliseconds wait) {
    std::vector<Finished> finished;
    for (const Completion& completion : poll(wait)) {
        const auto found = active_.find(completion.id);
        DLN_ASSERT(found != active_.end(), "a completion for unit {}, which is not active",
                   completion.id);
        found->second->result.usage += completion.usage;
        if (!take(completion.id, *found->second, completion)) continue;
        finished.push_back({completion.id, std::move(found->second->result)});
        active_.erase(found);
    }
    return finished;
}

// Returns true when the unit is complete.
bool NetworkRunner::take(std::uint64_t id, Active& unit, const Completion& completion) {
    const auto* scores = std::get_if<ScoreReply>(&completion.reply);
    if (!unit.is_pass()) {
        if (scores != nullptr) {
            take_text_scores(unit, *scores);
        } else {
            take_generations(unit, std::get<GenerateReply>(completion.reply));
        }
        return true;
    }
    if (scores != nullptr) {
        take_scores(unit, *scores);
    } else {
        take_outputs(unit, std::get<GenerateReply>(completion.reply));
    }
    if (++unit.pass.layer < unit.pass.end) {
        ask(id, unit, layer_request(unit));
        return false;
    }
    if (unit.pass.want_texts) {
        for (std::size_t i = 0; i < unit.texts.size(); ++i) {
            auto& texts = unit.texts[i];
            texts.resize(network_.depth());
            if (!unit.failures[i].empty()) texts.back() = unit.failures[i];
            std::ranges::move(texts, std::back_inserter(unit.result.texts));
        }
    }
    return true;
}

void NetworkRunner::take_generations(Active& unit, const GenerateReply& reply) {
    for (const GeneratedText& text : reply.texts) {
        unit.result.texts.push_back(text.ok() ? text.text : std::string());
        if (!text.ok()) unit.count_failure(text.error);
    }
}

void NetworkRunner::take_text_scores(Active& unit, const ScoreReply& reply) const {
    const auto& texts = std::get<TextUnit>(unit.content);
    for (std::size_t i = 0; i < reply.scores.size(); ++i) {
        if (const std::string* why = failure_of(reply.scores[i])) {
            unit.count_failure(*why);
            continue;
        }
        unit.result.cells[2 * i] =
            to_fixed_point(target_score(reply.scores[i].front().token_log_probs,
                                        texts.items[i].target.size(), network_.scoring()));
        unit.result.cells[2 * i + 1] = 1;
    }
}

void NetworkRunner::take_outputs(Active& unit, const GenerateReply& reply) const {
    Pass& pass = unit.pass;
    for (const auto& [i, place, target] : unit.asked) {
        const GeneratedText& output = reply.texts.at(place);
        if (!output.ok()) {
            unit.fail(i, output.error);
            continue;
        }
        if (!pass.is_measured()) {
            // White space around a latent is the model's habit, not a thought: samples have none either.
            unit.texts[i].emplace_back(trim(output.text));
            pass.items[i].latents.push_back(unit.texts[i].back());
            continue;
        }
        unit.texts[i].push_back(output.text);
        const bool right = is_right_answer(output.text, target_of(pass, i), network_.scoring());
        unit.result.cells[2 * i] = to_fixed_point(right ? 1.0 : 0.0);
        unit.result.cells[2 * i + 1] = 1;
    }
}

void NetworkRunner::take_scores(Active& unit, const ScoreReply& reply) const {
    const Pass& pass = unit.pass;
    const ScoringSpec& spec = network_.scoring();
    const std::size_t width = cells_an_example(pass.measure, network_.classes().size());
    const std::size_t template_index = pass.layer_parameters().template_index;
    for (const auto& [i, place, target] : unit.asked) {
        const std::span<const TargetScore> all(reply.scores.at(place));
        const auto scores = pass.measure == Measure::target ? all.subspan(target, 1) : all;
        if (const std::string* why = failure_of(scores)) {
            unit.fail(i, *why);
            continue;
        }
        const auto cells = std::span(unit.result.cells).subspan(i * width, width);
        if (pass.measure == Measure::target) {
            const std::size_t bytes =
                network_.separator(pass.layer, template_index).size() + target_of(pass, i).size();
            cells[0] = to_fixed_point(target_score(scores.front().token_log_probs, bytes, spec));
        } else {
            write_class_cells(cells, network_.class_forms(template_index), scores);
        }
        cells.back() = 1;
    }
}

void NetworkRunner::write_class_cells(std::span<std::int64_t> cells,
                                      const ClassForms& forms,
                                      std::span<const TargetScore> scores) const {
    std::vector<std::vector<double>> by_class(network_.classes().size());
    for (std::size_t f = 0; f < scores.size(); ++f) {
        const auto& tokens = scores[f].token_log_probs;
        by_class[forms.class_of[f]].push_back(std::accumulate(tokens.begin(), tokens.end(), 0.0));
    }
    for (std::size_t c = 0; c < by_class.size(); ++c) {
        cells[c] = to_fixed_point(class_log_prob(by_class[c], network_.scoring().verbalizers));
    }
}

}  // namespace dln
