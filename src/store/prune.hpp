#pragma once
// Which steps a KeepRule gives up. Pure; private to src/store.

#include <cstdint>
#include <vector>

#include "dln/store/checkpoint_store.hpp"

namespace dln {

/// Pre: `present` is ascending.
[[nodiscard]] inline std::vector<std::int64_t> steps_to_remove(
    const std::vector<std::int64_t>& present, const KeepRule& rule) {
    std::vector<std::int64_t> given_up;
    if (rule.newest == 0) {
        return given_up;
    }
    for (std::size_t i = 0; i + rule.newest < present.size(); ++i) {
        if (present[i] != rule.best_step) {
            given_up.push_back(present[i]);
        }
    }
    return given_up;
}

}  // namespace dln
