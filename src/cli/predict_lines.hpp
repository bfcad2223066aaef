#pragma once
// What dln predict reads and writes: JSON lines. Rank 0.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dln/data/dataset.hpp"

namespace dln {

/// The lines as they came, and their inputs as a split.
struct Lines {
    std::vector<nlohmann::ordered_json> objects;
    Dataset inputs;
};

/// The lines of `path` (-: standard input), whose inputs are in `field`. Throws UsageError with the line's number.
[[nodiscard]] Lines read_lines(const std::string& path, const std::string& field);

/// Throws UsageError when `path` cannot be written. Before a model is loaded: what it says would be lost.
void check_output(const std::string& path);

/// Writes to `path` (-: standard output).
void write_output(const std::string& path, const std::string& text);

/// Says in a line's object that it has no output, and why.
void annotate_failure(nlohmann::ordered_json& object, const std::string& why);

}  // namespace dln
