#pragma once
// What one client of a federation does in a round, what it sends, and what becomes of all of that. Pure.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dln/job/mop_job.hpp"
#include "dln/mop/ranks.hpp"

namespace dln::mop {

/// Appends all numbers, bit by bit: ranks of a run are of one build.
void append_parameters(const MixtureParameters& parameters, std::string& bytes);
/// Fills `parameters`, of the right shape, with what stands in `bytes` from `at` on; returns where that ends.
[[nodiscard]] std::size_t read_parameters(const std::string& bytes,
                                          std::size_t at,
                                          MixtureParameters& parameters);

struct ClientWork {
    const MopJob& job;
    MixtureModel model;
    MixtureShape shape;
    const MixtureTexts& train;
    std::size_t client = 0;
    const std::vector<std::size_t>& examples;  ///< the client's
    std::int64_t round = 0;
    std::function<void()> on_turn;
};

struct ClientResult {
    std::int64_t client = 0;
    std::int64_t examples = 0;
    TrainedStep step;  ///< of all local steps
    std::vector<double>
        gate_mass;  ///< by expert, the mean weight that the client's texts give it in the end
    MixtureParameters parameters;
};

/// Local steps from `parameters`, with an optimiser of its own that begins anew in each round.
[[nodiscard]] ClientResult train_client(const ClientWork& work, MixtureParameters parameters);

[[nodiscard]] std::string serialize(const ClientResult& result);
[[nodiscard]] ClientResult deserialize_client(const std::string& bytes, const MixtureShape& shape);

/// The average of the clients' parameters, weighted by their examples (FedAvg, H. B. McMahan et al., arXiv 1602.05629),
/// or, for an expert's prompts, by examples times gate mass. In the order of `results`. Pre: not empty.
[[nodiscard]] RoundAverage average(const std::vector<ClientResult>& results, Averaging averaging);

}  // namespace dln::mop
