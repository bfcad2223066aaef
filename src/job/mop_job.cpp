#include "dln/job/mop_job.hpp"

#include <fmt/format.h>

#include "dln/digest/sha256.hpp"
#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

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

// By what the job says of its system; text that is no JSON is left to the parser, which says so.
bool is_mixture(std::string_view text,
                const std::string& path,
                const std::vector<Override>& overrides) {
    const auto json = nlohmann::json::parse(text, nullptr, false, true);
    std::string system = "dln";
    if (json.is_object() && json.contains("system") && json["system"].is_string()) {
        system = json["system"].get<std::string>();
    }
    for (const Override& each : overrides) {
        if (each.pointer == "/system") system = each.value;
    }
    if (system == "mop") return true;
    if (system == "dln") return false;
    throw UsageError(fmt::format(
        "{}: /system: \"{}\" is unknown. Expected \"dln\" (a network, the default) or \"mop\" (a "
        "mixture of prompts).",
        path.empty() ? "job" : printable(path), printable(system, 60)));
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

AnyJob read_any_job(const std::string& path, const std::vector<Override>& overrides) {
    return parse_any_job(job::read_document(path, "job"), path, overrides);
}

AnyJob parse_any_job(std::string_view text,
                     const std::string& path,
                     const std::vector<Override>& overrides) {
    if (is_mixture(text, path, overrides)) return parse_mop_job(text, path, overrides);
    return parse_job(text, path, overrides);
}

AnyJob any_job_from_json(std::string_view resolved, const std::string& path) {
    if (is_mixture(resolved, path, {})) return mop_job_from_json(resolved, path);
    return job_from_json(resolved, path);
}

}  // namespace dln
