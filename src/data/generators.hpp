#pragma once
// The generators behind generate_parts. Each makes the questions of a task.

#include <cstddef>
#include <functional>
#include <string>

#include "dln/random/counter_rng.hpp"

namespace dln {

struct Question {
    std::string input;
    std::string target;
};

/// Makes questions of `kinds` kinds. `make` draws one of a kind from `rng` alone.
struct QuestionMaker {
    std::size_t kinds = 1;
    std::function<Question(CounterRng& rng, std::size_t kind)> make;
};

// Where targets are classes, an input whose right answer is the class with index `target`.

[[nodiscard]] std::string make_adjective_order(CounterRng& rng, std::size_t target);
[[nodiscard]] std::string make_navigate(CounterRng& rng, std::size_t target);
[[nodiscard]] std::string make_seven_object_deduction(CounterRng& rng, std::size_t target);

}  // namespace dln
