#pragma once
// Units of a network: evaluating it, or one layer of it, over a block of examples; drawing generations and
// scoring texts that rank 0 asks for. Each rank has its own runner over its own backends; the data are on
// every rank, so only indices, prompts, latents and results travel. Evaluations are the forward model's; texts
// say which model they are for.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/unit.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/nearest.hpp"
#include "dln/network/network.hpp"

namespace dln {

/// What is measured of each example (or item), and its cells (fixed point; the last cell is 1 when it was
/// measured and 0 when it failed).
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

/// An example as one layer meets it: what the layers before it said, first layer first, and for a hidden
/// layer last of all the latent that is to be scored.
struct LayerItem {
    std::uint64_t example = 0;
    std::vector<std::string> latents;
    friend auto operator<=>(const LayerItem&, const LayerItem&) = default;
};

/// Evaluate one layer at `parameters` on `items` of split `split`: a hidden layer scores the items' last
/// latents (Measure::target), the last layer measures the examples' targets.
struct LayerUnit {
    std::size_t layer = 0;
    LayerParameters parameters;
    Measure measure = Measure::target;
    std::size_t split = 0;
    std::vector<LayerItem> items;
    std::uint64_t step = 0;
    /// The layer sees the last latent alone, without the residual.
    bool without_residual = false;
    /// An item's example is an index of ScoringSpec::content_free_inputs, and `split` without meaning.
    bool content_free = false;
};

/// A text to score after its context, as targets are scored; it holds its separator.
struct TextItem {
    Context context;
    std::string target;
};
struct TextUnit {
    std::vector<TextItem> items;
};

/// What a text is drawn for.
enum class TextPurpose : int {
    other = 0,
    sample = 1,    ///< a latent of a layer, with the target in sight
    proposal = 2,  ///< a prompt of a layer
};

/// Which of its kind a text is.
struct TextPlace {
    std::uint64_t example = 0;  ///< of a sample, in its split
    std::uint64_t index = 0;    ///< of the sample or the proposal
};

/// Texts to draw. What they are for changes no request: it is for those who count or foretell.
struct GenerateUnit {
    GenerateRequest request;
    TextPurpose purpose = TextPurpose::other;
    std::size_t layer = 0;
    std::vector<TextPlace> places = {};  ///< by item, or none
};

/// Cells an example for `measure`.
[[nodiscard]] std::size_t cells_an_example(Measure measure, std::size_t classes);

/// Units that cover `examples` in blocks of `block`, in order; their cells are laid out one example after
/// another. The affinity is that of the last layer's parameters.
[[nodiscard]] std::vector<Unit> make_evaluate_units(const EvaluateUnit& whole,
                                                    std::size_t block,
                                                    std::size_t classes);

/// The same for a layer's items. Latents of one example that have one context stay in one unit, which may become
/// longer by them.
[[nodiscard]] std::vector<Unit> make_layer_units(const LayerUnit& whole,
                                                 std::size_t block,
                                                 std::size_t classes);

/// Units of at most `block` texts, two cells a text.
[[nodiscard]] std::vector<Unit> make_text_units(const TextUnit& whole,
                                                std::size_t block,
                                                ModelRole model);

/// Units that draw at most `block` of the request's items each; their texts are the outputs. A failed item gives
/// an empty text and counts as a failure.
[[nodiscard]] std::vector<Unit> make_generate_units(const GenerateUnit& whole,
                                                    std::size_t block,
                                                    ModelRole model);
/// The same, all items in one unit.
[[nodiscard]] Unit make_generate_unit(const GenerateUnit& whole, ModelRole model);

class NetworkRunner : public UnitRunner {
  public:
    /// All must outlive the runner; `splits` are what EvaluateUnit::split indexes. `seed` is the job's.
    /// `backward` is the backward model's backend; null: `backend` is both models'. `nearest` has the examples
    /// that each input is shown with, indices of `splits`' first one; null: the network shows none by input.
    NetworkRunner(const Network& network,
                  const std::vector<Dataset>& splits,
                  Backend& backend,
                  std::uint64_t seed,
                  Backend* backward = nullptr,
                  const NearestExamples* nearest = nullptr);
    ~NetworkRunner() override;

    void start(std::uint64_t id, const std::string& payload) override;
    [[nodiscard]] std::vector<Finished> advance(std::chrono::milliseconds wait) override;
    [[nodiscard]] std::size_t wanted_units(ModelRole model) const override;
    [[nodiscard]] bool has_backward() const override { return sides_.size() > 1; }
    [[nodiscard]] BackendCounts counts() const override;

  private:
    struct Pass;
    struct Asked;
    struct Active;
    // A backend, and how many requests it has.
    struct Side {
        Backend* backend = nullptr;
        std::size_t pending = 0;
    };
    [[nodiscard]] std::size_t side_of(ModelRole model) const;
    void ask(std::uint64_t id, const Active& unit, Request request);
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds wait);
    [[nodiscard]] std::vector<Completion> poll_both(std::chrono::milliseconds wait);
    void submit(std::uint64_t id, Active& unit);
    [[nodiscard]] Request layer_request(Active& unit) const;
    void take_outputs(Active& unit, const GenerateReply& reply) const;
    void take_scores(Active& unit, const ScoreReply& reply) const;
    void write_class_cells(std::span<std::int64_t> cells,
                           const ClassForms& forms,
                           std::span<const TargetScore> scores) const;
    static void take_generations(Active& unit, const GenerateReply& reply);
    void take_text_scores(Active& unit, const ScoreReply& reply) const;
    [[nodiscard]] const ShownExamples& shown_with(const Pass& pass, std::size_t item) const;
    [[nodiscard]] std::string_view input_of(const Pass& pass, std::size_t item) const;
    [[nodiscard]] std::string target_of(const Pass& pass, std::size_t item) const;
    [[nodiscard]] bool take(std::uint64_t id, Active& unit, const Completion& completion);

    const Network& network_;
    const std::vector<Dataset>& splits_;
    std::vector<Side> sides_;  // the forward model's, and the backward model's where it has its own
    std::uint64_t seed_;
    const NearestExamples* nearest_;
    std::size_t waited_for_ = 0;                         // a side
    std::chrono::steady_clock::time_point quiet_since_;  // something was sent or came
    std::map<std::uint64_t, std::unique_ptr<Active>> active_;
};

}  // namespace dln
