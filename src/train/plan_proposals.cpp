// The proposals of a step before anything of them is known.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dln/random/counter_rng.hpp"
#include "dln/train/trainer.hpp"

#include "train/plan_texts.hpp"

namespace dln {

ProposalInput expected_proposal_input(const Job& job,
                                      const Network& network,
                                      const Dataset& train,
                                      std::int64_t step,
                                      double right,
                                      const std::vector<std::string>& prompts) {
    ProposalInput input{.seed = job.seed, .step = static_cast<std::uint64_t>(step)};
    std::vector<std::uint64_t> batch = make_batches(job, network, train).batch(step);
    if (job.train.held_out_ranking && batch.size() > 1) batch.resize(batch.size() / 2);
    CounterRng random(
        {.seed = job.seed, .step = static_cast<std::uint64_t>(step), .role = RandomRole::plan});
    for (const std::uint64_t i : batch) {
        // A wrong answer is taken to be as long as the right one.
        input.batch.push_back({.input = std::string(train[i].input),
                               .target = std::string(train[i].target),
                               .output = std::string(train[i].target),
                               .right = random.uniform() < right});
    }
    const LayerSpec& layer = network.layer(network.depth() - 1);
    if (step == 0 || prompts.empty()) {
        input.prompts = {layer.prompts.front()};
    } else {
        for (std::size_t p = 0; p < std::min(job.train.memory + 1, prompts.size()); ++p) {
            input.prompts.push_back(prompts[(static_cast<std::size_t>(step) + p) % prompts.size()]);
        }
    }
    input.good = input.prompts;
    input.known = input.prompts;
    input.known.insert(input.known.end(), layer.prompts.begin(), layer.prompts.end());
    input.classes = class_names(network);
    return input;
}

bool knows_first_proposals(const Job& job, const Network& network, const Dataset& train) {
    const Proposer proposer(job.train.proposals);
    const ProposalInput input = expected_proposal_input(job, network, train, 0, 0.0, {});
    ProposalInput other = input;
    for (ShownExample& example : other.batch) {
        example.output += " not";
        example.right = true;
    }
    const auto fits = [](const Context&) { return true; };
    for (const ProposalRequest& request : proposer.requests(0, job.train.candidates - 1)) {
        const auto one = proposer.item(input, request.proposals.front(), fits);
        const auto two = proposer.item(other, request.proposals.front(), fits);
        if (!one || !two || one->context.text != two->context.text) return false;
    }
    return true;
}

// Of the replies to `asked` proposals, k are expected to be prompts. A prompt that came c times in n is among k
// of these n, drawn without repetition, with probability 1 - C(n-c, k) / C(n, k).
double share_of_new(const std::vector<std::size_t>& times, std::size_t replies, std::size_t asked) {
    const auto n = static_cast<double>(std::accumulate(times.begin(), times.end(), std::size_t{0}));
    if (n == 0.0 || asked == 0) return 0.0;
    const double k =
        std::min(std::round(static_cast<double>(asked) * n / static_cast<double>(replies)), n);
    if (k < 1.0) return n / static_cast<double>(replies);
    double different = 0.0;
    for (const std::size_t c : times) {
        double absent = 1.0;
        for (std::size_t i = 0; i < c; ++i) {
            absent *= std::max(n - k - static_cast<double>(i), 0.0) / (n - static_cast<double>(i));
        }
        different += 1.0 - absent;
    }
    return different / k * n / static_cast<double>(replies);
}

}  // namespace dln
