// What a sweep file must fulfil beyond the types and ranges of its fields.

#include <algorithm>
#include <cmath>

#include "dln/text/utf8.hpp"

#include "job/sweep_fields.hpp"

namespace dln::job {
namespace {

// What the sweep itself sets in each trial's job.
constexpr std::array<std::string_view, 3> kSetBySweep{"/run_dir", "/name", "/$schema"};
// Sobol's sequence has a table of directions; boost's goes to 3667.
constexpr std::size_t kMostSobolDimensions = 1000;
// Beyond it a double does not hold each whole number.
constexpr double kLargestWhole = 9007199254740992.0;

void check_pointer(Reader& reader, const std::string& pointer) {
    if (!pointer.starts_with('/') || pointer.size() < 2) {
        reader.fail(fmt::format("\"{}\" is no JSON pointer. Expected \"/\" and names, such as "
                                "\"/train/candidates\".",
                                printable(pointer, 60)),
                    {"pointer"});
    }
    for (const auto set : kSetBySweep) {
        if (pointer == set || pointer.starts_with(std::string(set) + "/")) {
            reader.fail(fmt::format("\"{}\" is set by the sweep. Expected another field.",
                                    printable(pointer, 60)),
                        {"pointer"});
        }
    }
}

void check_values(Reader& reader, const SweepDimension& dimension) {
    for (std::size_t i = 0; i < dimension.values.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (dimension.values[i] != dimension.values[j]) continue;
            reader.fail(fmt::format("the same value as entry {}. Expected different values.", j),
                        {"values", std::to_string(i)});
        }
    }
    for (const auto& [is_given, name] : {std::pair{dimension.min.has_value(), "min"},
                                         {dimension.max.has_value(), "max"},
                                         {dimension.log, "log"},
                                         {dimension.is_int, "int"},
                                         {dimension.grid.has_value(), "grid"}}) {
        if (is_given) {
            reader.fail("beside \"values\". Expected either values or a range.", {name});
        }
    }
}

void check_range(Reader& reader, const SweepDimension& dimension) {
    if (!dimension.min || !dimension.max) {
        const bool has_one = dimension.min || dimension.max;
        reader.fail(has_one
                        ? "missing. A range has both ends: \"min\" and \"max\"."
                        : "empty or missing. Expected a list of values, or \"min\" and \"max\".",
                    {!has_one        ? "values"
                     : dimension.min ? "max"
                                     : "min"});
        return;
    }
    const double min = *dimension.min;
    const double max = *dimension.max;
    if (min > max) {
        reader.fail(fmt::format("{} is below \"min\", {}: nothing lies between. Expected at least "
                                "{}.",
                                max, min, min),
                    {"max"});
    }
    if (dimension.log && min <= 0.0) {
        reader.fail(fmt::format("{} has no logarithm. Expected more than 0, or no \"log\".", min),
                    {"min"});
    }
    for (const auto& [value, name] : {std::pair{min, "min"}, {max, "max"}}) {
        if (!dimension.is_int) continue;
        if (std::floor(value) != value || std::abs(value) > kLargestWhole) {
            reader.fail(
                fmt::format("{} is no whole number below 2^53. Expected one, or no \"int\".",
                            value),
                {name});
        }
    }
}

bool lies_within(const std::string& pointer, const std::string& other) {
    return pointer.size() > other.size() && pointer.starts_with(other) &&
           pointer[other.size()] == '/';
}

void check_different(Reader& reader, const SweepSpec& spec, std::size_t i) {
    const std::string& pointer = spec.space[i].pointer;
    for (std::size_t j = 0; j < i; ++j) {
        const std::string& other = spec.space[j].pointer;
        if (pointer == other) {
            reader.fail(fmt::format("\"{}\" is that of entry {} too. Expected each field once.",
                                    printable(pointer, 60), j),
                        {"pointer"});
        } else if (lies_within(pointer, other) || lies_within(other, pointer)) {
            reader.fail(fmt::format("\"{}\" and entry {}'s \"{}\" lie one in the other. Expected "
                                    "fields that can be changed apart from each other.",
                                    printable(pointer, 60), j, printable(other, 60)),
                        {"pointer"});
        }
    }
    if (pointer == "/seed" && !spec.seeds.empty()) {
        reader.fail("\"/seed\" beside \"seeds\". Expected one of the two.", {"pointer"});
    }
}

void check_condition(Reader& reader, const SweepSpec& spec, std::size_t i) {
    if (!spec.space[i].when) return;
    const SweepCondition& when = *spec.space[i].when;
    const Reader::Scope scope(reader, "when");
    std::vector<std::string> known;
    const SweepDimension* other = nullptr;
    for (std::size_t j = 0; j < i; ++j) {
        if (spec.space[j].values.empty()) continue;
        known.push_back(spec.space[j].pointer);
        if (known.back() == when.pointer) other = &spec.space[j];
    }
    if (other == nullptr) {
        reader.fail(fmt::format("\"{}\" is no dimension with values further up. Expected {}.{}",
                                printable(when.pointer, 60),
                                known.empty() ? "one to be there" : "one of: " + quoted_list(known),
                                hint_for(when.pointer, known)),
                    {"pointer"});
        return;
    }
    for (std::size_t v = 0; v < when.values.size(); ++v) {
        if (std::ranges::find(other->values, when.values[v]) != other->values.end()) continue;
        reader.fail(fmt::format("{} is no value of {}, so the condition never holds. Expected one "
                                "of: {}.",
                                describe(when.values[v]), printable(when.pointer, 60),
                                printable(Json(other->values).dump(), 200)),
                    {"is", std::to_string(v)});
    }
}

// Configurations of which one is let through to the end.
std::uint64_t enough_for_one(const HalvingSpec& halving) {
    std::uint64_t enough = 1;
    for (std::int64_t steps = halving.least_steps; steps < halving.most_steps;
         steps *= halving.reduction) {
        enough *= static_cast<std::uint64_t>(halving.reduction);
    }
    return enough;
}

void check_halving(Reader& reader, const SweepSpec& spec) {
    if (!is_halving(spec.method)) {
        if (spec.halving) {
            reader.fail(
                "beside another method. Expected none, or the method \"asha\" or "
                "\"hyperband\".",
                {"halving"});
        }
        return;
    }
    if (!spec.halving) {
        reader.fail(
            "missing. Expected the steps at which configurations are compared, such as "
            "{\"least_steps\": 1, \"most_steps\": 9}.",
            {"halving"});
        return;
    }
    const HalvingSpec& halving = *spec.halving;
    if (halving.least_steps > halving.most_steps) {
        reader.fail(fmt::format("{} is more than \"most_steps\", {}. Expected at most as many.",
                                halving.least_steps, halving.most_steps),
                    {"halving", "least_steps"});
        return;
    }
    const std::uint64_t enough = enough_for_one(halving);
    if (spec.method == SweepMethod::asha && spec.configurations > 0 &&
        spec.configurations < enough) {
        reader.fail(fmt::format("{}: none would get to {} steps. Expected at least {}, of which "
                                "one does.",
                                spec.configurations, halving.most_steps, enough),
                    {"configurations"});
    }
    for (std::size_t i = 0; i < spec.space.size(); ++i) {
        if (spec.space[i].pointer != "/train/steps") continue;
        reader.fail("\"/train/steps\" is set by \"halving\". Expected another field.",
                    {"space", std::to_string(i), "pointer"});
    }
}

void check_method(Reader& reader, const SweepSpec& spec) {
    const bool is_grid = spec.method == SweepMethod::grid;
    const bool has_own_number = is_grid || spec.method == SweepMethod::hyperband;
    if (has_own_number && spec.configurations > 0) {
        reader.fail(is_grid ? "a grid has as many as there are combinations. Expected 0, or "
                              "another method."
                            : "hyperband has as many as its brackets. Expected 0, or another "
                              "method.",
                    {"configurations"});
    }
    if (!has_own_number && spec.configurations == 0) {
        reader.fail("0: nothing would be tried. Expected how many to draw, at least 1.",
                    {"configurations"});
    }
    if (spec.method == SweepMethod::sobol && spec.space.size() > kMostSobolDimensions) {
        reader.fail(fmt::format("{} dimensions. Expected at most {} with \"sobol\".",
                                spec.space.size(), kMostSobolDimensions),
                    {"space"});
    }
    for (std::size_t i = 0; i < spec.space.size(); ++i) {
        const SweepDimension& dimension = spec.space[i];
        const std::vector<std::string> place{"space", std::to_string(i), "grid"};
        if (!is_grid && dimension.grid) {
            reader.fail("only the method \"grid\" has points. Expected none.", place);
        }
        if (is_grid && !dimension.grid && dimension.values.empty() && !dimension.is_int) {
            reader.fail("missing. A grid takes so many points of a range. Expected at least 2.",
                        place);
        }
    }
}

}  // namespace

void check_dimension(Reader& reader, const SweepDimension& dimension) {
    check_pointer(reader, dimension.pointer);
    if (!dimension.values.empty()) {
        check_values(reader, dimension);
    } else {
        check_range(reader, dimension);
    }
}

void check_sweep(Reader& reader, const SweepSpec& spec) {
    for (std::size_t i = 0; i < spec.seeds.size(); ++i) {
        if (std::find(spec.seeds.begin(), spec.seeds.begin() + static_cast<std::ptrdiff_t>(i),
                      spec.seeds[i]) != spec.seeds.begin() + static_cast<std::ptrdiff_t>(i)) {
            reader.fail(fmt::format("{} twice. Expected different seeds.", spec.seeds[i]),
                        {"seeds", std::to_string(i)});
        }
    }
    {
        const Reader::Scope space(reader, "space");
        for (std::size_t i = 0; i < spec.space.size(); ++i) {
            const Reader::Scope entry(reader, std::to_string(i));
            check_different(reader, spec, i);
            check_condition(reader, spec, i);
        }
    }
    check_method(reader, spec);
    check_halving(reader, spec);
    if (spec.metric.pointer.starts_with("/dev")) {
        const std::vector<std::string> known{"/dev/accuracy", "/dev/log_likelihood",
                                             "/dev/examples"};
        if (std::ranges::find(known, spec.metric.pointer) == known.end()) {
            reader.fail(fmt::format("no result has a number at \"{}\". Expected one of: {}.{}",
                                    printable(spec.metric.pointer, 60), quoted_list(known),
                                    hint_for(spec.metric.pointer, known)),
                        {"metric", "pointer"});
        }
    }
    if (is_halving(spec.method) && spec.metric.pointer.starts_with("/test")) {
        reader.fail(
            "only trials that get to the end are evaluated on test, and comparing by it "
            "leaves no data to test the choice. Expected a place in result.json outside "
            "of /test, such as \"/dev/accuracy\".",
            {"metric", "pointer"});
    }
    if (!spec.metric.pointer.starts_with('/')) {
        reader.fail(fmt::format("\"{}\" is no JSON pointer. Expected a place in result.json, such "
                                "as \"/dev/accuracy\".",
                                printable(spec.metric.pointer, 60)),
                    {"metric", "pointer"});
    }
}

}  // namespace dln::job
