#include "train/step_outcome.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "train/gates.hpp"

namespace dln {
namespace {

void note_tried_templates(const StepRecord& record, TrainState& state) {
    // Then no candidate was scored.
    if (record.nothing_to_learn && state.current.size() > 1) return;
    state.tried_in_templates.clear();
    for (const LayerParameters& layer : state.current) {
        for (const LayerParameters& expert : experts_of(layer)) {
            state.tried_in_templates.push_back(expert.prompt);
        }
    }
}

void note_history(const TrainContext& context, const StepRecord& record, TrainState& state) {
    if (!context.proposer.shows_history()) return;
    state.history.resize(state.current.size());
    const bool is_share = context.network.scoring().objective == Objective::accuracy;
    for (const LayerRecord& layer : record.layers) {
        for (const CandidateScore& score : layer.scores) {
            if (score.scored == 0) continue;
            const double worth = is_share ? score.mean() : std::exp(score.mean());
            note_tried(state.history[layer.layer],
                       {layer.candidates[score.candidate].parameters.prompt, 100.0 * worth},
                       context.proposer.spec().history);
        }
    }
}

// Those that have a score, best first.
std::vector<LayerParameters> ranked_candidates(const LayerRecord& layer) {
    std::vector<CandidateScore> scores = layer.scores;
    std::erase_if(scores, [](const CandidateScore& score) { return score.scored == 0; });
    std::ranges::stable_sort(scores, [](const CandidateScore& a, const CandidateScore& b) {
        return a.mean() > b.mean();
    });
    std::vector<LayerParameters> ranked;
    for (const CandidateScore& score : scores) {
        ranked.push_back(layer.candidates[score.candidate].parameters);
    }
    return ranked;
}

}  // namespace

void add_usage(const TaskGraph& graph, const std::vector<TaskId>& tasks, StepRecord& record) {
    // The order of tasks is that of arrival, which must not show: the first of all failures by its text.
    for (const TaskId task : tasks) {
        const TaskResult& result = graph.result(task);
        record.usage += result.usage;
        record.failures += result.failures;
        std::string& first = record.first_failure;
        const std::string& other = result.first_failure;
        if (!other.empty() && (first.empty() || other < first)) first = other;
    }
}

std::size_t min_scored(const TrainContext& context, const StepRecord& record) {
    const double share = context.network.scoring().min_scored;
    const double wanted = std::ceil(share * static_cast<double>(record.ranked_on.size()));
    return std::max<std::size_t>(static_cast<std::size_t>(wanted), 1);
}

double tie_margin(const TrainContext& context, const TrainState& state) {
    return std::max(context.job.train.tie_margin, state.noise_floor);
}

NetworkParameters chosen_parameters(const StepRecord& record, const NetworkParameters& current) {
    NetworkParameters chosen = current;
    for (const LayerRecord& layer : record.layers) {
        set_expert(chosen[layer.layer], layer.expert, layer.chosen_parameters());
    }
    return chosen;
}

void check_usable(const TrainContext& context, const StepRecord& record) {
    const auto step = record.step + 1;
    std::size_t proposals = 0;
    for (const LayerRecord& layer : record.layers) proposals += layer.proposals.size();
    if (proposals > 0 && record.proposals_too_long == proposals) {
        throw UsageError(
            fmt::format("{}: {}/context_tokens: the context has {} tokens, and no proposal of "
                        "step {} fits into it even without examples. Expected at least {} "
                        "(/train/proposals/max_tokens of them for the reply).",
                        context.job.path, backward_pointer(context.job),
                        context.backward.info().context_tokens, step, record.proposal_tokens));
    }
    if (record.nothing_to_learn) return;
    const auto has_score = [](const CandidateScore& score) { return score.scored > 0; };
    for (const LayerRecord& layer : record.layers) {
        if (std::ranges::any_of(layer.scores, has_score)) continue;
        throw BackendError(fmt::format(
            "step {}: no request for a score{} succeeded; the first: {}", step,
            context.network.depth() == 1 ? "" : fmt::format(" of layer {}", layer.layer + 1),
            printable(record.first_failure)));
    }
}

void take_step(const TrainContext& context, const StepRecord& record, TrainState& state) {
    note_tried_templates(record, state);
    note_history(context, record, state);
    state.current = chosen_parameters(record, state.current);
    refit_gates(context, record, state);
    ++state.steps_done;
    state.usage += record.usage;
    if (record.backward_usage) {
        state.backward_usage = state.backward_usage.value_or(Usage{});
        *state.backward_usage += *record.backward_usage;
    }
}

std::vector<NetworkParameters> worth_evaluating(const StepRecord* record,
                                                const NetworkParameters& current,
                                                std::size_t most) {
    std::vector<NetworkParameters> worth{current};
    if (record == nullptr) return worth;
    std::vector<std::vector<LayerParameters>> ranked;
    std::size_t ranks = 0;
    for (const LayerRecord& layer : record->layers) {
        ranked.push_back(ranked_candidates(layer));
        ranks = std::max(ranks, ranked.back().size());
    }
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        // The last layer first.
        for (std::size_t l = ranked.size(); l-- > 0;) {
            if (worth.size() >= most) return worth;
            if (rank >= ranked[l].size()) continue;
            NetworkParameters next = current;
            set_expert(next[record->layers[l].layer], record->layers[l].expert, ranked[l][rank]);
            if (next != current) worth.push_back(std::move(next));
        }
    }
    return worth;
}

}  // namespace dln
