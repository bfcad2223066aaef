#pragma once
// What generated questions are about, shared out among the parts of a data set: an entity of one part is in
// none of the others, whatever the seeds of the sets and in every task that uses the same table. Pure.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dln/random/counter_rng.hpp"

namespace dln {

/// Of the entities of a table train has half, dev a fifth and test the rest.
enum class EntityPart { train = 0, dev = 1, test = 2 };

/// The values enter the random key: DO NOT CHANGE or reuse them.
enum class EntityTable : std::uint64_t {
    numbers = 1,  ///< those of one and two digits
    large_numbers = 2,
    countries = 3,
    antonyms = 4,
    things = 5,
    first_names = 6,
    family_names = 7,
    places = 8,
};

/// The indices of the entities of `part` among `count` of a table, ascending.
[[nodiscard]] std::vector<std::size_t> share_of(EntityPart part,
                                                EntityTable table,
                                                std::size_t count);

/// `entries` that belong to `part`, in their order.
template <typename Entry, std::size_t count>
std::vector<Entry> share_of(EntityPart part,
                            EntityTable table,
                            const std::array<Entry, count>& entries) {
    std::vector<Entry> share;
    for (const auto index : share_of(part, table, count)) {
        share.push_back(entries[index]);
    }
    return share;
}

/// Numbers of `part` from 1 to `largest`, ascending. Pre: largest < 1000.
[[nodiscard]] std::vector<int> numbers_of(EntityPart part, int largest);

/// Names of things that one can carry, see or eat, of `part`: nouns in the singular, none with a capital.
[[nodiscard]] std::vector<std::string_view> things_of(EntityPart part);

/// One of `entries`.
template <typename Entries>
const auto& drawn(const Entries& entries, CounterRng& rng) {
    return entries[rng.below(entries.size())];
}

/// `count` different ones of `entries`, in random order. Pre: there are that many.
template <typename Entry>
std::vector<Entry> drawn(const std::vector<Entry>& entries, std::size_t count, CounterRng& rng) {
    std::vector<Entry> result;
    auto order = rng.permutation(entries.size());
    for (std::size_t i = 0; i < count; ++i) {
        result.push_back(entries[order[i]]);
    }
    return result;
}

}  // namespace dln
