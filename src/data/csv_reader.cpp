#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

#include "formats.hpp"

namespace dln {
namespace {

/// Splits a file into rows by RFC 4180. Strict about quotes: a quote in a field without quotes, or text
/// after the closing one, is mostly a sign of a torn file.
class CsvRows {
  public:
    CsvRows(LineReader& file, const ExampleSink& sink) : file_(file), sink_(sink) {}

    /// The next row that is not a blank line; false at the end.
    bool next(std::vector<std::string>& fields) {
        do {
            if (!file_.next(line_)) {
                return false;
            }
        } while (is_blank(line_));
        first_line_ = file_.line_number();
        fields.clear();
        at_ = 0;
        do {
            fields.emplace_back();
            if (at_ < line_.size() && line_[at_] == '"') {
                quoted(fields.back());
            } else {
                plain(fields.back());
            }
        } while (skip_comma());
        return true;
    }

    /// Where the row last read begins.
    [[nodiscard]] std::size_t first_line() const noexcept { return first_line_; }

  private:
    /// Behind the last field: the end of the line, or the \r of a CRLF.
    [[nodiscard]] bool at_end() const {
        return at_ == line_.size() || (line_[at_] == '\r' && at_ + 1 == line_.size());
    }

    bool skip_comma() {
        if (at_end()) {
            return false;
        }
        ++at_;
        return true;
    }

    void plain(std::string& field) {
        const auto end = std::min(line_.find(',', at_), line_.size());
        field.assign(line_, at_, end - at_);
        if (end == line_.size() && !field.empty() && field.back() == '\r') {
            field.pop_back();
        }
        if (const auto quote = field.find('"'); quote != std::string::npos) {
            sink_.fail(file_.line_number(),
                       fmt::format(
                           "a quote in the middle of a field, at byte {} of the line: {}; right is "
                           "\"...\" around the field with each quote in it doubled",
                           at_ + quote + 1, printable(field, 60)));
        }
        at_ = end;
    }

    void quoted(std::string& field) {
        const auto opened = file_.line_number();
        for (++at_;;) {
            const auto quote = line_.find('"', at_);
            if (quote == std::string::npos) {
                field.append(line_, at_).push_back('\n');
                if (!file_.next(line_)) {
                    sink_.fail(opened, "the quote that opens a field here is never closed");
                }
                at_ = 0;
                continue;
            }
            field.append(line_, at_, quote - at_);
            at_ = quote + 1;
            if (at_ == line_.size() || line_[at_] != '"') {
                break;
            }
            field.push_back('"');
            ++at_;
        }
        if (!at_end() && line_[at_] != ',') {
            sink_.fail(
                file_.line_number(),
                fmt::format("text after a closing quote, at byte {} of the line: {}; right is a "
                            "comma, or a doubled quote inside the field",
                            at_ + 1, printable(std::string_view(line_).substr(at_), 60)));
        }
    }

    LineReader& file_;
    const ExampleSink& sink_;
    std::string line_;
    std::size_t at_ = 0;
    std::size_t first_line_ = 0;
};

std::size_t index_of(const std::vector<std::string>& names, const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

}  // namespace

void read_csv(LineReader& file, ExampleSink& sink) {
    CsvRows rows(file, sink);
    std::vector<std::string> header;
    if (!rows.next(header)) {
        return;
    }
    if (header.size() == 1 && header[0].find_first_of(";\t") != std::string::npos) {
        sink.fail(
            rows.first_line(),
            fmt::format("the header is one field, \"{}\"; fields must be separated by commas, "
                        "not by semicolons or tabs",
                        printable(header[0], 60)));
    }
    sink.check_names(header, rows.first_line());
    const auto input = index_of(header, sink.spec().input_field);
    const auto target = index_of(header, sink.spec().target_field);
    const auto task = index_of(header, sink.spec().task_field.value_or(""));
    Record record;
    record.input.kind = record.target.kind = record.task.kind = FieldValue::Kind::text;
    std::vector<std::string> row;
    while (!sink.full() && rows.next(row)) {
        if (row.size() != header.size()) {
            sink.fail(rows.first_line(),
                      fmt::format(
                          "the row has {} field{}, the header {}; a field with a comma in it needs "
                          "\"...\" around it",
                          row.size(), row.size() == 1 ? "" : "s", header.size()));
        }
        std::swap(record.input.text, row[input]);
        std::swap(record.target.text, row[target]);
        if (sink.spec().task_field) {
            std::swap(record.task.text, row[task]);
        }
        sink.add(record, rows.first_line());
    }
}

}  // namespace dln
