#pragma once
// Known parameters with other words in their templates, without a model. Pure; rank 0 only.

#include <cstddef>
#include <optional>
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

}  // namespace dln
