#pragma once
// The one table of what a job may hold, section by section in *_fields.cpp. A new field is one line
// there and one member in dln/job/job.hpp: reading, messages, the resolved job, the schema and the
// documentation follow.

#include <string>
#include <vector>

#include "dln/job/job.hpp"

#include "job/checks.hpp"
#include "job/codec.hpp"

namespace dln::job {

constexpr std::uint64_t kMostTokens = 1'000'000;

[[nodiscard]] const Codec<Job>& job_codec();

// Sections of the table that have a source of their own.
[[nodiscard]] Codec<DataSpec> data_fields();
[[nodiscard]] Codec<std::vector<WordSpec>> word_fields();
[[nodiscard]] Codec<ScoringSpec> scoring_fields();
[[nodiscard]] Codec<TrainSpec> train_fields();
[[nodiscard]] Codec<ProposalSpec> proposal_fields();
[[nodiscard]] Codec<PosteriorSpec> posterior_fields();
[[nodiscard]] Codec<BackendSpec> backend_fields();
[[nodiscard]] Codec<EmbeddingSpec> embedding_fields();
[[nodiscard]] Codec<BudgetSpec> budget_fields();

/// Where a run lies whose job does not say: runs/<name> in the current directory.
[[nodiscard]] std::string default_run_dir(const std::string& name);

/// Checks a layer's templates against the variables that they may show, its words among them. The reader is
/// at the layer.
void check_templates(Reader& reader, const LayerSpec& layer);

/// Names those that have no name by their position, and checks that all differ.
template <class Entry>
void name_entries(Reader& reader, const std::string& prefix, std::vector<Entry>& entries) {
    std::vector<std::string> names;
    for (auto& entry : entries) {
        if (entry.name.empty()) {
            entry.name = prefix + std::to_string(names.size() + 1);
        }
        names.push_back(entry.name);
    }
    check_unique(reader, names, "templates", "template");
}

}  // namespace dln::job
