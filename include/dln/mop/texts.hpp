#pragma once
// Texts ready to train on, with their tasks. Immutable; every rank has the same ones.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dln/mop/loss.hpp"
#include "dln/nn/matrix.hpp"

namespace dln::mop {

struct MixtureTexts {
    /// Reads the rows [tokens - 1, d] of a text behind the blocks below the prompts: they are too many to be kept.
    std::function<nn::Matrix(std::size_t text)> rows;
    nn::Matrix z;                                    ///< [texts, d], what the gate sees
    std::vector<std::vector<std::int32_t>> answers;  ///< tokens
    std::vector<std::size_t> task_of;
    std::string digest;  ///< of the examples that they were made of
    [[nodiscard]] std::size_t size() const noexcept { return answers.size(); }
};

/// Some texts of a set with their rows.
class LoadedTexts {
  public:
    template <class Indices>
    LoadedTexts(const MixtureTexts& from, const Indices& indices) {
        rows_.reserve(indices.size());
        for (const auto index : indices) {
            const auto i = static_cast<std::size_t>(index);
            rows_.push_back(from.rows(i));
            views_.push_back({.hidden = rows_.back(),
                              .z = nn::MatrixView(1, from.z.columns, from.z.row(i)),
                              .answer = from.answers[i]});
        }
    }
    [[nodiscard]] std::span<const MixtureText> texts() const noexcept { return views_; }

  private:
    std::vector<nn::Matrix> rows_;
    std::vector<MixtureText> views_;
};

}  // namespace dln::mop
