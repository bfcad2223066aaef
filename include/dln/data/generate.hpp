#pragma once
// Tasks made from rules and tables of our own. Their answers are right by construction. Pure: an example is a
// function of (seed, part, index) (RandomRole::data_generator).
//
// In the style of BIG-Bench Hard and without any text of it; targets are classes, and as many examples as are
// wanted exist:
//
//   adjective-order         which of two phrases has its adjectives in the usual English order (opinion,
//                           size, age, shape, colour, origin, material, purpose)?  "(A)" "(B)"
//   navigate                do these steps lead back to the start?  "Yes" "No"
//   seven-object-deduction  seven things in a row, clues that fit one order only: which of seven
//                           statements is true?  "(A)" to "(G)"
//
// Instructions in several wordings, with a short text as target. What they are about (countries, words,
// numbers, names) is shared out: nothing of train is in dev or test, whatever the seeds of the sets; a half,
// a fifth and the rest are theirs. Wordings are the same in all parts:
//
//   arithmetic              sum or difference of two numbers; all three numbers are below 100
//   capitals                the capital of a country
//   antonyms                the opposite of a word
//   reversal                three to five words, last word first
//   extraction              the person, the city or the object of a sentence
//   number-words            a number below 1000 in words, or words in digits
//   sorting                 three to five words by the alphabet, or numbers upwards or downwards

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/splits.hpp"

namespace dln {

/// The names of the tasks above.
[[nodiscard]] const std::vector<std::string>& generated_task_names();

/// The targets of `task`, in order, where they are classes; empty where they are free text. Throws UsageError
/// when there is no such task.
[[nodiscard]] std::vector<std::string> generated_task_classes(std::string_view task);

/// `sizes` parts of `task`: the first is train, the second dev, the third test. Every part has each class, or
/// each kind of question (operation, country, ...), equally often, or one more of some; no input
/// occurs twice in all parts together. Earlier parts do not depend on the sizes of later ones. Throws
/// UsageError when there is no such task or when the task has not that many different examples.
[[nodiscard]] std::vector<Part> generate_parts(std::string_view task,
                                               const std::vector<PartSize>& sizes,
                                               std::uint64_t seed);

}  // namespace dln
