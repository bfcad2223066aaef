#pragma once
// A sweep file: a base job, a space of what is changed in it, and how configurations are taken from that
// space. Read by read_sweep_file (rank 0), from the same kind of table of fields as jobs. Pure data.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace dln {

/// Another dimension has one of these values.
struct SweepCondition {
    std::string pointer;
    std::vector<nlohmann::ordered_json> values;
};

/// A field of the job that differs between configurations.
struct SweepDimension {
    std::string pointer;                         ///< JSON pointer into the job
    std::vector<nlohmann::ordered_json> values;  ///< one of these; empty: a range
    std::optional<double> min;                   ///< both ends are in the range
    std::optional<double> max;
    bool log = false;                 ///< even over the logarithm
    bool is_int = false;              ///< whole numbers only
    std::optional<std::size_t> grid;  ///< points of the range in a grid
    std::optional<SweepCondition> when;
};

enum class SweepMethod { grid, random, sobol, asha, hyperband, tpe };

/// True when what is tried next depends on what was tried before.
[[nodiscard]] constexpr bool is_adaptive(SweepMethod method) {
    return method == SweepMethod::asha || method == SweepMethod::hyperband ||
           method == SweepMethod::tpe;
}

/// True when configurations are compared after few steps and only the best ones get more.
[[nodiscard]] constexpr bool is_halving(SweepMethod method) {
    return method == SweepMethod::asha || method == SweepMethod::hyperband;
}

/// Steps of training at which configurations are compared: least, least x reduction, ..., most.
struct HalvingSpec {
    std::int64_t least_steps = 1;
    std::int64_t most_steps = 0;  ///< of a trial that gets to the end
    std::int64_t reduction = 3;   ///< one in so many goes on
};

enum class SweepGoal { max, min };

/// The number that configurations are compared by.
struct SweepMetric {
    std::string pointer = "/dev/accuracy";  ///< into result.json
    SweepGoal goal = SweepGoal::max;
};

struct SweepSpec {
    std::string path;  ///< where it was read
    std::string name;
    std::string job_path;  ///< absolute once resolved
    std::vector<SweepDimension> space;
    SweepMethod method = SweepMethod::grid;
    std::size_t configurations = 0;      ///< 0: all of the grid, or of Hyperband's brackets
    std::optional<HalvingSpec> halving;  ///< with asha and hyperband only
    std::vector<std::uint64_t>
        seeds;               ///< of the job, each for every configuration; empty: the job's own
    std::uint64_t seed = 0;  ///< of what is drawn from the space
    SweepMetric metric;
    std::string runs_dir;  ///< absolute once resolved
    bool compact = false;  ///< a finished trial leaves five files
};

/// Most trials of a sweep.
inline constexpr std::uint64_t kMostTrials = 1'000'000;

/// Reads, checks and resolves the sweep file at `path`; the job that it names need only exist. Throws
/// UsageError with one message a fault: file, JSON pointer, what is wrong, what would be right.
[[nodiscard]] SweepSpec read_sweep_file(const std::string& path);

/// The same from text; `path` serves messages and relative paths only.
[[nodiscard]] SweepSpec parse_sweep_file(std::string_view text, const std::string& path);

/// The resolved sweep with every default written out.
[[nodiscard]] nlohmann::ordered_json sweep_to_json(const SweepSpec& spec);

}  // namespace dln
