#include "train/proposal_shares.hpp"

#include <numeric>

#include "dln/error.hpp"

namespace dln {

std::vector<std::size_t> share_out(const std::vector<double>& shares, std::size_t count) {
    DLN_ASSERT(!shares.empty(), "nothing to share out among");
    const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
    std::vector<double> given(shares.size(), 0.0);
    std::vector<std::size_t> order;
    order.reserve(count);
    while (order.size() < count) {
        const auto so_many = static_cast<double>(order.size() + 1);
        // Of those that would not get more than they should, the one that is furthest behind.
        std::size_t next = shares.size();
        for (std::size_t s = 0; s < shares.size(); ++s) {
            if (given[s] * all >= shares[s] * so_many) continue;
            const bool is_further = next == shares.size() || shares[s] * (given[next] + 1.0) >
                                                                 shares[next] * (given[s] + 1.0);
            if (is_further) next = s;
        }
        // Rounding alone could leave none.
        if (next == shares.size()) next = 0;
        given[next] += 1.0;
        order.push_back(next);
    }
    return order;
}

}  // namespace dln
