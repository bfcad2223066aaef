#include "dln/mop/gate_training.hpp"

#include <algorithm>

#include "dln/error.hpp"
#include "dln/mop/adam.hpp"
#include "dln/nn/operations.hpp"

namespace dln::mop {
namespace {

using nn::Matrix;
using nn::Tape;
using nn::Variable;

Matrix wanted_gates(const std::vector<std::size_t>& task_of,
                    std::size_t tasks,
                    std::size_t experts) {
    Matrix wanted(task_of.size(), experts);
    for (std::size_t i = 0; i < task_of.size(); ++i) {
        const std::vector<std::size_t> own = experts_of_task(task_of[i], tasks, experts);
        for (const std::size_t expert : own) {
            wanted.row(i)[expert] = 1.0F / static_cast<float>(own.size());
        }
    }
    return wanted;
}

}  // namespace

std::vector<std::size_t> experts_of_task(std::size_t task, std::size_t tasks, std::size_t experts) {
    DLN_ASSERT(task < tasks && tasks <= experts, "task {} of {}, {} experts", task, tasks, experts);
    std::vector<std::size_t> own;
    for (std::size_t expert = task; expert < experts; expert += tasks) own.push_back(expert);
    return own;
}

double pretrain_gate(nn::MatrixView z,
                     const std::vector<std::size_t>& task_of,
                     std::size_t tasks,
                     const GateTraining& training,
                     MixtureParameters& parameters) {
    DLN_ASSERT(z.rows == task_of.size() && z.rows > 0, "{} texts, {} labels", z.rows,
               task_of.size());
    const std::size_t experts = parameters.b2.columns;
    const Matrix wanted = wanted_gates(task_of, tasks, experts);
    Matrix inputs(z.rows, z.columns);
    std::ranges::copy(z.values, inputs.values.begin());
    AdamState adam = fresh_adam({.experts = experts,
                                 .vectors = parameters.prompts.rows / experts,
                                 .width = parameters.prompts.columns,
                                 .gate = parameters.b1.columns});
    double loss = 0.0;
    for (std::size_t step = 0; step < training.steps; ++step) {
        Tape tape;
        std::array<Variable, 5> parts{};
        const auto values = parameters.parts();
        parts[0] = tape.constant(Matrix());  // prompts have no part in it
        for (std::size_t i = 1; i < parts.size(); ++i) {
            parts.at(i) = tape.parameter(*values.at(i));
        }
        const Variable mean =
            cross_entropy_of_shares(tape, gate_logits(tape, tape.constant(inputs), parts), wanted);
        tape.backward(mean);
        loss = tape.value(mean).values[0];
        MixtureParameters gradient = adam.first;
        const auto to = gradient.parts();
        std::ranges::fill(to[0]->values, 0.0F);
        for (std::size_t i = 1; i < parts.size(); ++i) *to.at(i) = tape.gradient(parts.at(i));
        take_adam_step({.prompts = 0.0, .gate = training.rate}, gradient, adam, parameters);
    }
    return loss;
}

}  // namespace dln::mop
