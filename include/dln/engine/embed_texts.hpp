#pragma once
// Embeddings of many texts, on all ranks at once: units for the engine, the runner that computes them, and what
// comes of them.

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dln/engine/task_graph.hpp"
#include "dln/engine/unit.hpp"
#include "dln/llm/backend.hpp"

namespace dln {

/// Vectors of length 1 (or 0, of a text without words), one a text: row after row of `dimension` numbers. A text
/// that could not be embedded has zeros and a reason.
struct Embeddings {
    std::size_t dimension = 0;
    std::vector<float> values;
    std::map<std::size_t, std::string> failures;  ///< by text
    [[nodiscard]] std::span<const float> row(std::size_t text) const {
        return std::span(values).subspan(text * dimension, dimension);
    }
};

/// Units that cover all texts in blocks of `block`. `parts` are numbers of texts that follow each other: what a part
/// is cut into does not depend on the others.
[[nodiscard]] std::vector<Unit> make_embed_units(std::span<const std::size_t> parts,
                                                 std::size_t block);

/// What a task of these units gives. Throws BackendError when vectors differ in their number of numbers. Rank 0 only.
[[nodiscard]] Embeddings read_embeddings(const TaskResult& result);

/// As bytes, for the other ranks, and back.
[[nodiscard]] std::string serialize(const Embeddings& embeddings);
[[nodiscard]] Embeddings deserialize_embeddings(const std::string& bytes);

/// Computes the units on this rank.
class EmbedRunner : public UnitRunner {
  public:
    /// Both must outlive the runner. `texts` are the same on all ranks, and none is empty.
    EmbedRunner(std::span<const std::string_view> texts, Backend& backend)
        : texts_(texts), backend_(backend) {}
    void start(std::uint64_t id, const std::string& payload) override;
    [[nodiscard]] std::vector<Finished> advance(std::chrono::milliseconds wait) override;
    [[nodiscard]] std::size_t wanted_units(ModelRole /*model*/) const override {
        return backend_.wanted_requests();
    }
    [[nodiscard]] BackendCounts counts() const override { return backend_.counts(); }

  private:
    std::span<const std::string_view> texts_;
    Backend& backend_;
};

}  // namespace dln
