#include "dln/sweep/sweep_directory.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/job/differences.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/store/failpoint.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/sweep/trials.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSweepFile = "/sweep.json";
constexpr const char* kJobFile = "/job.json";

// What decides which trial has which number, and what it is.
Json sweep_identity(const Json& sweep, SweepMethod method) {
    Json identity;
    for (const char* name : {"space", "method", "seeds", "seed", "halving"}) {
        identity[name] = sweep.value(name, Json());
    }
    // What was observed by one metric is not to be compared with another one's.
    if (is_adaptive(method)) identity["metric"] = sweep.value("metric", Json());
    return identity;
}

Json base_identity(const AnyJob& base) {
    Json identity = any_job_identity(base);
    identity["train"]["steps"] = outline_of(base).steps;
    return identity;
}

void refuse_differences(const Json& before,
                        const Json& now,
                        const std::string& file,
                        const std::string& runs_dir) {
    const std::string lines = differences(before, now);
    if (lines.empty()) return;
    throw UsageError(fmt::format(
        "{}: not what the sweep in {} was begun with:\n{}\nPut it back, or give the sweep "
        "another runs_dir.",
        printable(file), printable(runs_dir), lines));
}

std::optional<std::uint64_t> number_of(const std::string& name) {
    std::uint64_t number = 0;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, number);
    const bool is_number = parsed.ec == std::errc() && parsed.ptr == end;
    return is_number && trial_directory_name(number) == name ? std::optional(number) : std::nullopt;
}

}  // namespace

bool SweepDirectory::holds_sweep() const {
    std::error_code failure;
    return fs::exists(path_ + kSweepFile, failure);
}

void SweepDirectory::check_unchanged(const SweepSpec& spec, const AnyJob& base) const {
    if (!holds_sweep()) return;
    const std::string path = path_ + kSweepFile;
    const Json before = Json::parse(read_whole_file(path), nullptr, false);
    if (!before.is_object()) {
        throw UsageError(
            fmt::format("{}: is no JSON object: the file is damaged. Remove it if the sweep is the "
                        "same as ever.",
                        printable(path)));
    }
    const Json now = sweep_to_json(spec);
    refuse_differences(sweep_identity(before, spec.method), sweep_identity(now, spec.method),
                       spec.path, path_);
    const auto had = before.value("configurations", std::uint64_t{0});
    if (spec.configurations < had) {
        refuse_differences({{"configurations", had}}, {{"configurations", spec.configurations}},
                           spec.path, path_);
    }
    const std::string base_path = path_ + kJobFile;
    refuse_differences(base_identity(any_job_from_json(read_whole_file(base_path), base_path)),
                       base_identity(base), spec.job_path, path_);
}

void SweepDirectory::begin(const SweepSpec& spec, const AnyJob& base) const {
    check_failpoint();
    check_unchanged(spec, base);
    make_directories(failures_path());
    for (const std::string& place : {path_, failures_path()}) remove_stale_temporaries(place);
    make_directories(journal_path());
    const auto write = [&](const char* name, const std::string& content) {
        std::error_code failure;
        const std::string path = path_ + name;
        if (fs::exists(path, failure) && read_whole_file(path) == content) return;
        durable_write(path, content);
    };
    write(kJobFile, any_job_to_json(base).dump(2) + "\n");
    write(kSweepFile, sweep_to_json(spec).dump(2) + "\n");  // last: it says that a sweep is here
}

void SweepDirectory::record_failure(std::uint64_t trial, const TrialFailure& failure) const {
    const Json json{{"trial", trial}, {"exit_code", failure.exit_code}, {"reason", failure.reason}};
    make_directories(failures_path());
    durable_write(failure_path(trial),
                  json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void SweepDirectory::forget_failure(std::uint64_t trial) const {
    // A trial that finishes has finished, whatever is still kept here.
    static_cast<void>(remove_file(failure_path(trial)));
}

std::string SweepDirectory::failure_path(std::uint64_t trial) const {
    return fmt::format("{}/{}.json", failures_path(), trial_directory_name(trial));
}

std::map<std::uint64_t, TrialFailure> SweepDirectory::failures() const {
    std::map<std::uint64_t, TrialFailure> found;
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(failures_path(), failure)) {
        if (entry.path().extension() != ".json") continue;
        const auto number = number_of(entry.path().stem().string());
        if (!number) continue;
        const Json json = Json::parse(read_whole_file(entry.path().string()), nullptr, false);
        TrialFailure& here = found[*number];
        here.reason = "unknown: the file that says it is damaged";
        if (!json.is_object() || !json.contains("reason") || !json["reason"].is_string()) continue;
        here.reason = json["reason"].get<std::string>();
        if (json.contains("exit_code") && json["exit_code"].is_number_integer()) {
            here.exit_code = json["exit_code"].get<int>();
        }
    }
    return found;
}

std::vector<std::uint64_t> SweepDirectory::begun() const {
    std::vector<std::uint64_t> numbers;
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(path_, failure)) {
        if (const auto number = number_of(entry.path().filename().string())) {
            numbers.push_back(*number);
        }
    }
    std::ranges::sort(numbers);
    return numbers;
}

void compact_run(const std::string& run_dir) {
    const RunDirectory run(run_dir);
    std::error_code failure;
    if (!fs::exists(run.file("LATEST"), failure)) return;
    // What cannot be removed costs space, not correctness.
    for (const std::string& step : run.step_files()) static_cast<void>(remove_file(step));
    static_cast<void>(remove_file(run.metrics_path()));
    static_cast<void>(remove_file(run.file("LATEST")));  // last: it says that the rest is there
}

}  // namespace dln
