#pragma once
// What the tables of fields say of themselves. jobs/job.schema.json and docs/job-format.md, and
// jobs/sweeps/sweep.schema.json and docs/sweep-format.md, are written from these by dln_job_docs; a test
// fails when the committed files differ. Pure.

#include <string>

namespace dln {

/// JSON schema (draft-07) of job files, for editors and checks before submission.
[[nodiscard]] std::string job_schema();

/// The reference of the job format as Markdown.
[[nodiscard]] std::string job_format_markdown();

/// The same of jobs of a mixture of prompts: jobs/mop.schema.json, docs/mop-format.md.
[[nodiscard]] std::string mop_schema();
[[nodiscard]] std::string mop_format_markdown();

/// The same of sweep files.
[[nodiscard]] std::string sweep_schema();
[[nodiscard]] std::string sweep_format_markdown();

}  // namespace dln
