#pragma once
// Where every format's reader puts what it found: checks a record's fields and makes an example of it.

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/data/split_spec.hpp"

namespace dln {

/// A field as it was found in the file.
struct FieldValue {
    enum class Kind {
        absent,
        text,    ///< a string
        scalar,  ///< a number, true or false; `text` is how it is written
        other,   ///< `text` says what: "null", "an array", "an object"
    };
    Kind kind = Kind::absent;
    std::string text;
};

/// One object or row of a file.
struct Record {
    FieldValue input;
    FieldValue target;
    FieldValue task;                 ///< absent where the split names no field for it
    std::vector<std::string> names;  ///< all its fields, for messages
};

/// What a field of a record is for ("input", "target", "task"), and how the file calls it.
struct NamedField {
    const char* role;
    std::string name;
};

class ExampleSink {
  public:
    /// Throws UsageError when the split calls two fields the same. Keeps references to the arguments.
    ExampleSink(const SplitSpec& spec, const std::vector<std::string>& class_names);
    /// Throws UsageError naming `line` when `record` is no example of the split.
    void add(const Record& record, std::size_t line);
    /// Throws UsageError when the header of a file, at `line`, lacks one of the fields.
    void check_names(const std::vector<std::string>& names, std::size_t line) const;
    /// The limit is reached: nothing more is wanted.
    [[nodiscard]] bool full() const noexcept;
    [[nodiscard]] const SplitSpec& spec() const noexcept { return spec_; }
    /// All examples. Throws UsageError, with `right` saying what is needed, when there is none.
    [[nodiscard]] Dataset take(std::string_view right);
    [[noreturn]] void fail(std::size_t line, const std::string& message) const;

  private:
    const std::string& target_of(const std::string& value, std::size_t line) const;
    const std::string& task_of(const FieldValue& value, std::size_t line) const;
    [[noreturn]] void fail_missing(const NamedField& field,
                                   const std::vector<std::string>& names,
                                   std::size_t line) const;

    const SplitSpec& spec_;
    std::vector<NamedField> fields_;  // that every record has
    const std::vector<std::string>& class_names_;
    std::set<std::string> classes_;
    std::map<std::string, std::string> labels_;
    Dataset examples_;
};

/// `names` in quotes with commas, for "Expected one of:"; only the first 20 of many.
[[nodiscard]] std::string quoted_list(const std::vector<std::string>& names);

/// " Did you mean "x"?" when `word` is near one of `known`, else nothing.
[[nodiscard]] std::string hint_for(std::string_view word, const std::vector<std::string>& known);

}  // namespace dln
