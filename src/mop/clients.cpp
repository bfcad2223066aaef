#include "dln/mop/clients.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <boost/random/gamma_distribution.hpp>
#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/random/counter_rng.hpp"

namespace dln::mop {
namespace {

// What a stream of the role mixture_clients is for: the key's `layer`.
constexpr std::uint64_t kTasksStream = 0;
constexpr std::uint64_t kExamplesStream = 1;
constexpr std::uint64_t kSharesStream = 2;

CounterRng stream(std::uint64_t seed, std::uint64_t layer, std::uint64_t task) {
    return CounterRng(
        {.seed = seed, .layer = layer, .role = RandomRole::mixture_clients, .example = task});
}

// As Boost.Random wants its generators.
struct Generator {
    using result_type = std::uint64_t;
    CounterRng& random;
    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
    result_type operator()() { return random.next(); }
};

// Which clients have examples of each task: one or two tasks a client, and every task somewhere.
std::vector<std::vector<std::size_t>> owners_of_tasks(std::size_t tasks,
                                                      std::size_t clients,
                                                      std::uint64_t seed) {
    CounterRng random = stream(seed, kTasksStream, 0);
    const std::vector<std::size_t> order = random.permutation(tasks);
    std::vector<std::vector<std::size_t>> owners(tasks);
    for (std::size_t c = 0; c < clients; ++c) owners[order[c % tasks]].push_back(c);
    for (std::size_t c = 0; c < clients; ++c) {
        std::size_t second = order[(c + clients) % tasks];
        const bool is_needed = owners[second].empty();
        if (!is_needed) second = random.below(tasks);
        const bool is_new = std::ranges::find(owners[second], c) == owners[second].end();
        if (is_new && (is_needed || random.below(2) == 0)) owners[second].push_back(c);
    }
    return owners;
}

// Shares that add up to 1: gamma variables over their sum.
std::vector<double> dirichlet(std::size_t count, double alpha, CounterRng& random) {
    boost::random::gamma_distribution<double> gamma(alpha);
    Generator generator{random};
    std::vector<double> shares(count);
    double sum = 0.0;
    for (double& share : shares) {
        share = gamma(generator);
        sum += share;
    }
    // With a tiny alpha all may be too small to be told from 0: then one has everything, as in the limit.
    if (sum <= 0.0) {
        shares[random.below(count)] = 1.0;
        sum = 1.0;
    }
    for (double& share : shares) share /= sum;
    return shares;
}

// How many of a task's examples each client gets.
std::vector<double> shares_of(const FederatedSpec& spec,
                              const std::vector<std::size_t>& owners,
                              std::uint64_t seed,
                              std::size_t task) {
    if (spec.skew == ClientSkew::dirichlet) {
        CounterRng random = stream(seed, kSharesStream, task);
        return dirichlet(spec.clients, spec.alpha, random);
    }
    std::vector<double> shares(spec.clients);
    for (const std::size_t c : owners) shares[c] = 1.0 / static_cast<double>(owners.size());
    return shares;
}

}  // namespace

std::vector<std::vector<std::size_t>> make_clients(const std::vector<std::size_t>& task_of,
                                                   std::size_t tasks,
                                                   const FederatedSpec& spec,
                                                   std::uint64_t seed) {
    std::vector<std::vector<std::size_t>> owners(tasks);
    if (spec.skew == ClientSkew::tasks) owners = owners_of_tasks(tasks, spec.clients, seed);
    std::vector<std::vector<std::size_t>> clients(spec.clients);
    for (std::size_t task = 0; task < tasks; ++task) {
        std::vector<std::size_t> examples;
        for (std::size_t i = 0; i < task_of.size(); ++i) {
            if (task_of[i] == task) examples.push_back(i);
        }
        CounterRng random = stream(seed, kExamplesStream, task);
        const std::vector<std::size_t> order = random.permutation(examples.size());
        const std::vector<double> shares = shares_of(spec, owners[task], seed, task);
        double until = 0.0;
        std::size_t from = 0;
        for (std::size_t c = 0; c < spec.clients; ++c) {
            until += shares[c];
            const auto end = static_cast<std::size_t>(
                std::lround(std::min(until, 1.0) * static_cast<double>(examples.size())));
            for (; from < end; ++from) clients[c].push_back(examples[order[from]]);
        }
    }
    for (std::size_t c = 0; c < clients.size(); ++c) {
        std::ranges::sort(clients[c]);
        if (!clients[c].empty()) continue;
        throw UsageError(fmt::format(
            "/federated/clients: client {} of {} has no example. Expected fewer clients{}, or "
            "another /seed.",
            c, clients.size(),
            spec.skew == ClientSkew::dirichlet ? fmt::format(", an alpha above {}", spec.alpha)
                                               : std::string()));
    }
    return clients;
}

std::vector<std::size_t> draw_round(const FederatedSpec& spec,
                                    std::uint64_t seed,
                                    std::int64_t round) {
    CounterRng random({.seed = seed,
                       .step = static_cast<std::uint64_t>(round),
                       .role = RandomRole::mixture_round});
    std::vector<std::size_t> asked = random.permutation(spec.clients);
    const double wanted = std::ceil(spec.participation * static_cast<double>(spec.clients) - 1e-9);
    asked.resize(std::max<std::size_t>(1, static_cast<std::size_t>(wanted)));
    std::vector<std::size_t> answering;
    for (const std::size_t c : asked) {
        if (random.uniform() >= spec.drop_out) answering.push_back(c);
    }
    if (answering.empty()) answering.push_back(asked.front());
    std::ranges::sort(answering);
    return answering;
}

}  // namespace dln::mop
