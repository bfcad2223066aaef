#pragma once
// A journal of one layer's calls, for its tests.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dln/store/journal.hpp"

#include "support/temporary_directory.hpp"

namespace dln::testing {

/// Instead of Journal::kLongestReply. Its longest line is read in several blocks.
constexpr std::size_t kShortLimit = std::size_t{3} << 18U;

inline PaidRequest ask(std::string_view body) { return {"model", "/v1/completions", body}; }

class JournalFixture : public ::testing::Test {
  protected:
    const TemporaryDirectory& directory() const { return directory_; }
    Journal read() const { return Journal::read_only(directory_.path()); }
    Journal open(int rank = 0) const { return Journal::read_write(directory_.path(), rank); }
    /// What a process of `rank` leaves that puts these and ends.
    void write(int rank, const std::vector<std::pair<std::string, std::string>>& replies) const {
        Journal journal = open(rank);
        for (const auto& [body, reply] : replies) {
            journal.put(ask(body), reply);
        }
        journal.sync();
    }
    std::string file(int rank = 0) const {
        return directory_ / ("rank-" + std::to_string(rank) + ".jsonl");
    }

  private:
    TemporaryDirectory directory_;
};

}  // namespace dln::testing
