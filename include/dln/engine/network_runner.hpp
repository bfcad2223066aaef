#pragma once
// Units of a network: evaluating it over a block of examples, and drawing generations that rank 0 asks
// for. Each rank has its own runner over its own backend; the data are on every rank, so only indices,
// prompts and results travel.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/unit.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"

namespace dln {

/// What is measured of each example of an evaluation unit, and its cells (fixed point; the last cell of
/// an example is 1 when it was measured and 0 when it failed).
enum class Measure : int {
    classes = 0,  ///< log p of every class, unnormalised: classes + 1 cells
    target = 1,   ///< score of the example's target: 2 cells
    correct = 2,  ///< generated output against the target by the job's metric, 0 or 1: 2 cells
};

/// Evaluate the whole network at `parameters` on `examples` of split `split`.
struct EvaluateUnit {
    NetworkParameters parameters;
    Measure measure = Measure::classes;
    std::size_t split = 0;
    std::vector<std::uint64_t> examples;
    std::uint64_t step = 0;  ///< enters the random key of sampled outputs
    /// Return each example's latents and output: depth() texts an example. The last text of an example
    /// that failed says why.
    bool want_texts = false;
};

/// Cells an example for `measure`.
[[nodiscard]] std::size_t cells_an_example(Measure measure, std::size_t classes);

/// Units that cover `examples` in blocks of `block`, in order; their cells are laid out one example after
/// another. The affinity is that of the last layer's parameters.
[[nodiscard]] std::vector<Unit> make_evaluate_units(const EvaluateUnit& whole,
                                                    std::size_t block,
                                                    std::size_t classes);

/// One unit that draws all of `request`'s items; its texts are the outputs. A failed item gives an empty
/// text and counts as a failure.
[[nodiscard]] Unit make_generate_unit(const GenerateRequest& request);

class NetworkRunner : public UnitRunner {
  public:
    /// All must outlive the runner; `splits` are what EvaluateUnit::split indexes. `seed` is the job's.
    NetworkRunner(const Network& network,
                  const std::vector<Dataset>& splits,
                  Backend& backend,
                  std::uint64_t seed);
    ~NetworkRunner() override;

    void start(std::uint64_t id, const std::string& payload) override;
    [[nodiscard]] std::vector<Finished> advance(std::chrono::milliseconds wait) override;
    [[nodiscard]] std::size_t wanted_units() const override;
    [[nodiscard]] BackendCounts counts() const override { return backend_.counts(); }

  private:
    struct Active;
    void submit_layer(std::uint64_t id, Active& unit);
    void take_outputs(Active& unit, const GenerateReply& reply);
    void take_scores(Active& unit, const ScoreReply& reply);
    void take_generations(Active& unit, const GenerateReply& reply);
    [[nodiscard]] bool take(std::uint64_t id, Active& unit, const Completion& completion);

    const Network& network_;
    const std::vector<Dataset>& splits_;
    Backend& backend_;
    std::uint64_t seed_;
    std::map<std::uint64_t, std::unique_ptr<Active>> active_;
};

}  // namespace dln
