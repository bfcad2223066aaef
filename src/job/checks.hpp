#pragma once
// What a job must fulfil beyond the types and ranges of its fields. Every fault is noted on the
// reader.

#include <string>
#include <vector>

#include "dln/job/job.hpp"

#include "job/reader.hpp"

namespace dln::job {

/// The variables that a template may use.
struct Offered {
    std::vector<std::string> texts;
    std::vector<std::string> lists;   ///< for {{#name}}
    std::vector<std::string> inside;  ///< further texts within a list's section
};

/// Checks the template `text` of the field `name` below the reader's place: tags, known variables,
/// and that the text `needed` (if not empty) is used.
void check_template(Reader& reader,
                    const std::string& name,
                    const std::string& text,
                    const Offered& offered,
                    const std::string& needed = "");

/// Checks that no two of `names` are equal; `list` is the field that holds the entries, each `what`.
void check_unique(Reader& reader,
                  const std::vector<std::string>& names,
                  const std::string& list,
                  const std::string& what);

/// Checks what a job says of latents: that it has some where it does, and that they can be weighted.
void check_latents(Reader& reader, const Job& job);

/// Checks what a job says of mixture layers, and what goes with them.
void check_mixtures(Reader& reader, const Job& job);

/// Checks what depends on several sections. Pre: the reader is at the job's root and noted no
/// fault.
void check_job(Reader& reader, const Job& job);

}  // namespace dln::job
