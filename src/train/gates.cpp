#include "train/gates.hpp"

#include <algorithm>
#include <cmath>

#include "dln/error.hpp"
#include "dln/network/clusters.hpp"
#include "dln/network/gate.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln {
namespace {

// The share that an input's own cluster gets of it, before a gate is there.
constexpr double kOwnCluster = 0.9;
// Where right answers count, an expert's probability of a wrong one.
constexpr double kWrong = 0.05;

// By training example; none where it has no embedding.
std::vector<std::optional<std::size_t>> clusters_of_training(const TrainContext& context,
                                                             std::size_t layer,
                                                             std::size_t experts) {
    const std::vector<std::span<const float>> all = context.inputs->of_split(kTrainSplit);
    std::vector<std::span<const float>> rows;
    for (const auto& row : all) {
        if (!row.empty()) rows.push_back(row);
    }
    const std::vector<std::size_t> clusters = cluster_rows(
        rows, experts,
        CounterRng({.seed = context.job.seed, .layer = layer, .role = RandomRole::clusters}));
    std::vector<std::optional<std::size_t>> of_examples;
    for (std::size_t i = 0, next = 0; i < all.size(); ++i) {
        auto& cluster = of_examples.emplace_back();
        if (!all[i].empty()) cluster = clusters[next++];
    }
    return of_examples;
}

std::vector<double> cluster_log_probs(std::optional<std::size_t> cluster, std::size_t experts) {
    const auto count = static_cast<double>(experts);
    if (!cluster) return std::vector<double>(experts, -std::log(count));
    std::vector<double> log_probs(experts, std::log((1.0 - kOwnCluster) / (count - 1.0)));
    log_probs[*cluster] = std::log(kOwnCluster);
    return log_probs;
}

MixtureRecord ask_gate(const TrainContext& context,
                       const LayerParameters& layer,
                       std::size_t index,
                       const std::vector<std::uint64_t>& batch) {
    MixtureRecord mixture{.layer = index, .experts = expert_count(layer)};
    std::vector<std::optional<std::size_t>> clusters;
    if (!layer.gate.is_fitted()) {
        clusters = clusters_of_training(context, index, mixture.experts);
    }
    for (const std::uint64_t example : batch) {
        std::vector<double> log_gate =
            gate_log_probs(layer.gate, mixture.experts, context.inputs->of(kTrainSplit, example));
        mixture.routed.push_back(largest_of(log_gate));
        if (!layer.gate.is_fitted()) {
            log_gate = cluster_log_probs(clusters[example], mixture.experts);
        }
        mixture.log_gate.insert(mixture.log_gate.end(), log_gate.begin(), log_gate.end());
    }
    return mixture;
}

Gate fitted_gate(const TrainContext& context,
                 const Responsibilities& seen,
                 const GateFitSpec& spec) {
    std::vector<std::span<const float>> all = context.inputs->of_split(kTrainSplit);
    std::erase_if(all, [](const auto& row) { return row.empty(); });
    std::vector<std::span<const float>> rows;
    std::vector<double> targets;
    for (const auto& [example, shares] : seen) {
        const auto row = context.inputs->of(kTrainSplit, example);
        if (row.empty()) continue;
        rows.push_back(row);
        targets.insert(targets.end(), shares.begin(), shares.end());
    }
    return fit_gate(rows, targets, gate_scale(all), spec.l2, spec.iterations);
}

}  // namespace

std::vector<double> MixtureRecord::shares_of(std::size_t expert) const {
    std::vector<double> shares;
    for (std::size_t i = expert; i < responsibilities.size(); i += experts) {
        shares.push_back(responsibilities[i]);
    }
    return shares;
}

bool MixtureRecord::owns(std::size_t expert, std::size_t position) const {
    const auto shares = std::span(responsibilities).subspan(position * experts, experts);
    return shares[expert] > 0.0 && largest_of(shares) == expert;
}

const MixtureRecord* mixture_of(const StepRecord& record, std::size_t layer) {
    const auto found = std::ranges::find(record.mixtures, layer, &MixtureRecord::layer);
    return found == record.mixtures.end() ? nullptr : &*found;
}

std::size_t expert_at(const StepRecord& record, std::size_t layer, std::size_t position) {
    const MixtureRecord* const mixture = mixture_of(record, layer);
    return mixture == nullptr ? 0 : mixture->routed[position];
}

std::vector<MixtureRecord> ask_gates(const TrainContext& context,
                                     const NetworkParameters& current,
                                     const std::vector<std::uint64_t>& batch) {
    std::vector<MixtureRecord> mixtures;
    for (std::size_t l = 0; l < current.size(); ++l) {
        if (current[l].others.empty()) continue;
        DLN_ASSERT(context.inputs != nullptr, "mixture layers, and no embeddings of inputs");
        mixtures.push_back(ask_gate(context, current[l], l, batch));
    }
    return mixtures;
}

void share_out(const TrainContext& context,
               std::span<const ExampleValues> by_expert,
               MixtureRecord& mixture) {
    const bool counts_right = context.network.scoring().objective == Objective::accuracy;
    const std::size_t experts = mixture.experts;
    mixture.responsibilities.assign(mixture.log_gate.size(), 0.0);
    for (std::size_t i = 0; i < mixture.routed.size(); ++i) {
        std::vector<std::optional<double>> log_likelihood;
        for (const ExampleValues& values : by_expert) {
            auto& value = log_likelihood.emplace_back(values[i]);
            if (value && counts_right) value = std::log(kWrong + (1.0 - 2.0 * kWrong) * *value);
        }
        const auto shares = responsibilities(
            std::span(mixture.log_gate).subspan(i * experts, experts), log_likelihood);
        if (!shares) continue;
        std::ranges::copy(
            *shares, mixture.responsibilities.begin() + static_cast<std::ptrdiff_t>(i * experts));
    }
}

void refit_gates(const TrainContext& context, const StepRecord& record, TrainState& state) {
    for (const MixtureRecord& mixture : record.mixtures) {
        if (mixture.responsibilities.empty()) continue;
        Responsibilities& seen = state.responsibilities[mixture.layer];
        for (std::size_t i = 0; i < record.batch.size(); ++i) {
            const auto shares =
                std::span(mixture.responsibilities).subspan(i * mixture.experts, mixture.experts);
            // No expert had a score.
            if (shares[largest_of(shares)] == 0.0) continue;
            seen[record.batch[i]].assign(shares.begin(), shares.end());
        }
        Gate gate = fitted_gate(context, seen, context.network.layer(mixture.layer).mixture.gate);
        if (gate.is_fitted()) state.current[mixture.layer].gate = std::move(gate);
    }
}

}  // namespace dln
