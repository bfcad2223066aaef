#include "example_sink.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

std::vector<std::string> label_values(const SplitSpec& spec) {
    std::vector<std::string> result;
    for (const auto& label : spec.labels) {
        result.push_back(label.first);
    }
    return result;
}

std::vector<NamedField> fields_of(const SplitSpec& spec) {
    std::vector<NamedField> fields{{"input", spec.input_field}, {"target", spec.target_field}};
    if (spec.task_field) {
        fields.push_back({"task", *spec.task_field});
    }
    return fields;
}

}  // namespace

std::string quoted_list(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 20;
    std::string result;
    for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
        result += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", printable(names[i], 60));
    }
    return names.size() > kShown ? fmt::format("{}, ... ({} in all)", result, names.size())
                                 : result;
}

std::string hint_for(std::string_view word, const std::vector<std::string>& known) {
    const auto near = near_miss(word, known);
    return near ? fmt::format(" Did you mean \"{}\"?", printable(*near)) : std::string();
}

ExampleSink::ExampleSink(const SplitSpec& spec, const std::vector<std::string>& class_names)
    : spec_(spec),
      fields_(fields_of(spec)),
      class_names_(class_names),
      classes_(class_names.begin(), class_names.end()),
      labels_(spec.labels.begin(), spec.labels.end()) {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (fields_[i].name == fields_[j].name) {
                throw UsageError(fmt::format(
                    "{}: {} and {} are both called \"{}\"; they must be two fields", spec.path,
                    fields_[j].role, fields_[i].role, printable(fields_[i].name)));
            }
        }
    }
}

void ExampleSink::fail(std::size_t line, const std::string& message) const {
    throw UsageError(fmt::format("{}:{}: {}", spec_.path, line, message));
}

void ExampleSink::fail_missing(const NamedField& field,
                               const std::vector<std::string>& names,
                               std::size_t line) const {
    const auto found = names.empty() ? std::string("there is none") : "found " + quoted_list(names);
    fail(line,
         fmt::format("no field \"{}\" for the {}: {}.{} Another name goes into --{}-field, in a "
                     "job file into {}_field",
                     printable(field.name), field.role, found, hint_for(field.name, names),
                     field.role, field.role));
}

void ExampleSink::check_names(const std::vector<std::string>& names, std::size_t line) const {
    for (const auto& field : fields_) {
        const auto count = std::count(names.begin(), names.end(), field.name);
        if (count == 0) {
            fail_missing(field, names, line);
        }
        if (count > 1) {
            fail(line, fmt::format("field \"{}\" occurs {} times; one is needed",
                                   printable(field.name), count));
        }
    }
}

const std::string& ExampleSink::target_of(const std::string& value, std::size_t line) const {
    if (labels_.empty()) {
        return value;
    }
    const auto label = labels_.find(value);
    if (label == labels_.end()) {
        const auto known = label_values(spec_);
        fail(line,
             fmt::format(
                 "\"{}\" is \"{}\", which is none of the split's labels. Expected one of: {}.{}",
                 printable(spec_.target_field), printable(value), quoted_list(known),
                 hint_for(value, known)));
    }
    return label->second;
}

const std::string& ExampleSink::task_of(const FieldValue& value, std::size_t line) const {
    if (value.kind == FieldValue::Kind::other) {
        fail(line,
             fmt::format("field \"{}\" is {}; the task must be a string, a number, true or false",
                         printable(*spec_.task_field), printable(value.text)));
    }
    if (value.text.empty()) {
        fail(line, fmt::format("field \"{}\" is empty; a task needs at least one character",
                               printable(*spec_.task_field)));
    }
    return value.text;
}

void ExampleSink::add(const Record& record, std::size_t line) {
    using Kind = FieldValue::Kind;
    if (record.input.kind == Kind::absent || record.target.kind == Kind::absent ||
        (spec_.task_field && record.task.kind == Kind::absent)) {
        check_names(record.names, line);
    }
    if (record.input.kind != Kind::text) {
        fail(line, fmt::format("field \"{}\" is {}; the input must be a string",
                               printable(spec_.input_field), printable(record.input.text)));
    }
    if (record.target.kind == Kind::other) {
        fail(line,
             fmt::format("field \"{}\" is {}; the target must be a string, a number, true or false",
                         printable(spec_.target_field), printable(record.target.text)));
    }
    const auto& target = target_of(record.target.text, line);
    if (target.empty()) {
        fail(line, fmt::format("field \"{}\" is empty; a target needs at least one character",
                               printable(spec_.target_field)));
    }
    if (!classes_.empty() && classes_.count(target) == 0) {
        fail(line, fmt::format("target \"{}\" is none of the classes. Expected one of: {}.{}",
                               printable(target), quoted_list(class_names_),
                               hint_for(target, class_names_)));
    }
    if (spec_.task_field) {
        examples_.add(record.input.text, target, task_of(record.task, line));
    } else {
        examples_.add(record.input.text, target);
    }
}

bool ExampleSink::full() const noexcept {
    return spec_.limit > 0 && examples_.size() >= spec_.limit;
}

Dataset ExampleSink::take(std::string_view right) {
    if (examples_.empty()) {
        throw UsageError(fmt::format("{}: holds no example; {}", spec_.path, right));
    }
    return std::exchange(examples_, Dataset());
}

}  // namespace dln
