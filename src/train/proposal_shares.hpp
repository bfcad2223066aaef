#pragma once
// How the proposals of a step are shared out among templates. Pure.

#include <cstddef>
#include <vector>

namespace dln {

/// Which of `shares` each of the first `count` proposals goes to. After any number of them no share has a whole
/// proposal more or less than it should have (the quota method of Balinski and Young), so that nothing depends
/// on how many are to come. Equal shares are cycled. Pre: all are positive, and there is one at least.
[[nodiscard]] std::vector<std::size_t> share_out(const std::vector<double>& shares,
                                                 std::size_t count);

}  // namespace dln
