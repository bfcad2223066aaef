#include "dln/llm/backend_counts.hpp"

#include <array>

#include "dln/error.hpp"

namespace dln {
namespace {

using Counts = BackendCounts;

constexpr std::array kFields{
    BackendCountField{"sent", &Counts::sent},
    BackendCountField{"answered", &Counts::answered},
    BackendCountField{"failed", &Counts::failed},
    BackendCountField{"tried_again", &Counts::tried_again},
    BackendCountField{"failovers", &Counts::failovers},
    BackendCountField{"copies", &Counts::copies},
    BackendCountField{"copies_won", &Counts::copies_won},
    BackendCountField{"recalled", &Counts::recalled},
    BackendCountField{"busy", &Counts::busy},
    BackendCountField{"server_errors", &Counts::server_errors},
    BackendCountField{"come_again", &Counts::come_again},
    BackendCountField{"refusals", &Counts::refusals},
    BackendCountField{"no_connection", &Counts::no_connection},
    BackendCountField{"too_late", &Counts::too_late},
    BackendCountField{"stalled", &Counts::stalled},
    BackendCountField{"lost", &Counts::lost},
    BackendCountField{"cut_off", &Counts::cut_off},
    BackendCountField{"too_large", &Counts::too_large},
    BackendCountField{"other_protocol", &Counts::other_protocol},
    BackendCountField{"unusable", &Counts::unusable},
    BackendCountField{"outages", &Counts::outages},
    BackendCountField{"slow_downs", &Counts::slow_downs},
    BackendCountField{"queued_ms", &Counts::queued_ms},
    BackendCountField{"backed_off_ms", &Counts::backed_off_ms},
    BackendCountField{"bytes_sent", &Counts::bytes_sent},
    BackendCountField{"bytes_received", &Counts::bytes_received},
};
static_assert(sizeof(Counts) == kFields.size() * sizeof(std::int64_t), "a count without a name");

}  // namespace

BackendCounts& BackendCounts::operator+=(const BackendCounts& other) {
    for (const auto& field : kFields) this->*field.member += other.*field.member;
    return *this;
}

std::span<const BackendCountField> backend_count_fields() { return kFields; }

std::vector<std::int64_t> to_values(const BackendCounts& counts) {
    std::vector<std::int64_t> values;
    for (const auto& field : kFields) values.push_back(counts.*field.member);
    return values;
}

BackendCounts backend_counts_from(std::span<const std::int64_t> values) {
    DLN_ASSERT(values.size() == kFields.size(), "{} counts of {}", values.size(), kFields.size());
    BackendCounts counts;
    for (std::size_t i = 0; i < values.size(); ++i) counts.*kFields[i].member = values[i];
    return counts;
}

}  // namespace dln
