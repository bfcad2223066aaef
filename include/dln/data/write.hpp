#pragma once
// From a set of examples to a file. Rank 0 and `dln data` only.

#include <string>

#include "dln/data/dataset.hpp"

namespace dln {

/// Writes one {"input": ..., "target": ...} a line to `path`, with "task" where examples have one, which
/// read_split reads again as the same set. Folders are created. Readers see the old file or the whole new one, never a part: it is written
/// beside `path`, flushed to disk and renamed. Throws UsageError, leaving `path` as it was, when that
/// fails (permission, full disk) or when a text is not UTF-8, which JSON cannot hold.
void write_json_lines(const std::string& path, const Dataset& examples);

}  // namespace dln
