#include <algorithm>

#include <fmt/format.h>

#include "dln/job/job_docs.hpp"

#include "job/fields.hpp"
#include "job/mop_fields.hpp"
#include "job/sweep_fields.hpp"

namespace dln {
namespace {

using job::FieldShape;
using job::Shape;
using job::ShapeKind;

const char* const kIntroduction = R"(# The job file

<!-- Written by dln_job_docs from src/job/fields.cpp. Do not edit: build the target and run it. -->

A job file tells `dln train` everything about one training run. It is JSON; comments (`//` and `/* */`) are
allowed. Only the training data and the layers' initial prompts are needed, the rest has defaults. This is a
complete job:

```json
{
    "$schema": "job.schema.json",  // optional: lets an editor complete and check what you type
    "data": {
        "train": "reviews.train.jsonl",  // one {"input": ..., "target": ...} a line
        "dev": "reviews.dev.jsonl",
        "test": {"path": "reviews.test.jsonl", "limit": 500}
    },
    "classes": ["no", {"name": "yes", "verbalizers": ["yes", "true"]}],
    "network": {
        "layers": [
            {
                "prompt": "Is this review positive?",
                "template": "{{prompt}}\n\nReview: {{input}}\n\nAnswer:"
            }
        ]
    },
    "train": {"steps": 20, "batch_size": 16, "candidates": 8}
}
```

- **Paths** are relative to the job file's directory.
- **Faults** are all reported before anything is paid or written, with the place in the file (a JSON
  pointer), what was found, what would be right and, for a slip of the finger, what was probably meant.
  `dln` then ends with exit code 2.
- **The resolved job**, with every default written out and every shorthand expanded, is kept as `job.json`
  in the run directory. It is a job file itself.
- **The job's identity** is a hash over the resolved job and the content of its data, but not over `name`,
  `run_dir`, `keep`, `/train/steps`, `/budget`, prices, what only says where and how fast servers are asked,
  `/backend/threads` and the paths of data, model and replies: these may change between two allocations of
  one run. A model file may move; its name and content may not change. The same holds for the backward model.
- **Two models** may share the work: `backend` runs the layers and gives all scores that candidates are chosen
  by, `backward_backend` writes proposals and posterior samples and, with `log_q`, scores these. A
  `backward_backend` that says the same as `backend` is none.
- **More steps** can be added to a run: with a larger `/train/steps` a complete run goes on from its last step
  and ends as if it had had them from the start. There is one exception: when `eval_every` does not divide the
  old number of steps, the old last step was evaluated on dev all the same, which may change what follows;
  `dln` says so. Steps cannot be taken away.
- **A budget** counts what the run has used over all its processes and ranks: the complete steps, the step
  under way, evaluations on dev and test; replies that its journal holds count as what they were paid for.
  The probe before the first step counts, and so does each reply that came but was of no use, before its
  further try: a server bills what it has computed. Tries without a reply (refused, lost, too late) do not
  count. All tokens that a server generates are output, also the one beside a score. When the budget is spent,
  no more is asked for. What is under way comes to its end, so that a run uses somewhat more than its budget:
  the fewer calls in flight, the less. `dln` then ends with exit code 4 and says which limit was reached; with
  a larger one the same command goes on and pays for nothing twice. Without a journal (`embedded`,
  `scripted`) the step under way is completed first.

## Changing a field from the command line

`--set POINTER=VALUE` sets one field before the job is checked; it may be given many times. The pointer is
a JSON pointer; list entries count from 0, and the index one past the end adds an entry. The value is JSON,
or else a text. `null` removes an optional part.

    dln train job.json --set /train/steps=5 --set /backend/kind=scripted
    dln train job.json --set /network/layers/0/prompts/0="Let's think step by step."
    dln train job.json --set '/classes=["no", "yes"]' --set /data/dev=null

Shorthands are no obstacle: `--set /data/train/limit=100` works when `"train"` is only a path.
)";

const char* const kSweepIntroduction = R"(# The sweep file

<!-- Written by dln_job_docs from src/job/sweep_fields.cpp. Do not edit: build the target and run it. -->

A sweep file says which trials `dln sweep` runs; [sweeps](sweeps.md) tells how. It is JSON; comments (`//` and
`/* */`) are allowed. Paths are relative to the sweep file's directory. Pointers are JSON pointers into the job, as
`--set` takes them.
)";

const char* const kMopIntroduction = R"(# The job file of a mixture of prompts

<!-- Written by dln_job_docs from src/job/mop_fields.cpp. Do not edit: build the target and run it. -->

A job with `"system": "mop"` tells `dln train` everything about training a [mixture of prompts](mop.md). It is JSON;
comments (`//` and `/* */`) are allowed. Paths are relative to the job file's directory.
)";

std::string anchor(const std::string& title) {
    std::string link = title;
    std::replace(link.begin(), link.end(), ' ', '-');
    return fmt::format("[{}](#{})", title, link);
}

std::string cell(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
        escaped += c == '|' ? "\\|" : std::string(1, c);
    }
    return escaped;
}

std::string type_of(const Shape& shape) {
    std::string type = shape.type == "choice" ? "text" : shape.type;
    if (shape.kind == ShapeKind::object) {
        type = anchor(shape.title);
    } else if (shape.kind == ShapeKind::list) {
        type = "list of " + type_of(*shape.element);
        type += shape.shorthands.empty() ? "" : ", or one";
    }
    return shape.nullable ? type + " or null" : type;
}

/// Allowed values in code quotes, other ranges in words.
std::string range_of(const Shape& shape) {
    if (shape.kind == ShapeKind::list && shape.range.empty()) {
        return shape.element->kind == ShapeKind::leaf && !shape.element->range.empty()
                   ? "each " + shape.element->range
                   : "";
    }
    auto range = shape.range;
    if (shape.type == "choice") {
        std::replace(range.begin(), range.end(), '"', '`');
    }
    return range;
}

std::string default_of(const FieldShape& field) {
    if (field.required) {
        return "*required*";
    }
    if (!field.default_text.empty()) {
        return field.default_text;
    }
    if (field.default_value.is_null()) {
        return "absent";
    }
    return field.default_value.is_object() && field.shape->kind == ShapeKind::object
               ? "its defaults"
               : fmt::format("`{}`", field.default_value.dump());
}

std::string row(const FieldShape& field) {
    const auto name = field.alias.empty() ? fmt::format("`{}`", field.name)
                                          : fmt::format("`{}` or `{}`", field.name, field.alias);
    return fmt::format("| {} | {} | {} | {} | {} |\n", name, cell(type_of(*field.shape)),
                       cell(default_of(field)), cell(range_of(*field.shape)), cell(field.doc));
}

/// The sections of `shape` and of all objects below it, each once, with the places where it may
/// occur.
struct Section {
    const Shape* shape;
    std::vector<std::string> places;
};

void collect_sections(const Shape& shape,
                      const std::string& place,
                      std::vector<Section>& sections) {
    if (shape.kind == ShapeKind::list) {
        collect_sections(*shape.element, place + "/*", sections);
    }
    if (shape.kind != ShapeKind::object) {
        return;
    }
    const auto known = std::find_if(sections.begin(), sections.end(), [&](const Section& section) {
        return section.shape->title == shape.title;
    });
    if (known != sections.end()) {
        known->places.push_back(place);
        return;
    }
    sections.push_back({&shape, {place}});
    for (const auto& field : shape.fields) {
        collect_sections(*field.shape, place + "/" + field.name, sections);
    }
}

std::string section_text(const Section& section) {
    const auto& shape = *section.shape;
    auto text = fmt::format("\n## {}\n\n", shape.title);
    if (!section.places.front().empty()) {
        text += fmt::format("At `{}`. ", fmt::join(section.places, "`, `"));
    }
    text += shape.doc + "\n";
    for (const auto& shorthand : shape.shorthands) {
        text += fmt::format("\nShorthand: {}.\n", shorthand.doc);
    }
    text += "\n| field | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n";
    for (const auto& field : shape.fields) {
        text += row(field);
    }
    return text;
}

std::string page(const std::string& introduction, const Shape& shape) {
    std::vector<Section> sections;
    collect_sections(shape, "", sections);
    std::string text = introduction;
    for (const auto& section : sections) {
        text += section_text(section);
    }
    return text;
}

}  // namespace

std::string job_format_markdown() { return page(kIntroduction, *job::job_codec().shape); }

std::string mop_format_markdown() { return page(kMopIntroduction, *job::mop_codec().shape); }

std::string sweep_format_markdown() { return page(kSweepIntroduction, *job::sweep_codec().shape); }

}  // namespace dln
