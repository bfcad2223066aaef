#include "dln/job/any_job.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "job/document.hpp"

namespace dln {
namespace {

// By what the job says of its system; text that is no JSON is left to the parser, which says so.
bool is_mixture(std::string_view text,
                const std::string& path,
                const std::vector<Override>& overrides) {
    const auto json = nlohmann::json::parse(text, nullptr, false, true);
    std::string system = "dln";
    if (json.is_object() && json.contains("system") && json["system"].is_string()) {
        system = json["system"].get<std::string>();
    }
    for (const Override& each : overrides) {
        if (each.pointer == "/system") system = each.value;
    }
    if (system == "mop") return true;
    if (system == "dln") return false;
    throw UsageError(fmt::format(
        "{}: /system: \"{}\" is unknown. Expected \"dln\" (a network, the default) or \"mop\" (a "
        "mixture of prompts).",
        path.empty() ? "job" : printable(path), printable(system, 60)));
}

}  // namespace

AnyJob read_any_job(const std::string& path, const std::vector<Override>& overrides) {
    return parse_any_job(job::read_document(path, "job"), path, overrides);
}

AnyJob parse_any_job(std::string_view text,
                     const std::string& path,
                     const std::vector<Override>& overrides) {
    if (is_mixture(text, path, overrides)) return parse_mop_job(text, path, overrides);
    return parse_job(text, path, overrides);
}

AnyJob any_job_from_json(std::string_view resolved, const std::string& path) {
    if (is_mixture(resolved, path, {})) return mop_job_from_json(resolved, path);
    return job_from_json(resolved, path);
}

nlohmann::ordered_json any_job_to_json(const AnyJob& job) {
    if (const auto* mixture = std::get_if<MopJob>(&job)) return mop_job_to_json(*mixture);
    return job_to_json(std::get<Job>(job));
}

nlohmann::ordered_json any_job_identity(const AnyJob& job) {
    if (const auto* mixture = std::get_if<MopJob>(&job)) return mop_job_identity(*mixture);
    return job_identity(std::get<Job>(job));
}

JobOutline outline_of(const AnyJob& job) {
    if (const auto* network = std::get_if<Job>(&job)) {
        return {.steps = network->train.steps,
                .eval_every = network->train.eval_every,
                .has_dev = network->data.dev.has_value(),
                .has_test = network->data.test.has_value()};
    }
    const MopJob& mixture = std::get<MopJob>(job);
    return {.steps = mixture.train.steps,
            .eval_every = mixture.train.eval_every,
            .has_dev = std::ranges::any_of(
                mixture.tasks, [](const MopTaskSpec& task) { return task.data.dev.has_value(); }),
            .has_test = std::ranges::any_of(
                mixture.tasks, [](const MopTaskSpec& task) { return task.data.test.has_value(); })};
}

}  // namespace dln
