#pragma once
// Where examples are read from. Part of a job, and what `dln data` is told on its command line. Pure data.

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dln {

enum class DataFormat { json_lines, csv, bbh };

/// Where the examples of a split come from and how its fields are called.
struct SplitSpec {
    std::string path;  ///< absolute once resolved (relative ones are relative to the job file)
    DataFormat format = DataFormat::json_lines;  ///< default by extension: .jsonl .csv .json
    std::string input_field = "input";
    std::string target_field = "target";
    std::optional<std::string> task_field;                    ///< none: examples have no task
    std::vector<std::pair<std::string, std::string>> labels;  ///< value in the file -> target
    std::size_t limit = 0;  ///< the first so many examples; 0: all
};

}  // namespace dln
