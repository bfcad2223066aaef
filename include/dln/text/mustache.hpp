#pragma once
// Logic-less templates ({{name}}, {{group.name}}, {{#list}}..{{/list}}, {{^list}}..{{/list}}) over values that are
// data: a value that holds "{{x}}" stays as it is, nothing is escaped, and every byte of it comes
// out. Pure.
//
// A section of a list is rendered once for each entry, a section of a text when that text is not
// empty, and {{^name}} when the list or text is empty or absent. A name that has no value renders
// as nothing: who builds a template checks uses() first. A section tag alone on its line takes the
// line with it.

#include <cstddef>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace dln {

/// A template that cannot be used: unbalanced or unsupported tags. The message begins with the
/// place.
class TemplateError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// What a template is rendered with.
struct TemplateValues {
    std::map<std::string, std::string> texts;
    /// Sections: one rendering of the section's body for each entry.
    std::map<std::string, std::vector<std::map<std::string, std::string>>> lists;
};

/// A rendered text and the number of its first bytes that do not depend on the variable asked for.
struct SplitText {
    std::string text;
    std::size_t fixed_bytes = 0;
};

/// One {{name}}, {{#name}} or {{^name}} of a template.
struct TemplateUse {
    std::string name;
    bool section = false;  ///< opens a section
    std::vector<std::string> inside =
        {};  ///< names of the enclosing {{#..}} sections, outermost first
    std::size_t line = 1;
    std::size_t column = 1;  ///< in bytes, from 1
};

class Mustache {
  public:
    /// Throws TemplateError with the reason and the place (line, column).
    explicit Mustache(std::string_view text);
    /// All names used, inside sections too.
    [[nodiscard]] const std::set<std::string>& names() const noexcept { return names_; }
    /// Every use in order of appearance, for checks against the variables that a place offers.
    [[nodiscard]] const std::vector<TemplateUse>& uses() const noexcept { return uses_; }
    [[nodiscard]] std::string render(const TemplateValues& values) const;
    /// Renders, and counts the bytes before the first place where the text `variable` enters (all
    /// bytes when it never does).
    [[nodiscard]] SplitText render_split(const TemplateValues& values,
                                         const std::string& variable) const;

  private:
    std::string logic_;                  // the tags alone; literal text is {{0}}, {{1}}, ...
    std::vector<std::string> literals_;  // the text between the tags
    std::vector<TemplateUse> uses_;
    std::set<std::string> names_;
};

}  // namespace dln
