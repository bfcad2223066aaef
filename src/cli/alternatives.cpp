#include "cli/alternatives.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "dln/llm/http.hpp"
#include "dln/llm/probe.hpp"

#include "cli/session.hpp"

namespace dln {
namespace {

// Begin-of-sequence tokens of models in use. One that is none of the served model fails the check.
constexpr const char* kBeginTexts[] = {"<|im_start|>", "<|endoftext|>", "<s>", "<|begin_of_text|>",
                                       "<bos>"};

enum class Outcome { works, disagrees, cannot };

Outcome try_out(const BackendSpec& spec, const BackendPlace& place) {
    try {
        const auto backend = make_backend(spec, place);
        const ProbeCheck check = check_scores_belong(*backend).checks.front();
        spdlog::debug("tried dialect {}, begin text \"{}\": {}", spec.dialect, spec.begin_text,
                      check.detail);
        if (check.ok) return Outcome::works;
        return check.name == kAgreementCheck ? Outcome::disagrees : Outcome::cannot;
    } catch (const UnreachableError&) {
        throw;
    } catch (const BackendError& error) {
        spdlog::debug("tried dialect {}: {}", spec.dialect, error.what());
        return Outcome::cannot;
    }
}

// The given dialect first, then the others.
std::vector<std::string> dialects_from(const std::string& first) {
    std::vector<std::string> dialects = http_dialects();
    std::stable_partition(dialects.begin(), dialects.end(),
                          [&](const std::string& dialect) { return dialect == first; });
    return dialects;
}

std::optional<BackendSpec> first_that_works(const BackendSpec& refused,
                                            bool disagrees,
                                            const BackendPlace& place) {
    BackendSpec spec = refused;
    spec.patience_seconds = std::min(spec.patience_seconds, 5.0);
    spec.deadline_seconds = std::min(spec.deadline_seconds, 60.0);
    for (const std::string& dialect : dialects_from(spec.dialect)) {
        spec.dialect = dialect;
        spec.begin_text.clear();
        const bool is_known = dialect == refused.dialect && refused.begin_text.empty();
        Outcome outcome =
            !is_known ? try_out(spec, place) : (disagrees ? Outcome::disagrees : Outcome::cannot);
        for (const char* begin : kBeginTexts) {
            if (outcome != Outcome::disagrees) break;
            spec.begin_text = begin;
            outcome = try_out(spec, place);
        }
        if (outcome == Outcome::works) return spec;
    }
    return std::nullopt;
}

}  // namespace

std::string working_alternative(const ProbeReport& report,
                                const BackendSpec& refused,
                                const BackendPlace& place) {
    if (refused.kind != BackendKind::http || report.has_measurements()) return {};
    const bool disagrees = !report.checks.empty() && report.checks.back().name == kAgreementCheck;
    std::optional<BackendSpec> found;
    try {
        found = first_that_works(refused, disagrees, place);
    } catch (const UnreachableError&) {
        return {};
    }
    if (!found) return {};
    std::string fields;
    std::string options;
    if (found->dialect != refused.dialect) {
        fields = fmt::format("\"dialect\": \"{}\"", found->dialect);
        options = fmt::format(" --dialect {}", found->dialect);
    }
    if (found->begin_text != refused.begin_text) {
        fields +=
            fmt::format("{}\"begin_text\": \"{}\"", fields.empty() ? "" : ", ", found->begin_text);
        options += fmt::format(" --begin-text '{}'", found->begin_text);
    }
    return fmt::format("What works with this server: set {} in the job's {}, or give dln probe{}",
                       fields, std::string_view(place.pointer).substr(1), options);
}

BackendError with_alternative(const BackendError& error,
                              const ProbeReport& report,
                              const BackendSpec& refused,
                              const BackendPlace& place) {
    const std::string works = working_alternative(report, refused, place);
    return BackendError(works.empty() ? error.what() : fmt::format("{}. {}", error.what(), works));
}

}  // namespace dln
