#include "cli/job_options.hpp"

#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/network/network.hpp"
#include "dln/train/prompts_file.hpp"

#include "cli/text_file.hpp"

namespace dln {
namespace {

std::vector<Override> overrides_of(const std::vector<std::string>& sets) {
    std::vector<Override> overrides;
    for (const std::string& text : sets) {
        const std::size_t at = text.find('=');
        if (at == std::string::npos || !text.starts_with('/')) {
            throw UsageError(fmt::format(
                "--set \"{}\": expected /path/of/field=value, for example --set /train/steps=5",
                text));
        }
        overrides.push_back({text.substr(0, at), text.substr(at + 1)});
    }
    return overrides;
}

// The file that the prompts come from; empty: the job itself.
std::string prompts_path(const JobOptions& options) {
    if (!options.prompts_path.empty() || options.run_path.empty()) return options.prompts_path;
    return options.run_path + "/prompts.json";
}

std::string prompts_text(const std::string& path) {
    std::optional<std::string> text = read_text_file(path);
    if (!text) throw UsageError(fmt::format("{}: cannot be read. dln train writes one", path));
    return std::move(*text);
}

}  // namespace

void add_job_options(CLI::App& command, JobOptions& options) {
    command.add_option("job", options.job_path, "Job file (JSON, comments allowed)")->required();
    command.add_option("--set", options.sets, "Override a field, e.g. --set /train/steps=5")
        ->type_name("POINTER=VALUE")
        ->expected(1)
        ->take_all();
}

void add_max_hours(CLI::App& command, double& max_hours) {
    command
        .add_option("--max-hours", max_hours,
                    "Save and stop before this process has run for so long: exit code 75, submit "
                    "again")
        ->check(CLI::PositiveNumber);
}

void add_network_options(CLI::App& command, JobOptions& options) {
    command.add_option("job", options.job_path, "Job file; not needed with --run");
    command
        .add_option("--run", options.run_path,
                    "Directory of a training run: its job and best prompts")
        ->type_name("DIRECTORY");
    command
        .add_option("--prompts", options.prompts_path,
                    "prompts.json to use instead of the run's or the job's")
        ->type_name("FILE");
    command.add_option("--set", options.sets, "Override a field, e.g. --set /scoring/block=8")
        ->type_name("POINTER=VALUE")
        ->expected(1)
        ->take_all();
}

AnyJob read_any_job(const JobOptions& options) {
    const std::vector<Override> overrides = overrides_of(options.sets);
    if (!options.job_path.empty()) return read_any_job(options.job_path, overrides);
    if (options.run_path.empty()) {
        throw UsageError("name a job file or, with --run, the directory of a training run");
    }
    const std::string path = options.run_path + "/job.json";
    if (!overrides.empty()) return read_any_job(path, overrides);
    const std::optional<std::string> text = read_text_file(path);
    if (!text) {
        throw UsageError(
            fmt::format("{}: cannot be read: {} is not the directory of a training run", path,
                        options.run_path));
    }
    // A run can be used where its data are not.
    return any_job_from_json(*text, path);
}

Job read_job(const JobOptions& options) {
    AnyJob job = read_any_job(options);
    if (auto* network = std::get_if<Job>(&job)) return std::move(*network);
    throw UsageError(
        fmt::format("{}: /system: \"mop\": this command takes a network. A mixture of prompts has "
                    "no prompts in "
                    "words, and asks no server.",
                    std::get<MopJob>(job).path));
}

NetworkParameters read_parameters(const JobOptions& options, const Job& job) {
    if (const std::string path = prompts_path(options); !path.empty()) {
        return parse_prompts(prompts_text(path), path, job);
    }
    NetworkParameters parameters;
    for (const LayerSpec& layer : job.network.layers) {
        parameters.push_back(initial_parameters(layer));
    }
    return parameters;
}

ClassLogProbs read_class_prior(const JobOptions& options, const Job& job) {
    const std::string path = prompts_path(options);
    if (path.empty()) return {};
    return parse_class_prior(prompts_text(path), path, job);
}

}  // namespace dln
