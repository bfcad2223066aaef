#pragma once
// What the table of fields says of itself. jobs/job.schema.json and docs/job-format.md are written
// from these by dln_job_docs; a test fails when the committed files differ. Pure.

#include <string>

namespace dln {

/// JSON schema (draft-07) of job files, for editors and checks before submission.
[[nodiscard]] std::string job_schema();

/// The reference of the job format as Markdown.
[[nodiscard]] std::string job_format_markdown();

}  // namespace dln
