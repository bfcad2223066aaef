#include "dln/sweep/trials.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "dln/error.hpp"
#include "dln/job/any_job.hpp"
#include "dln/sweep/halving.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

// The trials with the smallest and the largest number of a range.
struct Ends {
    double min = std::numeric_limits<double>::infinity();
    double max = -std::numeric_limits<double>::infinity();
    std::uint64_t min_trial = 0;
    std::uint64_t max_trial = 0;

    void take(double value, std::uint64_t trial) {
        if (value < min) {
            min = value;
            min_trial = trial;
        }
        if (value > max) {
            max = value;
            max_trial = trial;
        }
    }
};

// A trial that pauses between two evaluations on dev would have to be evaluated for the comparison alone, and would
// not be the run that it is without a pause.
void check_rungs(const SweepSpec& spec, const JobOutline& job) {
    if (!spec.halving) return;
    for (const HalvingBracket& bracket : halving_brackets(spec)) {
        for (const std::int64_t steps : bracket.steps) {
            if (steps == spec.halving->most_steps || steps % job.eval_every == 0) continue;
            throw UsageError(fmt::format(
                "/train/eval_every: {} does not divide {}, the steps after which trials are "
                "compared. Expected a divisor, or other steps in the sweep's \"halving\".",
                job.eval_every, steps));
        }
    }
}

void check_metric(const SweepSpec& spec, const JobOutline& job) {
    const std::string& pointer = spec.metric.pointer;
    for (const auto& [split, is_there] : {std::pair{"dev", job.has_dev}, {"test", job.has_test}}) {
        if (is_there || !pointer.starts_with(fmt::format("/{}/", split))) continue;
        throw UsageError(fmt::format(
            "/data/{}: missing, so no trial has a number at {}, the sweep's metric. Expected the "
            "data, or another metric.",
            split, printable(pointer, 60)));
    }
}

// As people read it; settings_json() has all digits.
std::string shown(const Json& value) {
    return value.is_number_float() ? fmt::format("{:.6g}", value.get<double>())
                                   : printable(value.dump(), 80);
}

}  // namespace

Trials::Trials(const SweepSpec& spec) : spec_(spec), space_(spec) {
    if (size() <= kMostTrials) return;
    throw UsageError(
        fmt::format("{}: {} configurations with {} seeds are {} trials. Expected at most {}.",
                    printable(spec.path), configurations(), seeds_each(), size(), kMostTrials));
}

std::uint64_t Trials::seeds_each() const noexcept {
    return std::max<std::uint64_t>(spec_.seeds.size(), 1);
}

Trial Trials::trial(std::uint64_t number) const {
    if (number >= size()) {
        throw UsageError(fmt::format("{}: there is no trial {}. Expected 0 to {}.",
                                     printable(spec_.path), number, size() - 1));
    }
    const std::uint64_t configuration = number / seeds_each();
    const auto decided = decided_.find(configuration);
    Trial trial{.number = number,
                .configuration = configuration,
                .settings = decided != decided_.end() ? decided->second
                                                      : space_.configuration(configuration),
                .seed = std::nullopt,
                .run_dir = spec_.runs_dir + "/" + trial_directory_name(number),
                .pause_after = 0};
    if (!spec_.seeds.empty()) trial.seed = spec_.seeds[number % seeds_each()];
    return trial;
}

bool pauses(const SweepSpec& spec, const Trial& trial) {
    return spec.halving && trial.pause_after < spec.halving->most_steps;
}

std::string trial_directory_name(std::uint64_t number) { return fmt::format("{:06}", number); }

std::vector<Override> overrides_of(const SweepSpec& spec, const Trial& trial) {
    std::vector<Override> overrides;
    for (const Setting& setting : trial.settings) {
        overrides.push_back({setting.pointer, setting.value.dump()});
    }
    if (trial.seed) overrides.push_back({"/seed", std::to_string(*trial.seed)});
    const std::string name = fmt::format("{}-{}", spec.name, trial.configuration);
    if (spec.halving) {
        overrides.push_back({"/train/steps", std::to_string(spec.halving->most_steps)});
    }
    overrides.push_back({"/name", Json(name).dump()});
    overrides.push_back({"/run_dir", Json(trial.run_dir).dump()});
    return overrides;
}

std::vector<std::uint64_t> covering_trials(const Trials& trials) {
    std::map<std::string, const SweepDimension*> dimensions;
    for (const SweepDimension& dimension : trials.spec().space) {
        dimensions[dimension.pointer] = &dimension;
    }
    std::set<std::uint64_t> covering{0};
    std::set<std::string> seen;  // "pointer=value"
    std::map<std::string, Ends> ends;
    for (std::uint64_t c = 0; c < trials.configurations(); ++c) {
        const std::uint64_t number = c * trials.seeds_each();
        for (const Setting& setting : trials.trial(number).settings) {
            if (dimensions[setting.pointer]->values.empty() &&
                trials.spec().method != SweepMethod::grid) {
                ends[setting.pointer].take(setting.value.get<double>(), number);
            } else if (seen.insert(setting.pointer + "=" + setting.value.dump()).second) {
                covering.insert(number);
            }
        }
    }
    for (const auto& [pointer, found] : ends) covering.insert({found.min_trial, found.max_trial});
    return {covering.begin(), covering.end()};
}

void check_jobs(const Trials& trials, std::string_view base_job) {
    const SweepSpec& spec = trials.spec();
    for (const std::uint64_t number : covering_trials(trials)) {
        const Trial trial = trials.trial(number);
        try {
            const JobOutline job =
                outline_of(parse_any_job(base_job, spec.job_path, overrides_of(spec, trial)));
            check_rungs(spec, job);
            check_metric(spec, job);
        } catch (const UsageError& error) {
            throw UsageError(fmt::format("{}: the job of trial {} ({}) is refused:\n{}",
                                         printable(spec.path), number, describe(trial.settings),
                                         error.what()));
        }
    }
}

Json settings_json(const Configuration& settings) {
    Json json = Json::object();
    for (const Setting& setting : settings) json[setting.pointer] = setting.value;
    return json;
}

Configuration settings_of(const Json& json) {
    Configuration settings;
    for (const auto& [pointer, value] : json.items()) settings.push_back({pointer, value});
    return settings;
}

std::string describe(const Configuration& settings) {
    std::string text;
    for (const Setting& setting : settings) {
        text += fmt::format("{}{}={}", text.empty() ? "" : ", ", printable(setting.pointer, 80),
                            shown(setting.value));
    }
    return text;
}

std::string describe(const Trial& trial) {
    return describe(trial.settings) +
           (trial.seed ? fmt::format(", /seed={}", *trial.seed) : std::string());
}

}  // namespace dln
