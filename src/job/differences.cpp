#include "dln/job/differences.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dln/text/utf8.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostShown = 10;

// One line for each place where `now` differs from `before`.
void collect(const Json& before,
             const Json& now,
             const std::string& place,
             std::vector<std::string>& lines) {
    if (before == now) return;
    const auto collect_items = [&](const Json& items, const Json& others, bool are_new) {
        for (const auto& [name, item] : items.items()) {
            const bool is_shared = others.contains(name);
            if (is_shared && are_new) continue;  // compared from the other side
            const Json other = is_shared ? others.at(name) : Json();
            collect(are_new ? other : item, are_new ? item : other,
                    fmt::format("{}/{}", place, name), lines);
        }
    };
    if (before.is_object() && now.is_object()) {
        collect_items(before, now, false);
        collect_items(now, before, true);
    } else if (before.is_array() && now.is_array() && before.size() == now.size()) {
        for (std::size_t i = 0; i < now.size(); ++i) {
            collect(before[i], now[i], fmt::format("{}/{}", place, i), lines);
        }
    } else {
        lines.push_back(fmt::format("{}: was {}, is {}", printable(place),
                                    printable(before.dump(), 80), printable(now.dump(), 80)));
    }
}

}  // namespace

std::string differences(const Json& before, const Json& now) {
    std::vector<std::string> lines;
    collect(before, now, "", lines);
    const std::size_t more = lines.size() - std::min(lines.size(), kMostShown);
    lines.resize(lines.size() - more);
    if (more > 0) lines.push_back(fmt::format("and {} more", more));
    return lines.empty() ? std::string() : fmt::format("  {}", fmt::join(lines, "\n  "));
}

}  // namespace dln
