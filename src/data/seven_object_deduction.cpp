#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "dln/error.hpp"

#include "generators.hpp"

namespace dln {
namespace {

constexpr std::size_t kObjects = 7;

/// The place of each object, 0 (left) to 6 (right).
using Row = std::array<std::size_t, kObjects>;

struct Theme {
    std::string_view opening;  ///< before the list of objects
    std::string_view verb;     ///< "The robin <verb> ..."
    std::array<std::string_view, 10> things;
};

constexpr std::array<Theme, 6> kThemes{{
    {"Seven birds share one wire",
     "sits",
     {"robin", "heron", "magpie", "wren", "swallow", "finch", "pigeon", "jay", "starling", "dove"}},
    {"Seven books share one shelf",
     "stands",
     {"atlas", "cookbook", "dictionary", "novel", "diary", "songbook", "guidebook", "comic",
      "almanac", "thesaurus"}},
    {"Seven vehicles are parked side by side",
     "is parked",
     {"tractor", "ambulance", "van", "minibus", "taxi", "motorbike", "lorry", "camper", "jeep",
      "tram"}},
    {"Seven vegetables lie in a line on a market stall",
     "lies",
     {"leek", "turnip", "pumpkin", "radish", "carrot", "cabbage", "onion", "beetroot", "parsnip",
      "cucumber"}},
    {"Seven tools hang in a line on a wall",
     "hangs",
     {"hammer", "chisel", "saw", "wrench", "drill", "file", "plane", "mallet", "crowbar",
      "trowel"}},
    {"Seven instruments are lined up on a stage",
     "stands",
     {"cello", "trumpet", "harp", "flute", "drum", "banjo", "oboe", "tuba", "lute", "guitar"}},
}};

constexpr std::array<std::string_view, kObjects> kPlaces{
    "at the far left",      "second from the left",  "third from the left", "in the middle",
    "third from the right", "second from the right", "at the far right"};

enum class Relation {
    left_of,
    right_of,
    just_left_of,
    just_right_of,
    next_to,
    at_place,
    not_at_place
};

struct Clue {
    Relation relation;
    std::size_t object;
    std::size_t other;  ///< an object, or a place
};

bool holds(const Clue& clue, const Row& row) {
    const auto place = row[clue.object];
    switch (clue.relation) {
        case Relation::left_of:
            return place < row[clue.other];
        case Relation::right_of:
            return place > row[clue.other];
        case Relation::just_left_of:
            return place + 1 == row[clue.other];
        case Relation::just_right_of:
            return place == row[clue.other] + 1;
        case Relation::next_to:
            return place + 1 == row[clue.other] || place == row[clue.other] + 1;
        case Relation::at_place:
            return place == clue.other;
        case Relation::not_at_place:
            return place != clue.other;
    }
    throw InternalError("a relation that does not exist");
}

/// All 5040 rows: the solver looks at each.
const std::vector<Row>& all_rows() {
    static const std::vector<Row> kRows = [] {
        std::vector<Row> rows;
        Row row{};
        std::iota(row.begin(), row.end(), std::size_t{0});
        do {
            rows.push_back(row);
        } while (std::next_permutation(row.begin(), row.end()));
        return rows;
    }();
    return kRows;
}

bool is_solved_by(const std::vector<Clue>& clues) {
    const auto fits = [&](const Row& row) {
        return std::all_of(clues.begin(), clues.end(),
                           [&](const Clue& clue) { return holds(clue, row); });
    };
    return std::count_if(all_rows().begin(), all_rows().end(), fits) == 1;
}

/// A clue that is true of `row`. Says nothing direct about where `asked` is.
Clue draw_clue(const Row& row, std::size_t asked, CounterRng& rng) {
    constexpr std::array<Relation, 12> kFrequency{
        Relation::left_of,      Relation::left_of,       Relation::right_of, Relation::right_of,
        Relation::just_left_of, Relation::just_right_of, Relation::next_to,  Relation::next_to,
        Relation::at_place,     Relation::not_at_place,  Relation::left_of,  Relation::right_of};
    while (true) {
        const auto relation = kFrequency[rng.below(kFrequency.size())];
        const Clue clue{relation, rng.below(kObjects), rng.below(kObjects)};
        const bool about_place =
            relation == Relation::at_place || relation == Relation::not_at_place;
        if (about_place ? clue.object == asked : clue.object == clue.other) {
            continue;
        }
        if (holds(clue, row)) {
            return clue;
        }
    }
}

/// Clues that fit `row` alone and of which none can be left out.
std::vector<Clue> draw_clues(const Row& row, std::size_t asked, CounterRng& rng) {
    std::vector<Clue> clues;
    auto rows = all_rows();
    while (rows.size() > 1) {
        const auto clue = draw_clue(row, asked, rng);
        const auto before = rows.size();
        std::erase_if(rows, [&](const Row& other) { return !holds(clue, other); });
        if (rows.size() < before) {
            clues.push_back(clue);
        }
    }
    for (std::size_t i = 0; i < clues.size();) {
        auto fewer = clues;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        if (is_solved_by(fewer)) {
            clues = std::move(fewer);
        } else {
            ++i;
        }
    }
    return clues;
}

std::string statement(std::string_view verb, std::string_view thing, std::size_t place) {
    return fmt::format("The {} {} {}.", thing, verb, kPlaces[place]);
}

std::string sentence(const Clue& clue,
                     std::string_view verb,
                     const std::vector<std::string_view>& things) {
    constexpr std::array<std::string_view, 5> kRelations{
        "somewhere to the left of", "somewhere to the right of", "directly to the left of",
        "directly to the right of", "right next to"};
    if (clue.relation == Relation::at_place) {
        return statement(verb, things[clue.object], clue.other);
    }
    if (clue.relation == Relation::not_at_place) {
        return fmt::format("It is not the {} that {} {}.", things[clue.object], verb,
                           kPlaces[clue.other]);
    }
    return fmt::format("The {} {} {} the {}.", things[clue.object], verb,
                       kRelations[static_cast<std::size_t>(clue.relation)], things[clue.other]);
}

std::string listed(const std::vector<std::string_view>& things, CounterRng& rng) {
    std::string result;
    const auto order = rng.permutation(things.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        result += fmt::format("{}the {}",
                              i == 0                  ? ""
                              : i + 1 == order.size() ? " and "
                                                      : ", ",
                              things[order[i]]);
    }
    return result;
}

/// 0..6 in random order but for `value`, which is at index `at`.
std::vector<std::size_t> order_with(std::size_t value, std::size_t at, CounterRng& rng) {
    auto order = rng.permutation(kObjects);
    std::swap(*std::find(order.begin(), order.end(), value), order[at]);
    return order;
}

}  // namespace

std::string make_seven_object_deduction(CounterRng& rng, std::size_t target) {
    const auto& theme = kThemes[rng.below(kThemes.size())];
    std::vector<std::string_view> things;
    for (const auto i : rng.permutation(theme.things.size())) {
        things.push_back(theme.things[i]);
    }
    things.resize(kObjects);
    Row row{};
    const auto places = rng.permutation(kObjects);
    std::copy(places.begin(), places.end(), row.begin());
    const auto asked = rng.below(kObjects);
    const auto clues = draw_clues(row, asked, rng);
    DLN_ASSERT(is_solved_by(clues), "{} clues do not single out one row", clues.size());

    auto text =
        fmt::format("{}: {}, not necessarily in this order.", theme.opening, listed(things, rng));
    for (const auto& clue : clues) {
        text.append(1, ' ').append(sentence(clue, theme.verb, things));
    }
    text += "\nWhich statement must be true?\nOptions:";
    // Either seven things at the place that is asked for, or seven places of the thing asked for.
    const bool which_thing = rng.below(2) == 0;
    const auto order = order_with(which_thing ? asked : row[asked], target, rng);
    for (std::size_t i = 0; i < order.size(); ++i) {
        text += fmt::format("\n({}) {}", static_cast<char>('A' + static_cast<int>(i)),
                            statement(theme.verb, things[which_thing ? order[i] : asked],
                                      which_thing ? row[asked] : order[i]));
    }
    return text;
}

}  // namespace dln
