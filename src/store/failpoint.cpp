#include "dln/store/failpoint.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "dln/error.hpp"

namespace dln {
namespace {

constexpr const char* kKillVariable = "DLN_FAILPOINT";
constexpr const char* kStopVariable = "DLN_FAILPOINT_STOP";
constexpr const char* kLogVariable = "DLN_FAILPOINT_LOG";

struct WantedPassing {
    std::string_view point;
    int passing = 1;
    std::optional<int> rank;
};

std::optional<int> number_in(std::string_view text) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    return is_whole ? std::optional(number) : std::nullopt;
}

/// nullopt when `text` is not "<point>[:<n>][@<rank>]".
std::optional<WantedPassing> parse(std::string_view text) {
    WantedPassing wanted;
    if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
        wanted.rank = number_in(text.substr(at + 1));
        if (!wanted.rank || *wanted.rank < 0) return std::nullopt;
        text = text.substr(0, at);
    }
    if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        const auto passing = number_in(text.substr(colon + 1));
        if (!passing || *passing < 1) return std::nullopt;
        wanted.passing = *passing;
        text = text.substr(0, colon);
    }
    wanted.point = text;
    return wanted;
}

/// As the launcher says; the store knows no communicator.
int rank_of_this_process() {
    for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
        if (const char* value = std::getenv(name)) return number_in(value).value_or(0);
    }
    return 0;
}

void log_passing(const char* path, const std::string& point) {
    const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) return;
    const std::string line = fmt::format("{} {}\n", rank_of_this_process(), point);
    static_cast<void>(::write(file, line.data(), line.size()));
    ::close(file);
}

bool is_any_variable_set() {
    return std::getenv(kKillVariable) != nullptr || std::getenv(kStopVariable) != nullptr ||
           std::getenv(kLogVariable) != nullptr;
}

/// Counts a passing of `point` in `passed`; true when it is the one that the variable wants.
bool is_wanted(const char* variable, const std::string& point, int& passed) {
    const char* text = std::getenv(variable);
    const auto wanted = text == nullptr ? std::nullopt : parse(text);
    if (!wanted || wanted->point != point ||
        wanted->rank.value_or(rank_of_this_process()) != rank_of_this_process()) {
        return false;
    }
    return ++passed == wanted->passing;
}

/// Passes `point`; true when the process is to be killed there.
bool is_due(const std::string& point) {
    if (const char* path = std::getenv(kLogVariable)) log_passing(path, point);
    static int passed_to_stop = 0;
    static int passed_to_kill = 0;
    if (is_wanted(kStopVariable, point, passed_to_stop)) std::raise(SIGUSR1);
    return is_wanted(kKillVariable, point, passed_to_kill);
}

std::string name_of(std::string_view file, std::string_view instant) {
    return fmt::format("{}.{}", file, instant);
}

}  // namespace

std::vector<std::string> failpoint_names() {
    std::vector<std::string> names;
    const auto add = [&names](std::span<const std::string_view> files,
                              std::span<const std::string_view> instants) {
        for (const std::string_view file : files) {
            for (const std::string_view instant : instants) names.push_back(name_of(file, instant));
        }
    };
    add(kReplacedFiles, kInstantsOfReplacement);
    add(kAppendedFiles, kInstantsOfAppend);
    add(kRemovedFiles, kInstantsOfRemoval);
    names.insert(names.end(), kOtherPoints.begin(), kOtherPoints.end());
    return names;
}

void check_failpoint() {
    const std::vector<std::string> names = failpoint_names();
    for (const char* variable : {kKillVariable, kStopVariable}) {
        const char* text = std::getenv(variable);
        if (text == nullptr) continue;
        const auto wanted = parse(text);
        if (wanted && std::ranges::find(names, wanted->point) != names.end()) continue;
        throw UsageError(fmt::format(
            "{}={}: {}. Expected <point>[:<n>][@<rank>], n from 1, rank from 0, with one of the "
            "points {}",
            variable, text, wanted ? "there is no such point" : "the number or the rank is none",
            fmt::join(names, ", ")));
    }
}

void failpoint(std::string_view point) {
    if (is_any_variable_set() && is_due(std::string(point))) kill_at_failpoint();
}

void failpoint(std::string_view file, std::string_view instant) {
    if (is_failpoint_due(file, instant)) kill_at_failpoint();
}

bool is_failpoint_due(std::string_view file, std::string_view instant) {
    return !file.empty() && is_any_variable_set() && is_due(name_of(file, instant));
}

void kill_at_failpoint() {
    std::raise(SIGKILL);
    std::abort();  // not reached
}

}  // namespace dln
