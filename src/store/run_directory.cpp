#include "dln/store/run_directory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/durable_write.hpp"
#include "dln/store/failpoint.hpp"
#include "dln/text/utf8.hpp"

#include "store/file_descriptor.hpp"
#include "store/process_identity.hpp"
#include "store/run_lock.hpp"

namespace dln {
namespace {

namespace fs = std::filesystem;

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Whether a line of metrics.jsonl was measured at or before `step`, and not at the end of the run.
/// Lines without a step stay.
bool is_kept(const std::string& line, std::int64_t step) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) {
        return false;
    }
    if (json.contains("split") && json["split"] == "test") {
        return false;
    }
    const auto found = json.find("step");
    return found == json.end() || !found->is_number_integer() || found->get<std::int64_t>() <= step;
}

/// `path` itself or the nearest directory above it that exists.
fs::path nearest_existing(const std::string& path) {
    std::error_code failure;
    fs::path place = fs::absolute(path, failure);
    while (!fs::exists(fs::symlink_status(place, failure)) && place.has_relative_path()) {
        place = place.parent_path();
    }
    return place;
}

/// Throws UsageError unless a file can be made in `path`, or in the nearest directory above it that
/// exists. `run` is the run directory, for the message.
void check_writable_place(const std::string& run, const std::string& path) {
    const fs::path place = nearest_existing(path);
    std::error_code failure;
    if (!fs::is_directory(place, failure)) {
        throw UsageError(
            fmt::format("run_dir {}: {} is no directory. Move it away, or choose another run_dir",
                        run, place.string()));
    }
    const std::string probe =
        fmt::format("{}/.dln-writable.tmp-{}-{}", place.string(), host_name(), ::getpid());
    const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        throw UsageError(fmt::format("run_dir {}: cannot write in {}: {}. Choose another run_dir",
                                     run, place.string(), std::strerror(errno)));
    }
    ::close(fd);
    ::unlink(probe.c_str());
}

}  // namespace

RunDirectory::RunDirectory(std::string path) : path_(std::move(path)) {
    while (path_.size() > 1 && path_.ends_with('/')) {
        path_.pop_back();
    }
}
RunDirectory::~RunDirectory() = default;
RunDirectory::RunDirectory(RunDirectory&&) noexcept = default;

std::string RunDirectory::file(std::string_view name) const {
    return fmt::format("{}/{}", path_, name);
}

std::vector<std::string> RunDirectory::step_files() const {
    std::vector<std::string> paths;
    std::error_code failure;  // no directory: no steps
    for (const auto& entry : fs::directory_iterator(steps_path(), failure)) {
        if (entry.path().extension() == ".h5") paths.push_back(entry.path().string());
    }
    // Longer names are later steps.
    std::ranges::sort(paths, [](const std::string& a, const std::string& b) {
        return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    return paths;
}

bool RunDirectory::holds_run() const {
    std::error_code failure;
    return fs::exists(file("job.hash"), failure);
}

bool RunDirectory::is_being_written() const { return lock_is_held(file("lock")); }

void RunDirectory::check_writable() const {
    check_failpoint();
    for (const std::string& place : {path_, steps_path(), journal_path()}) {
        check_writable_place(path_, place);
    }
}

void RunDirectory::check_is_free() const {
    if (holds_run()) {
        return;
    }
    // What a start that was interrupted leaves, see create().
    static constexpr std::array<std::string_view, 4> kOfAStart{"lock", "steps", "journal",
                                                               "model.id"};
    std::error_code failure;
    for (const auto& entry : fs::directory_iterator(path_, failure)) {
        const std::string name = entry.path().filename().string();
        const bool is_ours = std::ranges::find(kOfAStart, name) != kOfAStart.end() ||
                             name.find(".tmp-") != std::string::npos;
        if (is_ours || name.starts_with('.')) {
            continue;
        }
        throw UsageError(
            fmt::format("run_dir {} holds other files (for example \"{}\") and no run. Expected a "
                        "directory that is empty or does not exist yet; choose another run_dir",
                        path_, printable(name, 60)));
    }
}

void RunDirectory::check_belongs_to(
    const std::string& job_hash,
    const std::function<std::string(const std::string&)>& tell_differences) const {
    if (!holds_run() || first_line(read_whole_file(file("job.hash"))) == job_hash) {
        return;
    }
    std::string lines;
    std::error_code failure;
    if (tell_differences && fs::exists(file("job.json"), failure)) {
        lines = tell_differences(read_whole_file(file("job.json")));
    }
    throw UsageError(fmt::format(
        "run_dir {} holds the run of another job{}A run that was begun with --set needs the same "
        "again; else give this job another run_dir, or remove the directory to start anew",
        path_,
        lines.empty() ? fmt::format(": compare {} with your job file. ", file("job.json"))
                      : fmt::format(". What differs:\n{}\n", lines)));
}

RunModels RunDirectory::models() const {
    std::error_code failure;
    if (!fs::exists(file("model.id"), failure)) return {};
    const std::string text = read_whole_file(file("model.id"));
    std::array<std::string, 3> lines;
    std::size_t begin = 0;
    for (std::string& line : lines) {
        line = first_line(text.substr(std::min(begin, text.size())));
        begin += line.size() + 1;
    }
    return {.forward = lines[0], .backward = lines[1], .embedding = lines[2]};
}

void RunDirectory::check_models(const RunModels& models) const {
    if (!holds_run()) {
        return;
    }
    const RunModels begun_with = this->models();
    const auto check = [&](const std::string& begun, const std::string& given, const char* role,
                           const char* pointer) {
        if (begun == given) return;
        throw UsageError(fmt::format(
            "run_dir {} was begun with the {}model {}, but {} names {}. Name the same model, or "
            "give this job another run_dir",
            path_, role, begun, pointer, given));
    };
    check(begun_with.forward, models.forward, "", "/backend");
    check(begun_with.backward, models.backward, "backward ", "/backward_backend");
    check(begun_with.embedding, models.embedding, "embedding ", "/embedding");
}

void RunDirectory::create(const std::string& job_json,
                          const std::string& job_hash,
                          const RunModels& models) {
    DLN_ASSERT(!lock_, "{} is created already", path_);
    make_directories(path_);
    auto lock = std::make_unique<RunLock>(file("lock"));
    check_belongs_to(job_hash);
    check_models(models);
    remove_stale_temporaries(path_);
    make_directories(steps_path());
    make_directories(journal_path());
    failpoint("run.after_directories");
    if (!holds_run()) {
        // A line that later ones follow is there, if empty.
        std::string lines = models.forward + "\n";
        if (!models.backward.empty() || !models.embedding.empty()) lines += models.backward + "\n";
        if (!models.embedding.empty()) lines += models.embedding + "\n";
        durable_write(file("model.id"), lines);
        durable_write(file("job.hash"), job_hash + "\n");  // last: it says that a run is here
    }
    // What the hash leaves out (name, keep, steps) may have changed since the run was begun.
    durable_write(file("job.json"), job_json);
    failpoint("run.after_create");
    lock_ = std::move(lock);
}

void RunDirectory::keep_alive() {
    DLN_ASSERT(lock_ != nullptr, "{} is not created", path_);
    lock_->keep_alive();
}

void RunDirectory::set_latest(std::int64_t step) {
    durable_write(file("LATEST"), step_file_name(step) + "\n");
}

std::optional<std::string> RunDirectory::latest() const {
    std::error_code failure;
    if (!fs::exists(file("LATEST"), failure)) {
        return std::nullopt;
    }
    return first_line(read_whole_file(file("LATEST")));
}

void RunDirectory::append_metrics(std::string_view line) {
    DLN_ASSERT(line.find('\n') == std::string_view::npos, "{}", line);
    durable_append(metrics_path(), std::string(line) + "\n");
}

void RunDirectory::truncate_metrics(std::int64_t step) {
    std::error_code failure;
    if (!fs::exists(metrics_path(), failure)) {
        return;
    }
    const std::string before = read_whole_file(metrics_path());
    std::string after;
    for (std::size_t begin = 0; begin < before.size();) {
        const std::size_t end = before.find('\n', begin);
        if (end == std::string::npos) {
            break;  // torn
        }
        const std::string line = before.substr(begin, end - begin);
        if (is_kept(line, step)) {
            after += line + "\n";
        }
        begin = end + 1;
    }
    if (after != before) {
        durable_write(metrics_path(), after);
    }
}

void RunDirectory::write_file(std::string_view name, std::string_view bytes) {
    durable_write(file(name), bytes);
}

void RunDirectory::remove_file(std::string_view name) {
    if (const std::error_code failure = dln::remove_file(file(name))) {
        throw Error(ExitCode::internal_error,
                    fmt::format("{}: cannot be removed: {}", file(name), failure.message()));
    }
}

}  // namespace dln
