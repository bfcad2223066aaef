#include "job/sweep_fields.hpp"

#include <limits>

#include "job/document.hpp"
#include "job/fields.hpp"
#include "job/file_codecs.hpp"
#include "job/object_codec.hpp"

namespace dln {
namespace job {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMostSteps = 1'000'000;

Codec<SweepCondition> condition() {
    ObjectCodec<SweepCondition> spec(
        "condition",
        "The value of another dimension, on which it depends whether this one counts.");
    spec.field("pointer", &SweepCondition::pointer, non_empty_text(),
               "A dimension further up in `space` that has `values`.", {.required = true})
        .field("is", &SweepCondition::values, list(any_value(), Brackets::needed, 1),
               "The values of it with which this dimension counts.", {.required = true});
    return spec.build();
}

Codec<SweepDimension> dimension() {
    ObjectCodec<SweepDimension> spec("dimension",
                                     "A field of the job that differs between configurations: one "
                                     "of `values`, or a number from `min` to `max`.");
    spec.field("pointer", &SweepDimension::pointer, non_empty_text(),
               "JSON pointer of the field, such as `/train/candidates`.", {.required = true})
        .field("values", &SweepDimension::values, list(any_value()), "What the field may be.",
               {.default_text = "none: a range"})
        .field("min", &SweepDimension::min, nullable(number({.low = -kUnbounded})),
               "The smallest value.")
        .field("max", &SweepDimension::max, nullable(number({.low = -kUnbounded})),
               "The largest value.")
        .field("log", &SweepDimension::log, boolean(),
               "Draw evenly over the logarithm: as many values from 1 to 10 as from 10 to 100.")
        .field("int", &SweepDimension::is_int, boolean(), "Whole numbers only.")
        .field("grid", &SweepDimension::grid, nullable(integer<std::size_t>(2, 10'000)),
               "Points of a range in a grid, both ends among them; without it each whole number.")
        .field("when", &SweepDimension::when, nullable(condition()),
               "Counts only where another dimension has certain values; elsewhere the field stays "
               "as the job has it.");
    return spec.build(
        [](Reader& reader, const Json&, SweepDimension& read) { check_dimension(reader, read); });
}

Codec<SweepMetric> metric() {
    ObjectCodec<SweepMetric> spec("metric", "The number that configurations are compared by.");
    spec.shorthand(text_shorthand("pointer", "a text, which is its `pointer`"))
        .field("pointer", &SweepMetric::pointer, non_empty_text(),
               "Where it is in a trial's `result.json`: `/dev/log_likelihood`, "
               "`/usage/generated_tokens`. What is chosen by `/test` is not tested any more.")
        .field("goal", &SweepMetric::goal,
               choice<SweepGoal>({{SweepGoal::max, "max"}, {SweepGoal::min, "min"}}),
               "Whether more or less of it is better.");
    return spec.build();
}

Codec<HalvingSpec> halving() {
    ObjectCodec<HalvingSpec> spec("halving",
                                  "The steps of training at which configurations are compared: "
                                  "`least_steps`, then `reduction` times as many, and so on.");
    spec.field("most_steps", &HalvingSpec::most_steps, integer<std::int64_t>(1, kMostSteps),
               "Steps of a trial that gets to the end, in place of the base job's `/train/steps`.",
               {.required = true})
        .field("least_steps", &HalvingSpec::least_steps, integer<std::int64_t>(1, kMostSteps),
               "Steps that every configuration gets.")
        .field("reduction", &HalvingSpec::reduction, integer<std::int64_t>(2, 100),
               "One in so many, the best, goes on.");
    return spec.build();
}

void finish_sweep(Reader& reader, const Json& json, SweepSpec& spec) {
    if (!json.contains("name")) {
        spec.name = reader.stem();
    }
    if (!json.contains("runs_dir")) {
        spec.runs_dir = default_run_dir(spec.name);
    }
    if (!reader.has_failed()) {
        check_sweep(reader, spec);
    }
}

Codec<SweepSpec> whole_sweep() {
    ObjectCodec<SweepSpec> spec("sweep", "The whole file.");
    spec.field("name", &SweepSpec::name, file_name(),
               "For reports, and for the default `runs_dir`.",
               {.default_text = "the sweep file's name without extension"})
        .field(
            "job", &SweepSpec::job_path, input_path(),
            "The base job, a complete job file. What `space` does not name stays as it is there.",
            {.required = true})
        .field("space", &SweepSpec::space, list(dimension(), Brackets::needed, 1),
               "The dimensions.", {.required = true})
        .field("method", &SweepSpec::method,
               choice<SweepMethod>({{SweepMethod::grid, "grid"},
                                    {SweepMethod::random, "random"},
                                    {SweepMethod::sobol, "sobol"},
                                    {SweepMethod::asha, "asha"},
                                    {SweepMethod::hyperband, "hyperband"},
                                    {SweepMethod::tpe, "tpe"}}),
               "`grid`: every combination; `random`: each configuration drawn for itself; `sobol`: "
               "points that fill the space more evenly (Sobol', shifted by `seed`); `asha`: drawn "
               "as `random`, and the best of those that had few steps get more; `hyperband`: the "
               "same in brackets that begin with fewer configurations and more steps; `tpe`: drawn "
               "where good ones were dense.")
        .field("configurations", &SweepSpec::configurations, integer<std::size_t>(0, kMostTrials),
               "How many to draw; 0 with `grid` and `hyperband`, which have a number of their own.")
        .field("halving", &SweepSpec::halving, nullable(halving()),
               "With `asha` and `hyperband`: how many steps.")
        .field("seeds", &SweepSpec::seeds,
               list(integer<std::uint64_t>(0, std::numeric_limits<std::uint64_t>::max())),
               "Seeds of the job. Each configuration has a trial with each of them.",
               {.default_text = "the job's own seed"})
        .field("seed", &SweepSpec::seed,
               integer<std::uint64_t>(0, std::numeric_limits<std::uint64_t>::max()),
               "Of what is drawn from the space.")
        .field("metric", &SweepSpec::metric, metric(),
               "The number that configurations are compared by.")
        .field("runs_dir", &SweepSpec::runs_dir, output_path(),
               "Directory of the sweep; each trial has its run directory there.",
               {.default_text = "`runs/<name>` in the current directory"})
        .field("compact", &SweepSpec::compact, boolean(),
               "A finished trial keeps five files: no step files and no metrics. It cannot be "
               "extended then.");
    return spec.build(finish_sweep);
}

}  // namespace

const Codec<SweepSpec>& sweep_codec() {
    static const Codec<SweepSpec> codec = whole_sweep();
    return codec;
}

}  // namespace job

SweepSpec read_sweep_file(const std::string& path) {
    return parse_sweep_file(job::read_document(path, "sweep"), path);
}

SweepSpec parse_sweep_file(std::string_view text, const std::string& path) {
    return job::parse_document(text, path, "sweep", job::sweep_codec(), {}, job::FileAccess::check);
}

nlohmann::ordered_json sweep_to_json(const SweepSpec& spec) {
    return job::sweep_codec().write(spec);
}

}  // namespace dln
