#pragma once
// Which training examples each input is shown with, by embeddings (KATE, arXiv 2101.06804): the texts to embed,
// and the search for the nearest ones, cut into shares for ranks. Pure.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/embed_texts.hpp"
#include "dln/network/nearest.hpp"

namespace dln {

/// Every text once, in the order of its first appearance. Texts of white space alone are not embedded.
struct DistinctTexts {
    static constexpr std::size_t kBlank = std::numeric_limits<std::size_t>::max();
    std::vector<std::string_view> texts;  ///< views into what they were made from
    std::size_t training = 0;             ///< the first so many are those of the first split
    std::vector<std::vector<std::size_t>>
        of_splits;                       ///< [split][example]: index of its text, or kBlank
    std::vector<std::size_t> of_others;  ///< the same
};
/// Those of the inputs of `splits`, then `others`.
[[nodiscard]] DistinctTexts distinct_texts(const std::vector<Dataset>& splits,
                                           std::span<const std::string> others);

/// The search for the nearest examples of the first split, which is the training split:
///  - nearness is the cosine; a blank text has 0 to every other;
///  - an input of the training split is shown neither itself nor an example with the same text, for these would tell
///    it the answer, which inputs of other splits are not told;
///  - an input of another split may be shown an example with its own text;
///  - an example that has no embedding is not shown, an input that has none fails.
class NearestSearch {
  public:
    /// `texts` and `embeddings` must outlive it. `asks_training`: inputs of the training split are asked about.
    NearestSearch(const DistinctTexts& texts,
                  const Embeddings& embeddings,
                  std::size_t shown,
                  bool asks_training);
    /// The part of the results that rank `rank` of `ranks` computes, zeros elsewhere: the sum over ranks is the whole.
    [[nodiscard]] std::vector<std::int64_t> share(int rank, int ranks) const;
    [[nodiscard]] NearestExamples read(std::span<const std::int64_t> whole) const;

  private:
    // An input that is like no other: a text, and whether it is one of the training split.
    struct Query {
        std::size_t text = 0;
        bool is_training = false;
        friend auto operator<=>(const Query&, const Query&) = default;
    };
    // An example that may be shown.
    struct Candidate {
        std::uint32_t example = 0;
        std::size_t text = 0;
        std::size_t place = 0;  // in candidate_texts_; behind them for a blank text
    };
    [[nodiscard]] std::vector<std::uint32_t> nearest(const Query& query) const;
    [[nodiscard]] ShownExamples shown_with(const Query& query,
                                           std::span<const std::int64_t> whole) const;
    [[nodiscard]] const std::string* failure_of(std::size_t text) const;

    const DistinctTexts& texts_;
    const Embeddings& embeddings_;
    std::size_t shown_;
    bool asks_training_;
    std::vector<Candidate> candidates_;
    std::vector<std::size_t> candidate_texts_;  // sorted, each once
    std::vector<Query> queries_;                // sorted, each once
};

}  // namespace dln
