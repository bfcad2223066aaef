#pragma once
// Whole files, replaced atomically: after a kill or a power cut a file has its old or its new
// content and nothing between. Temporary files lie beside their target and are named
// <target>.tmp-<host>-<pid>. Files of a run have failpoints (failpoint.hpp) between the calls.

#include <string>
#include <string_view>
#include <system_error>

namespace dln {

/// Makes `bytes` the content of `path`: temporary file, fsync, rename, fsync of the directory.
/// Throws Error (exit 1) with path, failed call and the system's reason; the temporary file is then
/// gone and the old content of `path` untouched.
void durable_write(const std::string& path, std::string_view bytes);

/// Appends `bytes` to `path` (created when absent) and fsyncs. Throws like durable_write; a part of
/// `bytes` may then have been written.
void durable_append(const std::string& path, std::string_view bytes);

/// Removes the file `path`, unless there is none. Durable when its directory is synced. Returns why it
/// is still there.
[[nodiscard]] std::error_code remove_file(const std::string& path);

/// The whole content of `path`. Throws Error (exit 1) with path and the system's reason.
[[nodiscard]] std::string read_whole_file(const std::string& path);

/// Makes the directory `path` and those above it, unless they are there. Throws Error (exit 1) with path and the
/// system's reason.
void make_directories(const std::string& path);

/// Makes the entries of `directory` durable.
void sync_directory(const std::string& directory);

/// Removes temporary files in `directory` whose writers are dead: those of this host whose process
/// is gone and those of other hosts that are older than an hour. What cannot be removed stays,
/// silently.
void remove_stale_temporaries(const std::string& directory);

}  // namespace dln
