#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/text/utf8.hpp"

#include "formats.hpp"

// Streams of JSON events, never documents: a record costs the fields that are wanted, and nesting costs a counter.

namespace dln {
namespace {

constexpr std::size_t kMaxDepth = 100;

enum class Shape {
    object,    ///< the document is one record
    examples,  ///< records are the entries of the list "examples" of the document
};

/// Iterates over bytes and counts the line ends behind it, so that events know where they are.
class CountingIterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    CountingIterator(const char* at, std::size_t* line) : at_(at), line_(line) {}
    reference operator*() const { return *at_; }
    CountingIterator& operator++() {
        *line_ += *at_ == '\n' ? 1U : 0U;
        ++at_;
        return *this;
    }
    bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
    bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

  private:
    const char* at_;
    std::size_t* line_;
};

/// Turns events into records. `line` is where the parser is; it outlives the handler.
class RecordEvents : public nlohmann::json_sax<nlohmann::json> {
  public:
    RecordEvents(Shape shape, ExampleSink& sink, const std::size_t& line)
        : record_depth_(shape == Shape::object ? 1 : 3),
          open_(shape == Shape::object),
          sink_(sink),
          line_(line) {}

    bool null() override { return value(FieldValue::Kind::other, "null"); }
    bool boolean(bool v) override { return value(FieldValue::Kind::scalar, v ? "true" : "false"); }
    bool number_integer(number_integer_t v) override { return value(FieldValue::Kind::scalar, v); }
    bool number_unsigned(number_unsigned_t v) override {
        return value(FieldValue::Kind::scalar, v);
    }
    bool number_float(number_float_t, const string_t& written) override {
        return value(FieldValue::Kind::scalar, written);
    }
    bool string(string_t& v) override { return value(FieldValue::Kind::text, v); }
    bool binary(binary_t&) override { return value(FieldValue::Kind::other, "binary"); }

    bool start_object(std::size_t) override {
        if (depth_ + 1 == record_depth_ && open_) {
            record_line_ = line_;
            for (auto* field : {&record_.input, &record_.target, &record_.task}) {
                field->kind = FieldValue::Kind::absent;
            }
            record_.names.clear();
        } else if (depth_ > 0) {
            value(FieldValue::Kind::other, "an object");
        }
        enter();
        return true;
    }
    bool end_object() override {
        --depth_;
        if (depth_ + 1 == record_depth_ && open_) {
            sink_.add(record_, record_line_);
            return !sink_.full();
        }
        if (depth_ == 0 && !found_examples_ && record_depth_ == 3) {
            fail(fmt::format("no field \"examples\" with the list of examples: found {}.{}",
                             quoted_list(names_), hint_for("examples", names_)));
        }
        return true;
    }
    bool start_array(std::size_t) override {
        if (depth_ == 1 && at_examples_) {
            at_examples_ = false;
            open_ = true;
        } else {
            value(FieldValue::Kind::other, "an array");
        }
        enter();
        return true;
    }
    bool end_array() override {
        --depth_;
        if (depth_ == 1 && record_depth_ == 3) {
            open_ = false;
        }
        return true;
    }
    bool key(string_t& name) override {
        if (depth_ == record_depth_ && open_) {
            start_field(name);
        } else if (depth_ == 1 && record_depth_ == 3) {
            names_.push_back(name);
            at_examples_ = name == "examples";
            if (at_examples_ && std::exchange(found_examples_, true)) {
                fail("field \"examples\" occurs twice; one is needed");
            }
        }
        return true;
    }
    bool parse_error(std::size_t position,
                     const std::string& /*last_token*/,
                     const nlohmann::detail::exception& error) override {
        // "[json.exception.parse_error.101] parse error at line 1, column 5: what" -> "what"
        std::string what = error.what();
        if (const auto column = what.find(", column "); column != std::string::npos) {
            what.erase(0, std::min(what.find(": ", column), what.size() - 2) + 2);
        } else if (const auto name = what.find("] "); name != std::string::npos) {
            what.erase(0, name + 2);
        }
        fail(fmt::format("not valid JSON at {}: {}", place(position), printable(what)));
    }

    /// Throws UsageError at the line where the parser is.
    [[noreturn]] void fail(const std::string& message) const { sink_.fail(line_, message); }

  private:
    [[nodiscard]] std::string place(std::size_t position) const {
        return fmt::format("byte {} of the {}", position, record_depth_ == 1 ? "line" : "file");
    }

    void enter() {
        if (++depth_ > kMaxDepth) {
            fail(fmt::format("JSON nested more than {} deep", kMaxDepth));
        }
    }

    void start_field(const std::string& name) {
        record_.names.push_back(name);
        const auto& spec = sink_.spec();
        slot_ = name == spec.input_field    ? &record_.input
                : name == spec.target_field ? &record_.target
                : name == spec.task_field   ? &record_.task
                                            : nullptr;
        if (slot_ != nullptr && slot_->kind != FieldValue::Kind::absent) {
            fail(fmt::format("field \"{}\" occurs twice; one is needed", printable(name)));
        }
    }

    /// A value, or the start of one: keeps it when it belongs to a field that is wanted.
    template <typename Text>
    bool value(FieldValue::Kind kind, const Text& text) {
        if (slot_ != nullptr) {
            slot_->kind = kind;
            if constexpr (std::is_integral_v<Text>) {
                slot_->text = fmt::to_string(text);
            } else {
                slot_->text = text;
            }
            slot_ = nullptr;
        } else if (depth_ == 0) {
            fail(fmt::format("a JSON object is needed here, e.g. {}",
                             record_depth_ == 1
                                 ? R"({"input": "...", "target": "..."}; is the file JSON lines?)"
                                 : R"({"examples": [{"input": "...", "target": "..."}]})"));
        } else if (record_depth_ == 3 && at_examples_) {
            fail("field \"examples\" must be a list of {\"input\": ..., \"target\": ...}");
        } else if (record_depth_ == 3 && depth_ == 2 && open_) {
            fail(
                "an entry of \"examples\" is no object; {\"input\": ..., \"target\": ...} is "
                "needed");
        }
        return true;
    }

    std::size_t record_depth_;
    bool open_;  ///< records may come at record_depth_
    ExampleSink& sink_;
    const std::size_t& line_;
    std::size_t depth_ = 0;
    std::size_t record_line_ = 0;
    Record record_;
    FieldValue* slot_ = nullptr;      ///< where the next value belongs
    std::vector<std::string> names_;  ///< keys of the document, shape `examples`
    bool at_examples_ = false;        ///< the next value is that of "examples"
    bool found_examples_ = false;
};

}  // namespace

void read_json_lines(LineReader& file, ExampleSink& sink) {
    std::size_t line_number = 0;
    std::string line;
    while (!sink.full() && file.next(line)) {
        if (is_blank(line)) {
            continue;
        }
        line_number = file.line_number();
        RecordEvents events(Shape::object, sink, line_number);
        nlohmann::json::sax_parse(line.data(), line.data() + line.size(), &events);
    }
}

void read_bbh(LineReader& file, ExampleSink& sink) {
    std::string text;
    for (std::string line; file.next(line);) {
        text.append(line).push_back('\n');
    }
    if (is_blank(text)) {
        return;
    }
    text.pop_back();  // so that the end of the text is on its last line
    std::size_t line_number = 1;
    RecordEvents events(Shape::examples, sink, line_number);
    nlohmann::json::sax_parse(CountingIterator(text.data(), &line_number),
                              CountingIterator(text.data() + text.size(), &line_number), &events);
}

}  // namespace dln
