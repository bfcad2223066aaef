#pragma once
// The actions of `dln data`: each makes data files and says what is in them. Existing files are replaced,
// each at once and only by complete ones; the parts are written in the order train, dev, test. One
// process without MPI calls these. Errors are UsageError: nothing is written before all input was read
// and found right.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dln/data/split_spec.hpp"

namespace dln {

struct TargetCount {
    std::string target;
    std::size_t count = 0;
};

struct TaskCount {
    std::string task;
    std::size_t count = 0;
};

/// A file that was written.
struct PartSummary {
    std::string path;
    std::size_t examples = 0;
    std::vector<TargetCount> targets;  ///< all that occur, the most frequent first
    std::vector<TaskCount> tasks;      ///< in the order of their first example; empty: none
    std::string digest;                ///< Dataset::digest of what the file holds
};

struct DataSummary {
    std::vector<PartSummary> parts;
    std::size_t repeated = 0;  ///< examples left out because their input had come before
};

/// Sizes of train.jsonl, dev.jsonl and test.jsonl; a part of size 0 is not written.
struct SplitSizes {
    std::size_t train = 200;
    std::size_t dev = 100;
    std::size_t test = 400;
};

struct PolarityOptions {
    std::string lexicon;  ///< vader_lexicon.txt
    std::string out_dir;
};

struct GenerateOptions {
    std::string task;  ///< one of generated_task_names()
    SplitSizes sizes;
    std::uint64_t seed = 0;
    std::string out_dir;
};

struct ConvertOptions {
    SplitSpec from;
    std::vector<std::string> classes;  ///< not empty: every target must be one of them
    std::string out;                   ///< JSON lines file
};

struct SplitFileOptions {
    SplitSpec from;
    std::vector<std::string> classes;  ///< not empty: every target must be one of them
    SplitSizes sizes;
    bool balanced = false;
    std::uint64_t seed = 0;
    std::string out_dir;
};

/// A file of examples that become those of one task.
struct TaskSource {
    std::string task;
    SplitSpec from;
};

struct MixOptions {
    std::vector<TaskSource> sources;
    std::string out;                    ///< JSON lines file
    std::optional<std::uint64_t> seed;  ///< of the order; none: source after source as they are
};

/// The word-polarity task (polarity.hpp) into out_dir.
[[nodiscard]] DataSummary make_polarity(const PolarityOptions& options);

/// A task made from rules (generate.hpp) into out_dir.
[[nodiscard]] DataSummary make_generated(const GenerateOptions& options);

/// A file of any format that read_split knows as JSON lines. `out` may not be the file that is read.
[[nodiscard]] DataSummary convert(const ConvertOptions& options);

/// A file split at random (splits.hpp) into out_dir. No part may be the file that is read.
[[nodiscard]] DataSummary split_file(const SplitFileOptions& options);

/// Files of several tasks as one, in which each example has the name of its task. No source may be the file
/// that is written; no two sources may have the same task.
[[nodiscard]] DataSummary mix(const MixOptions& options);

}  // namespace dln
