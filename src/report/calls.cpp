#include "dln/report/calls.hpp"

#include <array>
#include <span>

#include <fmt/format.h>

#include "dln/text/utf8.hpp"

namespace dln {
namespace {

using Counts = BackendCounts;

struct Words {
    std::int64_t Counts::*member;
    const char* one;
    const char* many;
};

constexpr std::array kWithoutAnswer{
    Words{&Counts::busy, "busy (429)", "busy (429)"},
    Words{&Counts::server_errors, "server error (5xx)", "server errors (5xx)"},
    Words{&Counts::come_again, "asked for another try (408, 409, 425)",
          "asked for another try (408, 409, 425)"},
    Words{&Counts::refusals, "refusal", "refusals"},
    Words{&Counts::no_connection, "without connection", "without connection"},
    Words{&Counts::too_late, "too late", "too late"},
    Words{&Counts::stalled, "stood still", "stood still"},
    Words{&Counts::lost, "connection lost", "connections lost"},
    Words{&Counts::cut_off, "reply cut off", "replies cut off"},
    Words{&Counts::too_large, "reply too large", "replies too large"},
    Words{&Counts::other_protocol, "reply not plain HTTP", "replies not plain HTTP"},
    Words{&Counts::unusable, "unusable reply", "unusable replies"},
};

constexpr std::array kDone{
    Words{&Counts::tried_again, "tried again", "tried again"},
    Words{&Counts::failovers, "of them at another endpoint", "of them at another endpoint"},
    Words{&Counts::outages, "outage of an endpoint", "outages of an endpoint, as each rank saw it"},
};

// "61 busy (429), 1 connection lost"; empty when all are zero.
std::string list(const Counts& counts, std::span<const Words> words) {
    std::string text;
    for (const Words& each : words) {
        const std::int64_t count = counts.*each.member;
        if (count == 0) continue;
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", grouped(count),
                            count == 1 ? each.one : each.many);
    }
    return text;
}

}  // namespace

std::vector<std::string> describe(const BackendCounts& counts) {
    if (counts.sent == 0) return {};
    std::string sent = fmt::format("calls in this process: {} sent, {} answered",
                                   grouped(counts.sent), grouped(counts.answered));
    if (counts.failed > 0) sent += fmt::format(", {} failed", grouped(counts.failed));
    if (counts.copies > 0) {
        sent += fmt::format(", {} second copies ({} came first)", grouped(counts.copies),
                            grouped(counts.copies_won));
    }
    std::vector<std::string> lines{std::move(sent)};
    const std::string without_answer = list(counts, kWithoutAnswer);
    const std::string done = list(counts, kDone);
    if (!without_answer.empty()) lines.push_back("without an answer: " + without_answer);
    if (!done.empty()) lines.back() += "; " + done;
    return lines;
}

}  // namespace dln
