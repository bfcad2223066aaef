#include "dln/job/mop_job.hpp"

#include "dln/digest/sha256.hpp"

#include "job/document.hpp"
#include "job/mop_fields.hpp"

namespace dln {
namespace {

MopJob parse(std::string_view text,
             const std::string& path,
             const std::vector<Override>& overrides,
             job::FileAccess access) {
    return job::parse_document(text, path, "job", job::mop_codec(), overrides, access);
}

}  // namespace

MopJob parse_mop_job(std::string_view text,
                     const std::string& path,
                     const std::vector<Override>& overrides) {
    return parse(text, path, overrides, job::FileAccess::check);
}

MopJob mop_job_from_json(std::string_view resolved, const std::string& path) {
    return parse(resolved, path, {}, job::FileAccess::skip);
}

nlohmann::ordered_json mop_job_to_json(const MopJob& job) { return job::mop_codec().write(job); }

nlohmann::ordered_json mop_job_identity(const MopJob& job) {
    auto identity = mop_job_to_json(job);
    for (const auto* name : {"name", "run_dir", "keep"}) identity.erase(name);
    for (auto& task : identity["tasks"]) {
        task.erase("classes");
        for (auto& split : task["data"]) {
            if (split.is_object()) split.erase("path");
        }
    }
    identity["train"].erase("steps");
    identity["model"].erase("model");
    return identity;
}

std::string mop_job_hash(const MopJob& job, const std::vector<std::string>& data_digests) {
    return sha256(
        nlohmann::ordered_json{{"job", mop_job_identity(job)}, {"data", data_digests}}.dump());
}

}  // namespace dln
