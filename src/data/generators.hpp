#pragma once
// The generators behind generate_parts. Each makes the questions of one part of a task.

#include <cstddef>
#include <functional>
#include <string>

#include "dln/random/counter_rng.hpp"

#include "entities.hpp"

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

// Where targets are free text, about entities of this part alone.

/// Sums, differences and products below 100, a kind each.
[[nodiscard]] QuestionMaker arithmetic_questions(EntityPart part);
/// Numbers below 1000 in words, and words as numbers.
[[nodiscard]] QuestionMaker number_word_questions(EntityPart part);
/// The capital of a country; each country is a kind.
[[nodiscard]] QuestionMaker capital_questions(EntityPart part);
/// The opposite of a word; each word of each pair is a kind.
[[nodiscard]] QuestionMaker antonym_questions(EntityPart part);
/// Lists of three to five words from the last to the first, each length a kind.
[[nodiscard]] QuestionMaker reversal_questions(EntityPart part);
/// Words by the alphabet, numbers upwards, numbers downwards.
[[nodiscard]] QuestionMaker sorting_questions(EntityPart part);
/// The person, the place or the thing of a sentence.
[[nodiscard]] QuestionMaker extraction_questions(EntityPart part);

}  // namespace dln
