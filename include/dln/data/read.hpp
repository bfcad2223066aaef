#pragma once
// From a file to the examples of a split. Rank 0 reads and broadcasts the set: no other rank calls this.
//
// Three formats, all UTF-8 (a byte order mark and CRLF line ends are accepted):
//   json_lines  one object a line; blank lines are skipped
//   csv         RFC 4180: a header line, commas, "..." around fields that hold commas, quotes or line
//               breaks; blank lines are skipped
//   bbh         one BIG-Bench Hard document: {"examples": [{"input": ..., "target": ...}, ...]}
// Fields other than those that the split names (input, target and, for data of several tasks, the name of
// the task) are ignored. The input is a string; target and task may also be a number, true or false, and
// are then taken as they are written (0, 1.5, true).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/data/split_spec.hpp"

namespace dln {

/// The examples of `spec` in the order of the file, as many as its limit says; what follows the last
/// one wanted is not looked at. When `class_names` is not empty every target must be one of them.
///
/// Throws UsageError with one message, "file:line: what is wrong, the value, what would be right":
/// a file that cannot be read, invalid UTF-8, JSON or CSV, a missing, doubled or wrongly typed field,
/// a label without a target, a target that is empty or no class, an empty task, no example at all.
[[nodiscard]] Dataset read_split(const SplitSpec& spec,
                                 const std::vector<std::string>& class_names = {});

/// The format that the ending of `path` stands for: .jsonl, .csv, .json (bbh), in any case of letters.
[[nodiscard]] std::optional<DataFormat> format_by_extension(std::string_view path);

}  // namespace dln
