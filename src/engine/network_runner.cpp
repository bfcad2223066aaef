#include "dln/engine/network_runner.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"
#include "dln/network/scores.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/compare.hpp"

#include "engine/payload.hpp"

namespace dln {

// An evaluation unit goes through the layers; a generation unit is one request.
struct NetworkRunner::Active {
    payload::Content content;
    std::size_t layer = 0;
    std::vector<std::string> inputs;    // of `layer`, by example
    std::vector<std::string> failures;  // by example; empty: alive
    std::vector<std::size_t> asked;     // examples of the pending request, by item
    std::vector<std::vector<std::string>> texts;
    UnitResult result;

    void fail(std::size_t example, const std::string& why) {
        failures[example] = why.empty() ? "no reason given" : why;
        ++result.failures;
        if (result.first_failure.empty()) result.first_failure = failures[example];
    }
};

NetworkRunner::NetworkRunner(const Network& network,
                             const std::vector<Dataset>& splits,
                             Backend& backend,
                             std::uint64_t seed)
    : network_(network), splits_(splits), backend_(backend), seed_(seed) {}

NetworkRunner::~NetworkRunner() = default;

std::size_t NetworkRunner::wanted_units() const { return backend_.wanted_requests(); }

void NetworkRunner::start(std::uint64_t id, const std::string& bytes) {
    auto unit = std::make_unique<Active>();
    unit->content = payload::decode(bytes);
    if (const auto* request = std::get_if<GenerateRequest>(&unit->content)) {
        backend_.submit(id, *request);
    } else {
        const auto& evaluate = std::get<EvaluateUnit>(unit->content);
        const Dataset& split = splits_.at(evaluate.split);
        for (const std::uint64_t example : evaluate.examples) {
            unit->inputs.emplace_back(network_.visible_input(0, split[example].input));
        }
        unit->failures.resize(unit->inputs.size());
        unit->texts.resize(unit->inputs.size());
        unit->result.cells.assign(
            unit->inputs.size() * cells_an_example(evaluate.measure, network_.classes().size()), 0);
        submit_layer(id, *unit);
    }
    active_.emplace(id, std::move(unit));
}

void NetworkRunner::submit_layer(std::uint64_t id, Active& unit) {
    const auto& evaluate = std::get<EvaluateUnit>(unit.content);
    const LayerParameters& parameters = evaluate.parameters[unit.layer];
    const LayerSpec& layer = network_.layer(unit.layer);
    const bool is_last = unit.layer + 1 == network_.depth();
    const Dataset& split = splits_[evaluate.split];
    unit.asked.clear();
    ScoreRequest score;
    GenerateRequest generate{.items = {},
                             .max_tokens = layer.max_tokens,
                             .temperature = layer.temperature,
                             .top_p = 1.0,
                             .stop = layer.stop};
    for (std::size_t i = 0; i < unit.inputs.size(); ++i) {
        if (!unit.failures[i].empty()) continue;
        unit.asked.push_back(i);
        Context context = network_.context(unit.layer, parameters, unit.inputs[i]);
        if (is_last && evaluate.measure == Measure::classes) {
            score.items.push_back(
                {std::move(context), network_.class_forms(parameters.template_index).targets});
        } else if (is_last && evaluate.measure == Measure::target) {
            std::string target = network_.separator(unit.layer, parameters.template_index);
            target += split[evaluate.examples[i]].target;
            score.items.push_back({std::move(context), {std::move(target)}});
        } else {
            CounterRng random({.seed = seed_,
                               .step = evaluate.step,
                               .layer = unit.layer,
                               .role = RandomRole::forward_sampling,
                               .example = evaluate.examples[i]});
            generate.items.push_back({std::move(context), random.next()});
        }
    }
    if (score.items.empty()) {
        backend_.submit(id, std::move(generate));
    } else {
        backend_.submit(id, std::move(score));
    }
}

std::vector<UnitRunner::Finished> NetworkRunner::advance(std::chrono::milliseconds wait) {
    std::vector<Finished> finished;
    for (const Completion& completion : backend_.poll(wait)) {
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
    if (std::holds_alternative<GenerateRequest>(unit.content)) {
        take_generations(unit, std::get<GenerateReply>(completion.reply));
        return true;
    }
    if (const auto* scores = std::get_if<ScoreReply>(&completion.reply)) {
        take_scores(unit, *scores);
    } else {
        take_outputs(unit, std::get<GenerateReply>(completion.reply));
        if (++unit.layer < network_.depth()) {
            submit_layer(id, unit);
            return false;
        }
    }
    if (std::get<EvaluateUnit>(unit.content).want_texts) {
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
        if (text.ok()) continue;
        ++unit.result.failures;
        if (unit.result.first_failure.empty()) unit.result.first_failure = text.error;
    }
}

void NetworkRunner::take_outputs(Active& unit, const GenerateReply& reply) {
    const auto& evaluate = std::get<EvaluateUnit>(unit.content);
    const bool is_last = unit.layer + 1 == network_.depth();
    const Dataset& split = splits_[evaluate.split];
    const ScoringSpec& spec = network_.scoring();
    for (std::size_t item = 0; item < unit.asked.size(); ++item) {
        const std::size_t i = unit.asked[item];
        const GeneratedText& output = reply.texts.at(item);
        if (!output.ok()) {
            unit.fail(i, output.error);
            continue;
        }
        unit.texts[i].push_back(output.text);
        if (!is_last) {
            unit.inputs[i] = network_.next_input(unit.layer, unit.inputs[i], output.text);
            continue;
        }
        const std::string_view target = split[evaluate.examples[i]].target;
        const bool right = spec.metric == Metric::number
                               ? number_present(output.text, target)
                               : exact_match(output.text, target, spec.ignore_case);
        unit.result.cells[2 * i] = to_fixed_point(right ? 1.0 : 0.0);
        unit.result.cells[2 * i + 1] = 1;
    }
}

void NetworkRunner::take_scores(Active& unit, const ScoreReply& reply) {
    const auto& evaluate = std::get<EvaluateUnit>(unit.content);
    const ScoringSpec& spec = network_.scoring();
    const std::size_t width = cells_an_example(evaluate.measure, network_.classes().size());
    const std::size_t template_index = evaluate.parameters.back().template_index;
    for (std::size_t item = 0; item < unit.asked.size(); ++item) {
        const std::size_t i = unit.asked[item];
        const std::vector<TargetScore>& scores = reply.scores.at(item);
        const auto failed = std::ranges::find_if(scores, [](const auto& s) { return !s.ok(); });
        if (failed != scores.end()) {
            unit.fail(i, failed->error);
            continue;
        }
        const auto cells = std::span(unit.result.cells).subspan(i * width, width);
        if (evaluate.measure == Measure::target) {
            const std::string_view target = splits_[evaluate.split][evaluate.examples[i]].target;
            const std::size_t bytes =
                network_.separator(unit.layer, template_index).size() + target.size();
            cells[0] = to_fixed_point(target_score(scores.front().token_log_probs, bytes, spec));
        } else {
            const ClassForms& forms = network_.class_forms(template_index);
            std::vector<std::vector<double>> by_class(network_.classes().size());
            for (std::size_t f = 0; f < scores.size(); ++f) {
                const auto& tokens = scores[f].token_log_probs;
                by_class[forms.class_of[f]].push_back(
                    std::accumulate(tokens.begin(), tokens.end(), 0.0));
            }
            for (std::size_t c = 0; c < by_class.size(); ++c) {
                cells[c] = to_fixed_point(class_log_prob(by_class[c], spec.verbalizers));
            }
        }
        cells.back() = 1;
    }
}

}  // namespace dln
