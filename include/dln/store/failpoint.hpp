#pragma once
// Named places where a test may have the program killed or asked to stop, to prove that a kill at any
// instant is survived. docs/reliability.md says what a kill leaves at each of them; tools/fault-campaign
// visits them all.
//
//   DLN_FAILPOINT="<point>[:<n>][@<rank>]"  SIGKILL at the n-th passing (default: the first) that a
//                                           process makes of that point, on any rank or on one only
//   DLN_FAILPOINT_STOP="..."                SIGUSR1 at that passing, which asks a run to stop; as above
//   DLN_FAILPOINT_LOG="<file>"              each passing appends "<rank> <point>" to this file
//
// Without these variables a point costs three getenv. Any rank.

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace dln {

/// Files that durable_write replaces whole. "step" stands for all step files, "server.json" for
/// those of all models, "failure" for those of all trials of a sweep; "metrics.jsonl" and
/// "decisions.jsonl" are replaced when a restart takes lines off their ends, "lock" when a dead holder's
/// is taken over.
inline constexpr std::array<std::string_view, 14> kReplacedFiles{
    "lock",        "model.id",   "job.hash",   "job.json",       "server.json",
    "step",        "LATEST",     "failure",    "prompts.json",   "metrics.jsonl",
    "result.json", "spent.json", "sweep.json", "decisions.jsonl"};
/// Between any two calls of a replacement lies one of these instants: what precedes fsync is
/// after_write, what precedes the rename after_close, what precedes the fsync of the directory
/// after_rename.
inline constexpr std::array<std::string_view, 8> kInstantsOfReplacement{
    "before_open", "after_open",  "half_written", "after_write",
    "after_fsync", "after_close", "after_rename", "after_directory_fsync"};

inline constexpr std::array<std::string_view, 3> kAppendedFiles{"lock", "metrics.jsonl",
                                                                "decisions.jsonl"};
/// after_append is before the fsync.
inline constexpr std::array<std::string_view, 4> kInstantsOfAppend{
    "before_append", "half_appended", "after_append", "after_append_fsync"};

inline constexpr std::array<std::string_view, 7> kRemovedFiles{
    "lock", "result.json", "spent.json", "step", "LATEST", "metrics.jsonl", "failure"};
inline constexpr std::array<std::string_view, 2> kInstantsOfRemoval{"before_remove",
                                                                    "after_remove"};

/// Points that are not "<file>.<instant>" of the tables above: of the run directory, of the journal,
/// and stages of training.
inline constexpr std::array<std::string_view, 17> kOtherPoints{"lock.after_claim",
                                                               "run.after_directories",
                                                               "run.after_create",
                                                               "journal.after_open",
                                                               "journal.after_directory_fsync",
                                                               "journal.half_line",
                                                               "journal.after_line",
                                                               "journal.before_fsync",
                                                               "journal.after_fsync",
                                                               "step_begin",
                                                               "after_step",
                                                               "after_dev",
                                                               "before_save",
                                                               "step_end",
                                                               "before_test",
                                                               "after_test",
                                                               "before_stop"};

/// All points, "<file>.<instant>" or of kOtherPoints.
[[nodiscard]] std::vector<std::string> failpoint_names();

/// Throws UsageError that lists the points when DLN_FAILPOINT or DLN_FAILPOINT_STOP names none of
/// them, or its number or rank is none.
void check_failpoint();

/// Passes a point, which must be one of failpoint_names().
void failpoint(std::string_view point);
/// Passes "<file>.<instant>"; an empty `file` has no points.
void failpoint(std::string_view file, std::string_view instant);

/// Passes "<file>.<instant>", but leaves the kill to the caller: true when it should do half of what
/// comes now and then call kill_at_failpoint.
[[nodiscard]] bool is_failpoint_due(std::string_view file, std::string_view instant);
[[noreturn]] void kill_at_failpoint();

}  // namespace dln
