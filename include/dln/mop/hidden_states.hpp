#pragma once
// What the blocks below the prompts make of texts. No gradient reaches them, so they are computed once and kept on disk:
// a file a text, which holds for as long as model, compression and tokens are the same. Any rank; any number of
// processes may use a folder at the same time. A text is always computed alone: its state has the same bits whatever
// else is computed, by whichever rank.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dln/mop/llama.hpp"

namespace dln::mop {

struct GatedText {
    std::vector<std::int32_t> tokens;
    /// The first so many are instruction and input, which the gate sees; those behind are the answer. At least one.
    std::size_t gate_tokens = 0;
};

struct HiddenState {
    nn::Matrix rows;  ///< [tokens, d], after the blocks below the prompts
    std::vector<float>
        gate_input;  ///< z [d]: mean of the gate's rows, scaled to a mean square of 1
};

/// What the gate sees of a text of which the first `count` rows are instruction and input. Pure.
[[nodiscard]] std::vector<float> gate_input(const nn::Matrix& rows, std::size_t count);

/// Rows after blocks 0 to `block` - 1, of the text alone. Pure.
[[nodiscard]] HiddenState hidden_state(const LlamaWeights& weights,
                                       std::size_t block,
                                       const GatedText& text);

class HiddenStates {
  public:
    /// `identity` stands for the weights (GgufWeights::identity), `block` for the first one that sees prompts. Makes the
    /// folder, throws Error (exit 1) when that fails. `weights` must outlive it.
    HiddenStates(const LlamaWeights& weights,
                 std::string identity,
                 std::size_t block,
                 std::string directory);

    /// Sees to it that the file of the text is there. True when it was made. A file that is damaged is made again, with a
    /// warning. Throws Error (exit 1) when it cannot be written.
    bool ensure(const GatedText& text) const;
    /// Of the texts whose index is `rank` modulo `ranks`; returns how many were made. No communication: agree on success
    /// before other ranks read, or let them make what they miss.
    std::size_t ensure_share(const std::vector<GatedText>& texts,
                             std::size_t rank,
                             std::size_t ranks) const;
    /// From the file, which is made first when it is not there or damaged, as by ensure().
    [[nodiscard]] HiddenState read(const GatedText& text) const;
    /// What the gate sees of the text, without reading its rows. As read().
    [[nodiscard]] std::vector<float> gate_input(const GatedText& text) const;

    /// The file of the text. Its name is a digest of all that it depends on.
    [[nodiscard]] std::string path_of(const GatedText& text) const;

  private:
    [[nodiscard]] HiddenState make(const GatedText& text) const;

    const LlamaWeights& weights_;
    std::string identity_;
    std::size_t block_;
    std::string directory_;
};

}  // namespace dln::mop
