#pragma once
// What metrics.jsonl of a run says. Reads only; rank 0.

#include <cstdint>
#include <string>
#include <string_view>

namespace dln {

/// Whether the file has a line of `split` at `step`. No file has none.
[[nodiscard]] bool has_metrics_line(const std::string& path,
                                    std::string_view split,
                                    std::int64_t step);

}  // namespace dln
