#include "dln/nn/tape.hpp"

#include <algorithm>

#include <malloc.h>

#include "dln/error.hpp"

namespace dln::nn {

Variable Tape::constant(Matrix value) {
    nodes_.push_back({.value = std::move(value)});
    return {nodes_.size() - 1};
}

Variable Tape::parameter(Matrix value) {
    nodes_.push_back({.value = std::move(value), .gradient = {}, .wants_gradient = true});
    return {nodes_.size() - 1};
}

Variable Tape::record(Matrix value,
                      std::initializer_list<Variable> inputs,
                      std::function<void(Tape&, const Matrix&)> backward) {
    const bool wants =
        std::ranges::any_of(inputs, [this](Variable input) { return wants_gradient(input); });
    nodes_.push_back({.value = std::move(value), .gradient = {}, .wants_gradient = wants});
    if (wants) nodes_.back().backward = std::move(backward);
    return {nodes_.size() - 1};
}

Matrix* Tape::add_to(Variable variable) {
    Node& its = nodes_.at(variable.index);
    if (!its.wants_gradient) return nullptr;
    if (its.gradient.values.empty()) its.gradient = Matrix(its.value.rows, its.value.columns);
    return &its.gradient;
}

const Matrix& Tape::gradient(Variable variable) const {
    DLN_ASSERT(node(variable).wants_gradient, "no gradient is wanted of variable {}",
               variable.index);
    return node(variable).gradient;
}

void Tape::backward(Variable loss) {
    const Matrix& value = node(loss).value;
    DLN_ASSERT(value.rows == 1 && value.columns == 1, "a loss of {} x {}", value.rows,
               value.columns);
    if (Matrix* gradient = add_to(loss)) gradient->values[0] = 1.0F;
    for (std::size_t i = loss.index + 1; i-- > 0;) {
        Node& here = nodes_[i];
        if (!here.wants_gradient) continue;
        const bool reaches_loss = !here.gradient.values.empty();
        if (!here.backward) {  // a parameter: its gradient is what is wanted
            if (!reaches_loss) here.gradient = Matrix(here.value.rows, here.value.columns);
            continue;
        }
        // What was in between is not needed any more: memory is that of the values.
        const Matrix gradient = std::move(here.gradient);
        here.gradient = {};
        if (reaches_loss) here.backward(*this, gradient);
        here.backward = {};
    }
    for (std::size_t i = loss.index + 1; i < nodes_.size(); ++i) {
        Node& later = nodes_[i];
        if (later.wants_gradient &&
            !later.backward) {  // a parameter that the loss knows nothing of
            later.gradient = Matrix(later.value.rows, later.value.columns);
        }
    }
}

void keep_freed_memory() {
    constexpr int kMegabyte = 1 << 20;
    static_cast<void>(mallopt(M_MMAP_THRESHOLD, 32 * kMegabyte));  // the most that glibc takes
    static_cast<void>(mallopt(M_TRIM_THRESHOLD, 1024 * kMegabyte));
}

}  // namespace dln::nn
