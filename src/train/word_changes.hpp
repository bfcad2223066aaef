#pragma once
// Known parameters with other words in their templates, without a model. Pure; rank 0 only.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/random/counter_rng.hpp"
#include "dln/train/propose.hpp"

namespace dln {

/// The first `count` proposals of words of a step, which start from the known parameters in turn. Each has another
/// of the job's alternatives for one word that its template shows, or, one time in four where there are several such
/// words, for two. They differ from each other and from all that are known; none where no such parameters are left.
[[nodiscard]] std::vector<std::optional<LayerParameters>> changed_words(const KnownWords& known,
                                                                        std::size_t count,
                                                                        CounterRng& random);

/// `text` without white space and ASCII punctuation at its ends.
[[nodiscard]] std::string_view core_of(std::string_view text);

/// `by` in the place of the core of `current`: what stands around it stays. Where `current` has no core the first
/// alternative that has one shows what stands around.
[[nodiscard]] std::string replaced_core(const std::string& current,
                                        const std::vector<std::string>& alternatives,
                                        const std::string& by);

}  // namespace dln
