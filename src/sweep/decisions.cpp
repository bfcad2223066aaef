#include "dln/sweep/decisions.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/sweep/trials.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr const char* kTake = "take";
constexpr const char* kObserve = "observe";

Json place_json(const char* event, const HalvingWork& place) {
    return {{"v", kVersion},
            {"event", event},
            {"configuration", place.configuration},
            {"bracket", place.bracket},
            {"rung", place.rung},
            {"steps", place.steps}};
}

HalvingWork place_of(const Json& json) {
    return {.configuration = json.at("configuration").get<std::uint64_t>(),
            .bracket = json.at("bracket").get<std::size_t>(),
            .rung = json.at("rung").get<std::size_t>(),
            .steps = json.at("steps").get<std::int64_t>()};
}

SearchWork work_of(const Json& json) {
    return {.place = place_of(json), .settings = settings_of(json.at("settings"))};
}

std::string text_of(const SearchWork& work) {
    const std::string steps =
        work.place.steps == 0 ? "" : fmt::format(" to {} steps", work.place.steps);
    return fmt::format("configuration {} ({}){}", work.place.configuration, describe(work.settings),
                       steps);
}

}  // namespace

Decisions::Decisions(SweepSpec spec, const SweepDirectory& directory)
    : spec_(std::move(spec)),
      lock_path_(directory.path() + "/lock"),
      log_(directory.decisions_path()) {
    replay(log_.read(), is_halving(spec_.method));
}

void Decisions::take() { replay(log_.take(lock_path_), true); }

void Decisions::replay(const SealedLog::Content& content, bool decides) {
    decides_ = decides;
    search_ = make_adaptive_search(spec_);
    under_way_.clear();
    taken_.clear();
    observed_.clear();
    fault_ = content.fault;
    for (std::size_t i = 0; i < content.lines.size(); ++i) replay_line(content.lines[i], i + 1);
}

void Decisions::replay_line(const std::string& line, std::size_t number) {
    const auto contradicted = [&](const std::string& what) {
        return UsageError(fmt::format(
            "{}: line {}: {}. The file is of another sweep, or of another version of dln. Go on "
            "with that one, or move the file away: trials that were run stay, and which come next "
            "is decided anew.",
            printable(log_.path()), number, what));
    };
    Json json;
    try {
        json = Json::parse(line);
        if (json.at("event") == kTake) {
            const SearchWork logged = work_of(json);
            const std::optional<SearchWork> decided = decides_ ? search_->take() : logged;
            if (decided != logged) {
                throw contradicted(fmt::format("{} was taken, where this program takes {}",
                                               text_of(logged),
                                               decided ? text_of(*decided) : "nothing"));
            }
            static_cast<void>(begin(*decided));
            return;
        }
        const HalvingWork place = place_of(json);
        if (std::ranges::find(under_way_, place, &SearchWork::place) == under_way_.end()) {
            throw contradicted(
                fmt::format("configuration {} was not being trained", place.configuration));
        }
        const Json& metric = json.at("metric");
        end(place, metric.is_number() ? std::optional(metric.get<double>()) : std::nullopt);
    } catch (const Json::exception&) {
        throw contradicted("its fields are not those of a decision");
    }
}

SearchWork Decisions::begin(SearchWork work) {
    under_way_.push_back(work);
    taken_.push_back(work);
    return work;
}

void Decisions::end(const HalvingWork& place, std::optional<double> metric) {
    const auto found = std::ranges::find(under_way_, place, &SearchWork::place);
    if (decides_) search_->observe(*found, metric);
    observed_[place.configuration] = {.steps = place.steps, .metric = metric};
    under_way_.erase(found);
}

std::optional<SearchWork> Decisions::next() {
    std::optional<SearchWork> work = search_->take();
    if (!work) return std::nullopt;
    Json json = place_json(kTake, work->place);
    json["settings"] = settings_json(work->settings);
    log_.append(json.dump());
    return begin(std::move(*work));
}

void Decisions::observe(const SearchWork& work, std::optional<double> metric) {
    Json json = place_json(kObserve, work.place);
    json["metric"] = metric ? Json(*metric) : Json();
    log_.append(json.dump());
    end(work.place, metric);
}

}  // namespace dln
