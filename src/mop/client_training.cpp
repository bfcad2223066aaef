#include "mop/client_training.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dln/error.hpp"
#include "dln/mop/adam.hpp"
#include "dln/nn/tape.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/train/batch.hpp"

#include "mop/gradient_sum.hpp"

namespace dln::mop {
namespace {

template <class T>
void append(const T& value, std::string& bytes) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T take(const std::string& bytes, std::size_t& at) {
    DLN_ASSERT(at + sizeof(T) <= bytes.size(), "{} bytes, {} read", bytes.size(), at);
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
    return value;
}

// Each client's own order of its examples.
BatchSampler batches_of(const ClientWork& work) {
    CounterRng random(
        {.seed = work.job.seed, .role = RandomRole::mixture_batch, .example = work.client});
    return BatchSampler(random.next(), work.job.train.batch_size, {work.examples});
}

std::vector<double> gate_mass(const ClientWork& work, const MixtureParameters& parameters) {
    nn::Matrix z(work.examples.size(), work.shape.width);
    for (std::size_t i = 0; i < work.examples.size(); ++i) {
        std::ranges::copy(work.train.z.row(work.examples[i]), z.row(i).begin());
    }
    nn::Tape tape;
    const TapedMixture taped = on_tape(tape, parameters, gate_use(work.job), std::move(z));
    const nn::Matrix& gate = tape.value(taped.gate);
    std::vector<double> mass(gate.columns);
    for (std::size_t i = 0; i < gate.rows; ++i) {
        for (std::size_t e = 0; e < gate.columns; ++e) mass[e] += gate.row(i)[e];
    }
    for (double& each : mass) each /= static_cast<double>(gate.rows);
    return mass;
}

// By parts, the weight of a client's row `row`.
double weight_of(const ClientResult& result,
                 Averaging averaging,
                 bool is_prompt,
                 std::size_t expert) {
    const auto examples = static_cast<double>(result.examples);
    return is_prompt && averaging == Averaging::gate_mass ? examples * result.gate_mass[expert]
                                                          : examples;
}

}  // namespace

void append_parameters(const MixtureParameters& parameters, std::string& bytes) {
    for (const nn::Matrix* part : parameters.parts()) {
        bytes.append(reinterpret_cast<const char*>(part->values.data()),
                     part->values.size() * sizeof(float));
    }
}

std::size_t read_parameters(const std::string& bytes,
                            std::size_t at,
                            MixtureParameters& parameters) {
    for (nn::Matrix* part : parameters.parts()) {
        const std::size_t size = part->values.size() * sizeof(float);
        DLN_ASSERT(at + size <= bytes.size(), "{} bytes, {} wanted", bytes.size(), at + size);
        std::memcpy(part->values.data(), bytes.data() + at, size);
        at += size;
    }
    return at;
}

ClientResult train_client(const ClientWork& work, MixtureParameters parameters) {
    const MopTrainSpec& spec = work.job.train;
    const std::size_t steps = work.job.federated->local_steps;
    const BatchSampler batches = batches_of(work);
    AdamState adam = fresh_adam(work.shape);
    ClientResult result{.client = static_cast<std::int64_t>(work.client),
                        .examples = static_cast<std::int64_t>(work.examples.size()),
                        .step = {},
                        .gate_mass = {},
                        .parameters = {}};
    for (std::size_t k = 0; k < steps && !result.step.has_diverged; ++k) {
        const std::int64_t step =
            work.round * static_cast<std::int64_t>(steps) + static_cast<std::int64_t>(k);
        const std::vector<std::uint64_t> batch = batches.batch(step);
        GradientSum sum(work.shape);
        for (std::size_t from = 0; from < batch.size(); from += spec.micro_batch) {
            const LoadedTexts loaded(
                work.train,
                std::span(batch).subspan(from, std::min(spec.micro_batch, batch.size() - from)));
            sum.add(differentiate(work.model, parameters, gate_use(work.job), loaded.texts()));
            if (work.on_turn) work.on_turn();
        }
        const TrainedStep taken = sum.step();
        result.step.nll += taken.nll;
        result.step.tokens += taken.tokens;
        result.step.has_diverged = taken.has_diverged;
        if (taken.has_diverged) break;
        MixtureParameters gradient = sum.mean();
        clip(gradient, spec.clip);
        take_adam_step({.prompts = spec.prompts_rate, .gate = spec.gate_rate}, gradient, adam,
                       parameters);
    }
    result.gate_mass = gate_mass(work, parameters);
    result.parameters = std::move(parameters);
    return result;
}

std::string serialize(const ClientResult& result) {
    std::string bytes;
    append(result.client, bytes);
    append(result.examples, bytes);
    append(result.step.nll, bytes);
    append(result.step.tokens, bytes);
    append(static_cast<char>(result.step.has_diverged ? 1 : 0), bytes);
    for (const double mass : result.gate_mass) append(mass, bytes);
    append_parameters(result.parameters, bytes);
    return bytes;
}

ClientResult deserialize_client(const std::string& bytes, const MixtureShape& shape) {
    ClientResult result;
    std::size_t at = 0;
    result.client = take<std::int64_t>(bytes, at);
    result.examples = take<std::int64_t>(bytes, at);
    result.step.nll = take<double>(bytes, at);
    result.step.tokens = take<std::int64_t>(bytes, at);
    result.step.has_diverged = take<char>(bytes, at) != 0;
    for (std::size_t e = 0; e < shape.experts; ++e) {
        result.gate_mass.push_back(take<double>(bytes, at));
    }
    result.parameters = zero_parameters(shape);
    at = read_parameters(bytes, at, result.parameters);
    DLN_ASSERT(at == bytes.size(), "{} bytes of {}", at, bytes.size());
    return result;
}

RoundAverage average(const std::vector<ClientResult>& results, Averaging averaging) {
    DLN_ASSERT(!results.empty(), "no client");
    RoundAverage round;
    for (const ClientResult& result : results) {
        round.step.nll += result.step.nll;
        round.step.tokens += result.step.tokens;
        round.step.has_diverged = round.step.has_diverged || result.step.has_diverged;
        round.clients.push_back(result.client);
    }
    if (round.step.has_diverged) return round;
    round.parameters = results.front().parameters;
    const std::size_t experts = results.front().gate_mass.size();
    const auto parts = round.parameters.parts();
    for (std::size_t p = 0; p < parts.size(); ++p) {
        nn::Matrix& to = *parts.at(p);
        const std::size_t rows_each = std::max<std::size_t>(1, to.rows / experts);
        for (std::size_t i = 0; i < to.values.size(); ++i) {
            const std::size_t expert = p == 0 ? i / to.columns / rows_each : 0;
            double sum = 0.0;
            double weights = 0.0;
            for (const ClientResult& result : results) {
                const double weight = weight_of(result, averaging, p == 0, expert);
                sum += weight * result.parameters.parts().at(p)->values[i];
                weights += weight;
            }
            to.values[i] = static_cast<float>(sum / weights);
        }
    }
    return round;
}

}  // namespace dln::mop
