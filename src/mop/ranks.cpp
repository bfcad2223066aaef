#include "dln/mop/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>
#include <utility>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"
#include "dln/mop/adam.hpp"
#include "dln/mop/clients.hpp"
#include "dln/random/counter_rng.hpp"

#include "mop/client_training.hpp"
#include "mop/gradient_sum.hpp"

namespace dln::mop {
namespace {

// Texts whose losses are measured together. Part of no job: it may enter the last bits of a loss.
constexpr std::size_t kMeasuredTogether = 4;

BatchSampler batches_of(const MopJob& job, std::size_t texts) {
    std::vector<std::size_t> all(texts);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return BatchSampler(job.seed, job.train.batch_size, {std::move(all)});
}

}  // namespace

// What rank 0 asks for, as it is broadcast: the kind of work, a step, round or split, and parameters.
struct MixtureRanks::Order {
    Work work = Work::end;
    std::int64_t number = 0;
    MixtureParameters parameters;

    [[nodiscard]] std::string serialize() const {
        std::string bytes(1, static_cast<char>(work));
        bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
        append_parameters(parameters, bytes);
        return bytes;
    }
    static Order deserialize(const std::string& bytes, const MixtureShape& shape) {
        Order order;
        DLN_ASSERT(!bytes.empty(), "an empty order");
        order.work = static_cast<Work>(bytes.front());
        if (order.work == Work::end) return order;
        std::memcpy(&order.number, bytes.data() + 1, sizeof order.number);
        order.parameters = zero_parameters(shape);
        (void)read_parameters(bytes, 1 + sizeof order.number, order.parameters);
        return order;
    }
};

GateUse gate_use(const MopJob& job) {
    switch (job.mixture.gate.kind) {
        case GateKind::learned:
            return GateUse::learned;
        case GateKind::frozen:
            return GateUse::frozen;
        case GateKind::uniform:
            return GateUse::uniform;
    }
    throw InternalError("a gate of no kind");
}

MixtureRanks::MixtureRanks(Communicator& comm, Setting setting)
    : comm_(comm),
      setting_(std::move(setting)),
      batches_(batches_of(setting_.job, setting_.splits[0]->size())) {
    const MopJob& job = setting_.job;
    // Without training texts nothing is trained, and clients have none.
    if (job.federated && setting_.splits[0]->size() > 0) {
        clients_ =
            make_clients(setting_.splits[0]->task_of, job.tasks.size(), *job.federated, job.seed);
    }
}

bool MixtureRanks::is_mine(std::size_t unit) const {
    return unit % static_cast<std::size_t>(comm_.size()) == static_cast<std::size_t>(comm_.rank());
}

bool MixtureRanks::asked_here() const { return setting_.is_stop_asked && setting_.is_stop_asked(); }

// Rank 0's own failure must not leave the others waiting for it in a sum. One of another rank ends all.
void MixtureRanks::try_own_share(const std::function<void()>& work) {
    try {
        work();
    } catch (const CommError&) {
        throw;
    } catch (const Error&) {
        if (comm_.rank() != 0) throw;
        if (!failure_) failure_ = std::current_exception();
    }
}

void MixtureRanks::turn() {
    if (setting_.on_turn) try_own_share(setting_.on_turn);
}

void MixtureRanks::give(Work work, std::int64_t number, const MixtureParameters& parameters) {
    (void)comm_.broadcast(
        Order{.work = work, .number = number, .parameters = parameters}.serialize());
}

void MixtureRanks::end() { (void)comm_.broadcast(std::string(1, static_cast<char>(Work::end))); }

// The last cell tells how many ranks were asked to stop.
std::vector<std::int64_t> MixtureRanks::sum(std::vector<std::int64_t> cells) {
    cells.push_back(asked_here() ? 1 : 0);
    const std::unique_ptr<PendingSum> pending = comm_.start_sum(std::move(cells));
    while (!pending->done()) {
        turn();
        std::this_thread::yield();
    }
    std::vector<std::int64_t> total = pending->take();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (total.empty()) return total;  // not rank 0
    is_stop_asked_ = is_stop_asked_ || total.back() > 0;
    total.pop_back();
    return total;
}

std::vector<std::int64_t> MixtureRanks::gradient_cells(const MixtureParameters& parameters,
                                                       std::int64_t step) {
    GradientSum sum(setting_.shape);
    const MixtureTexts& train = *setting_.splits[0];
    const std::vector<std::uint64_t> batch = batches_.batch(step);
    const std::size_t each = setting_.job.train.micro_batch;
    for (std::size_t from = 0, unit = 0; from < batch.size(); from += each, ++unit) {
        if (!is_mine(unit)) continue;
        const LoadedTexts loaded(
            train, std::span(batch).subspan(from, std::min(each, batch.size() - from)));
        sum.add(differentiate(setting_.model, parameters, gate_use(setting_.job), loaded.texts()));
        turn();
    }
    return sum.cells();
}

BatchGradient MixtureRanks::gradient(const MixtureParameters& parameters, std::int64_t step) {
    give(Work::gradient, step, parameters);
    std::vector<std::int64_t> cells = GradientSum(setting_.shape).cells();
    try_own_share([&] { cells = gradient_cells(parameters, step); });
    const GradientSum total(setting_.shape, sum(std::move(cells)));
    const TrainedStep trained = total.step();
    if (trained.has_diverged) return {.step = trained, .gradient = {}};
    return {.step = trained, .gradient = total.mean()};
}

// For each text: loss, whether it is right, whether it has diverged; then its gate.
std::vector<std::int64_t> MixtureRanks::loss_cells(const MixtureParameters& parameters,
                                                   std::size_t split) {
    const MixtureTexts& all = *setting_.splits.at(split);
    const std::size_t experts = setting_.shape.experts;
    const std::size_t width = 2 + experts;
    std::vector<std::int64_t> cells(all.size() * width);
    for (std::size_t from = 0, unit = 0; from < all.size(); from += kMeasuredTogether, ++unit) {
        if (!is_mine(unit)) continue;
        const std::size_t count = std::min(kMeasuredTogether, all.size() - from);
        std::vector<std::size_t> indices(count);
        std::iota(indices.begin(), indices.end(), from);
        const MeasuredTexts measured = measure(setting_.model, parameters, gate_use(setting_.job),
                                               LoadedTexts(all, indices).texts());
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = (from + i) * width;
            const TextLoss& loss = measured.losses[i];
            // What is no number is told as such, and never summed.
            const bool is_sound = std::isfinite(loss.nll) && loss.nll < 1e6;
            cells[at] = is_sound ? to_fixed_point(loss.nll) : -1;
            cells[at + 1] = loss.right ? 1 : 0;
            for (std::size_t e = 0; is_sound && e < experts; ++e) {
                cells[at + 2 + e] = to_fixed_point(measured.gate.row(i)[e]);
            }
        }
        turn();
    }
    return cells;
}

SplitLosses MixtureRanks::evaluate(const MixtureParameters& parameters, std::size_t split) {
    give(Work::evaluate, static_cast<std::int64_t>(split), parameters);
    const MixtureTexts& all = *setting_.splits.at(split);
    const std::size_t experts = setting_.shape.experts;
    std::vector<std::int64_t> cells(all.size() * (2 + experts));
    try_own_share([&] { cells = loss_cells(parameters, split); });
    cells = sum(std::move(cells));
    SplitLosses result{.losses = {}, .gate = nn::Matrix(all.size(), experts)};
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::size_t at = i * (2 + experts);
        result.losses.push_back({.nll = cells[at] < 0 ? std::nan("") : from_fixed_point(cells[at]),
                                 .tokens = all.answers[i].size(),
                                 .right = cells[at + 1] != 0});
        for (std::size_t e = 0; e < experts; ++e) {
            result.gate.row(i)[e] = static_cast<float>(from_fixed_point(cells[at + 2 + e]));
        }
    }
    return result;
}

std::vector<ClientResult> MixtureRanks::train_clients(const MixtureParameters& parameters,
                                                      std::int64_t round) {
    const FederatedSpec& spec = *setting_.job.federated;
    const std::vector<std::size_t> asked = draw_round(spec, setting_.job.seed, round);
    std::vector<ClientResult> results;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        if (!is_mine(i)) continue;
        results.push_back(train_client({.job = setting_.job,
                                        .model = setting_.model,
                                        .shape = setting_.shape,
                                        .train = *setting_.splits[0],
                                        .client = asked[i],
                                        .examples = clients_[asked[i]],
                                        .round = round,
                                        .on_turn = [this] { turn(); }},
                                       parameters));
    }
    return results;
}

RoundAverage MixtureRanks::round(const MixtureParameters& parameters, std::int64_t round) {
    give(Work::round, round, parameters);
    std::vector<ClientResult> results;
    try_own_share([&] { results = train_clients(parameters, round); });
    const std::size_t asked = draw_round(*setting_.job.federated, setting_.job.seed, round).size();
    std::size_t awaited = 0;
    for (std::size_t i = 0; i < asked; ++i) awaited += is_mine(i) ? 0U : 1U;
    while (awaited > 0) {
        while (auto message = comm_.receive()) {
            results.push_back(deserialize_client(message->bytes, setting_.shape));
            --awaited;
        }
        turn();
        std::this_thread::yield();
    }
    (void)sum({});  // whether a rank was asked to stop
    std::ranges::sort(results, {}, &ClientResult::client);
    return average(results, setting_.job.federated->averaging);
}

void MixtureRanks::serve() {
    for (;;) {
        const Order order = Order::deserialize(comm_.broadcast({}), setting_.shape);
        switch (order.work) {
            case Work::gradient:
                (void)sum(gradient_cells(order.parameters, order.number));
                break;
            case Work::evaluate:
                (void)sum(loss_cells(order.parameters, static_cast<std::size_t>(order.number)));
                break;
            case Work::round:
                for (const ClientResult& result : train_clients(order.parameters, order.number)) {
                    comm_.send(0, serialize(result));
                }
                (void)sum({});
                break;
            case Work::end:
                return;
        }
    }
}

}  // namespace dln::mop
