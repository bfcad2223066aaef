#pragma once
// Reverse-mode differentiation: a tape of matrices in the order in which they were computed. Operations
// (operations.hpp, attention.hpp) append to it; backward() goes through it from the end. Any rank; one thread.

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <vector>

#include "dln/nn/matrix.hpp"

namespace dln::nn {

/// A matrix on a tape.
struct Variable {
    std::size_t index = 0;
};

class Tape {
  public:
    /// A matrix of which no gradient is wanted, such as an input.
    [[nodiscard]] Variable constant(Matrix value);
    /// A matrix of which the gradient is wanted.
    [[nodiscard]] Variable parameter(Matrix value);

    [[nodiscard]] const Matrix& value(Variable variable) const { return node(variable).value; }
    /// d loss / d `variable`, of its shape; all zero where the loss does not depend on it. Pre: backward() was called,
    /// and it is a parameter: what lies between has given its gradient on and its memory back.
    [[nodiscard]] const Matrix& gradient(Variable variable) const;
    /// Whether any parameter went into it.
    [[nodiscard]] bool wants_gradient(Variable variable) const {
        return node(variable).wants_gradient;
    }

    /// Computes all gradients. Pre: `loss` is 1 x 1. Call once.
    void backward(Variable loss);

    /// For operations: `backward` is called with the gradient of `value` and adds to the gradients of the inputs, which
    /// add_to() gives. It is not called, and may be empty, when no input wants a gradient.
    [[nodiscard]] Variable record(Matrix value,
                                  std::initializer_list<Variable> inputs,
                                  std::function<void(Tape&, const Matrix&)> backward);
    /// The gradient of an input to add to; null when none is wanted. Within `backward` of record() only.
    [[nodiscard]] Matrix* add_to(Variable variable);

  private:
    struct Node {
        Matrix value;
        Matrix gradient;  ///< empty: nothing was added to it yet
        bool wants_gradient = false;
        std::function<void(Tape&, const Matrix&)> backward;
    };
    [[nodiscard]] const Node& node(Variable variable) const { return nodes_.at(variable.index); }

    std::vector<Node> nodes_;
};

/// Tells the C library to keep what tapes give back instead of returning it to the system and asking for it anew in
/// every step, which took a twentieth of a step's time. For programs that run many steps; call once.
void keep_freed_memory();

}  // namespace dln::nn
