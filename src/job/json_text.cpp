#include "job/json_text.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln::job {
namespace {

/// Follows the parser to notice what a DOM cannot show any more: keys that occur twice.
class Watcher {
  public:
    explicit Watcher(std::string file) : file_(std::move(file)) {}

    void on_event(Json::parse_event_t event, const Json& value) {
        constexpr std::size_t kDeepest = 64;
        switch (event) {
            case Json::parse_event_t::object_start:
            case Json::parse_event_t::array_start:
                frames_.push_back({.is_object = event == Json::parse_event_t::object_start});
                if (frames_.size() > kDeepest) {
                    throw UsageError(
                        fmt::format("{}: nested deeper than {} levels.", file_, kDeepest));
                }
                break;
            case Json::parse_event_t::key:
                on_key(value.get<std::string>());
                break;
            case Json::parse_event_t::object_end:
            case Json::parse_event_t::array_end:
                frames_.pop_back();
                on_value();
                break;
            case Json::parse_event_t::value:
                on_value();
                break;
        }
    }

  private:
    struct Frame {
        bool is_object = false;
        std::set<std::string> keys = {};
        std::string key = {};
        std::size_t index = 0;
    };

    void on_key(const std::string& key) {
        auto& frame = frames_.back();
        frame.key = key;
        if (frame.keys.insert(key).second) {
            return;
        }
        std::string pointer;
        for (const auto& each : frames_) {
            pointer += fmt::format(
                "/{}", each.is_object ? pointer_token(each.key) : std::to_string(each.index));
        }
        throw UsageError(
            fmt::format("{}: {}: this field occurs twice in the same object. Keep one of them.",
                        file_, printable(pointer)));
    }

    void on_value() {
        if (!frames_.empty()) {
            ++frames_.back().index;
        }
    }

    std::string file_;
    std::vector<Frame> frames_;
};

/// "line:column" of the byte at `offset`, both from 1.
std::string place_of(std::string_view text, std::size_t offset) {
    const auto before = text.substr(0, std::min(offset, text.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const auto line_end = before.rfind('\n');
    const auto column = before.size() - (line_end == std::string_view::npos ? 0 : line_end + 1) + 1;
    return fmt::format("{}:{}", line, column);
}

/// The library's message without its own prefix and place.
std::string reason_of(const std::exception& error) {
    std::string_view what = error.what();
    for (const std::string_view prefix : {"] ", "syntax error "}) {
        const auto at = what.find(prefix);
        what = at == std::string_view::npos ? what : what.substr(at + prefix.size());
    }
    return printable(what, 300);
}

}  // namespace

Json parse_json_text(std::string_view text, const std::string& file) {
    const auto shown = file.empty() ? "job" : printable(file);
    if (const auto bad = find_invalid_utf8(text)) {
        throw UsageError(
            fmt::format("{}:{}: not UTF-8: the byte at offset {} is invalid. Save the file as "
                        "UTF-8.",
                        shown, place_of(text, *bad), *bad));
    }
    Watcher watcher(shown);
    const auto watch = [&](int, Json::parse_event_t event, Json& value) {
        watcher.on_event(event, value);
        return true;
    };
    try {
        return Json::parse(text, watch, true, true);
    } catch (const Json::parse_error& error) {
        const auto offset = error.byte == 0 ? 0 : error.byte - 1;
        throw UsageError(fmt::format("{}:{}: not valid JSON: {}", shown, place_of(text, offset),
                                     reason_of(error)));
    } catch (const Json::exception& error) {
        throw UsageError(fmt::format("{}: not valid JSON: {}", shown, reason_of(error)));
    }
}

}  // namespace dln::job
