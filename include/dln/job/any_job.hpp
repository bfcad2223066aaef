#pragma once
// A job of any system. Which one it is of its field "system" says: "dln", a network, is the default; "mop" is a mixture
// of prompts. Pure data.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "dln/job/job.hpp"
#include "dln/job/mop_job.hpp"

namespace dln {

using AnyJob = std::variant<Job, MopJob>;

// As read_job, parse_job, job_from_json, job_to_json and job_identity.
[[nodiscard]] AnyJob read_any_job(const std::string& path,
                                  const std::vector<Override>& overrides = {});
[[nodiscard]] AnyJob parse_any_job(std::string_view text,
                                   const std::string& path,
                                   const std::vector<Override>& overrides = {});
[[nodiscard]] AnyJob any_job_from_json(std::string_view resolved, const std::string& path = "");
[[nodiscard]] nlohmann::ordered_json any_job_to_json(const AnyJob& job);
[[nodiscard]] nlohmann::ordered_json any_job_identity(const AnyJob& job);

/// What jobs of all systems have.
struct JobOutline {
    std::int64_t steps = 0;
    std::int64_t eval_every = 1;
    bool has_dev = false;
    bool has_test = false;
};
[[nodiscard]] JobOutline outline_of(const AnyJob& job);

}  // namespace dln
