#pragma once
// Tasks made from rules of our own, in the style of BIG-Bench Hard and without any text of it. Their
// answers are right by construction and as many examples as are wanted exist. Pure: an example is a
// function of (seed, index) (RandomRole::data_generator).
//
//   adjective-order         which of two phrases has its adjectives in the usual English order (opinion,
//                           size, age, shape, colour, origin, material, purpose)?  "(A)" "(B)"
//   navigate                do these steps lead back to the start?  "Yes" "No"
//   seven-object-deduction  seven things in a row, clues that fit one order only: which of seven
//                           statements is true?  "(A)" to "(G)"

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

/// `sizes` parts of `task`. Every part has each class equally often (or one more of some); no input
/// occurs twice in all parts together. Earlier parts do not depend on the sizes of later ones. Throws
/// UsageError when there is no such task or when the task has not that many different examples.
[[nodiscard]] std::vector<Part> generate_parts(std::string_view task,
                                               const std::vector<PartSize>& sizes,
                                               std::uint64_t seed);

}  // namespace dln
