#include "dln/train/run_summary.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/text/utf8.hpp"

#include "train/run_spending.hpp"

namespace dln {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

/// A JSON file of a run, with messages for what it lacks.
class RunFile {
  public:
    RunFile(std::string path, std::string remedy)
        : path_(std::move(path)), remedy_(std::move(remedy)) {
        try {
            text_ = read_whole_file(path_);
        } catch (const Error& error) {
            throw UsageError(fmt::format("{}. {}", error.what(), remedy_));
        }
        json_ = Json::parse(text_, nullptr, false);
        if (!json_.is_object()) throw damaged("", "is no JSON object");
    }

    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] bool has(const char* place) const { return json_.contains(Pointer(place)); }

    [[nodiscard]] std::int64_t count(const char* place) const {
        const Json& value = at(place);
        if (!value.is_number_integer() || value.get<std::int64_t>() < 0) {
            throw damaged(place, "is no whole number from 0");
        }
        return value.get<std::int64_t>();
    }
    [[nodiscard]] double number(const char* place) const {
        const Json& value = at(place);
        if (!value.is_number()) throw damaged(place, "is no number");
        return value.get<double>();
    }
    [[nodiscard]] std::string text(const char* place) const {
        const Json& value = at(place);
        if (!value.is_string()) throw damaged(place, "is no text");
        return value.get<std::string>();
    }
    [[nodiscard]] std::uint64_t seed(const char* place) const {
        const Json& value = at(place);
        if (!value.is_number_unsigned()) throw damaged(place, "is no whole number from 0");
        return value.get<std::uint64_t>();
    }
    [[nodiscard]] UsageError damaged(const char* place, const char* what) const {
        return UsageError(fmt::format("{}: {}{}{}: the file is damaged. {}", path_, place,
                                      *place == '\0' ? "" : " ", what, remedy_));
    }

  private:
    [[nodiscard]] const Json& at(const char* place) const {
        if (!has(place)) throw damaged(place, "is missing");
        return json_.at(Pointer(place));
    }

    std::string path_;
    std::string remedy_;
    std::string text_;
    Json json_;
};

// Runs directly below `path`, for whoever named the folder that they are in.
std::vector<std::string> runs_below(const std::string& path) {
    std::vector<std::string> found;
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(path, failure)) {
        if (RunDirectory(entry.path().string()).holds_run()) found.push_back(entry.path().string());
    }
    std::ranges::sort(found);
    return found;
}

void check_holds_run(const RunDirectory& run) {
    std::error_code failure;
    const std::string shown = printable(run.path());
    if (!fs::exists(run.path(), failure)) {
        throw UsageError(fmt::format(
            "{}: no such directory. Expected the run directory (run_dir) of a job.", shown));
    }
    if (!fs::is_directory(run.path(), failure)) {
        throw UsageError(fmt::format(
            "{}: is no directory. Expected the run directory (run_dir) of a job.", shown));
    }
    if (run.holds_run()) return;
    const std::vector<std::string> below = runs_below(run.path());
    throw UsageError(
        fmt::format("{}: not the directory of a training run (no job.hash in it). {}", shown,
                    below.empty() ? "Expected the run_dir of a job that dln train has begun."
                                  : fmt::format("There are runs below it: give {}/* or {}.", shown,
                                                printable(below.front()))));
}

std::string first_line_of(const std::string& path) {
    try {
        const std::string text = read_whole_file(path);
        return text.substr(0, text.find('\n'));
    } catch (const Error&) {
        return {};
    }
}

RunModels models_of(const RunDirectory& run) {
    try {
        return run.models();
    } catch (const Error&) {
        return {};
    }
}

std::optional<StepFile> newest_step(const RunDirectory& run) {
    const std::vector<std::string> paths = run.step_files();
    for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
        try {
            return read_step_file(*path);
        } catch (const CheckpointError&) {
            continue;  // as resuming does
        }
    }
    return std::nullopt;
}

void read_unfinished(const RunDirectory& run, RunSummary& summary) {
    std::error_code failure;
    summary.state =
        fs::exists(run.file(kSpentFile), failure) ? RunState::out_of_budget : RunState::unfinished;
    const std::optional<StepFile> newest = newest_step(run);
    if (!newest) return;
    summary.steps_done = newest->header.step;
    try {
        summary.spent = spent_so_far(run, newest);
    } catch (const CheckpointError&) {
        summary.spent.reset();  // of another version
    }
}

std::vector<bool> read_right(const RunFile& result) {
    std::vector<bool> right;
    for (const char answer : result.text("/test/right")) {
        if (answer != '0' && answer != '1') {
            throw result.damaged("/test/right", "has other characters than 0 and 1");
        }
        right.push_back(answer == '1');
    }
    return right;
}

TestSummary read_test(const RunFile& result) {
    TestSummary test{.examples = result.count("/test/examples")};
    if (result.has("/test/measured")) test.measured = result.count("/test/measured");
    if (result.has("/test/data_sha256")) test.data_sha256 = result.text("/test/data_sha256");
    if (test.examples == 0 || test.measured == 0) return test;  // figures of nothing are none
    if (result.has("/test/log_likelihood")) {
        test.log_likelihood = result.number("/test/log_likelihood");
    }
    if (!result.has("/test/accuracy")) return test;
    const double accuracy = result.number("/test/accuracy");
    if (!(accuracy >= 0.0 && accuracy <= 1.0)) {
        throw result.damaged("/test/accuracy", "is not from 0 to 1");
    }
    test.right = std::llround(accuracy * static_cast<double>(test.examples));
    if (!result.has("/test/right")) return test;
    test.right_by_example = read_right(result);
    if (static_cast<std::int64_t>(test.right_by_example.size()) != test.examples) {
        throw result.damaged("/test/right", "has not one character for each of /test/examples");
    }
    if (std::ranges::count(test.right_by_example, true) != *test.right) {
        throw result.damaged("/test/right", "contradicts /test/accuracy");
    }
    return test;
}

void read_complete(const RunFile& result, RunSummary& summary) {
    summary.steps_done = result.count("/steps_done");
    // Fewer: it pauses, or was about to go on when it was killed.
    const bool has_all = *summary.steps_done >= summary.steps;
    summary.state = has_all ? RunState::complete : RunState::unfinished;
    if (result.has("/test")) summary.test = read_test(result);
    if (result.has("/spent") && result.has("/measured/seconds")) {
        summary.spent = Spending{.requests = result.count("/spent/requests"),
                                 .prompt_tokens = result.count("/spent/prompt_tokens"),
                                 .generated_tokens = result.count("/spent/generated_tokens"),
                                 .discarded_tokens = result.has("/spent/discarded_tokens")
                                                         ? result.count("/spent/discarded_tokens")
                                                         : 0,
                                 .seconds = result.number("/measured/seconds")};
    }
    if (result.has("/spent/money")) summary.money = result.number("/spent/money");
}

}  // namespace

double TestSummary::accuracy() const {
    DLN_ASSERT(right.has_value(), "accuracy of {} examples was not measured", examples);
    return examples == 0 ? 0.0 : static_cast<double>(*right) / static_cast<double>(examples);
}

RunSummary read_run_summary(const std::string& path) {
    const RunDirectory run(path);
    check_holds_run(run);
    const RunFile job(run.file("job.json"), "The job's dln train command writes it anew.");
    const RunModels models = models_of(run);
    RunSummary summary{.path = run.path(),
                       .name = job.text("/name"),
                       .seed = job.seed("/seed"),
                       .steps = job.count("/train/steps"),
                       .job_hash = first_line_of(run.file("job.hash")),
                       .model = models.forward,
                       .backward_model = models.backward,
                       .job_json = job.text()};
    std::error_code failure;
    if (!fs::exists(run.file("result.json"), failure)) {
        read_unfinished(run, summary);
        return summary;
    }
    const RunFile result(run.file("result.json"),
                         "Remove it and give the job's dln train command again: the test examples "
                         "are then evaluated again.");
    read_complete(result, summary);
    return summary;
}

}  // namespace dln
