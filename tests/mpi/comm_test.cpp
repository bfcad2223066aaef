// The promises of Communicator, on one rank without MPI and on any number of ranks with it.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dln/comm/communicator.hpp"
#include "dln/error.hpp"

#include "comm/mpi_communicator.hpp"
#include "support/mpi_world.hpp"

namespace dln {
namespace {

enum class Kind { local, mpi, mpi_in_small_pieces };

/// Bytes of the given size that differ by `seed` and hold NUL and all other values.
std::string bytes_of(std::size_t size, unsigned seed) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<char>((i * 131U + seed) % 251U);
    }
    return bytes;
}

class CommunicatorTest : public ::testing::TestWithParam<Kind> {
  protected:
    CommunicatorTest() {
        switch (GetParam()) {
            case Kind::local:
                owned_ = make_local_communicator();
                break;
            case Kind::mpi:
                owned_ = make_communicator_in_pieces(std::size_t{1} << 30);
                break;
            case Kind::mpi_in_small_pieces:
                owned_ = make_communicator_in_pieces(1000);
                break;
        }
    }
    Communicator& comm() { return *owned_; }
    void close() { owned_.reset(); }
    Message wait_for_message() {
        while (true) {
            if (auto message = comm().receive()) {
                return *message;
            }
            std::this_thread::yield();
        }
    }
    static std::vector<std::int64_t> wait_for(PendingSum& sum) {
        while (!sum.done()) {
            std::this_thread::yield();
        }
        return sum.take();
    }

  private:
    std::unique_ptr<Communicator> owned_;
};

TEST_P(CommunicatorTest, RankIsBelowSize) {
    EXPECT_GE(comm().rank(), 0);
    EXPECT_LT(comm().rank(), comm().size());
    EXPECT_EQ(comm().size(), GetParam() == Kind::local ? 1 : testing::world().size());
}

TEST_P(CommunicatorTest, BroadcastGivesEveryRankTheBytesOfRank0) {
    for (const std::size_t size : {0U, 1U, 999U, 1000U, 1001U, 3'000'000U}) {
        const std::string wanted = bytes_of(size, 7);
        const std::string given = comm().rank() == 0 ? wanted : "ignored";
        EXPECT_TRUE(comm().broadcast(given) == wanted) << size << " bytes";
    }
}

TEST_P(CommunicatorTest, AllOfIsFalseWhenAnyOneRankSaysNo) {
    EXPECT_TRUE(comm().all_of(true));
    for (int naysayer = 0; naysayer < comm().size(); ++naysayer) {
        EXPECT_FALSE(comm().all_of(comm().rank() != naysayer)) << "rank " << naysayer;
    }
    EXPECT_FALSE(comm().all_of(false));
}

TEST_P(CommunicatorTest, SumIsExactOnRank0AndEmptyElsewhere) {
    const std::int64_t large = (std::int64_t{1} << 60) / comm().size();
    auto sum = comm().start_sum({comm().rank() + 1, -3, large + comm().rank()});
    const std::vector<std::int64_t> total = wait_for(*sum);
    const std::int64_t n = comm().size();
    if (comm().rank() == 0) {
        EXPECT_EQ(total, (std::vector<std::int64_t>{n * (n + 1) / 2, -3 * n,
                                                    large * n + n * (n - 1) / 2}));
    } else {
        EXPECT_TRUE(total.empty());
    }
}

TEST_P(CommunicatorTest, SeveralSumsMayBeUnderWayAndTakenInAnyOrder) {
    std::vector<std::unique_ptr<PendingSum>> sums;
    for (std::int64_t i = 0; i < 20; ++i) {
        sums.push_back(comm().start_sum(std::vector<std::int64_t>(static_cast<std::size_t>(i), i)));
    }
    for (std::int64_t i = 19; i >= 0; --i) {
        const auto total = wait_for(*sums[static_cast<std::size_t>(i)]);
        if (comm().rank() == 0) {
            EXPECT_EQ(total,
                      std::vector<std::int64_t>(static_cast<std::size_t>(i), i * comm().size()));
        }
    }
}

TEST_P(CommunicatorTest, SumThatNobodyTakesDoesNoHarm) {
    static_cast<void>(comm().start_sum(std::vector<std::int64_t>(10'000, 1)));
    auto sum = comm().start_sum({1});
    const auto total = wait_for(*sum);
    if (comm().rank() == 0) {
        EXPECT_EQ(total, std::vector<std::int64_t>{comm().size()});
    }
}

TEST_P(CommunicatorTest, NothingArrivesWhenNothingWasSent) {
    EXPECT_FALSE(comm().receive().has_value());
}

TEST_P(CommunicatorTest, SendToItselfOrToNobodyIsABug) {
    EXPECT_THROW(comm().send(comm().rank(), "x"), InternalError);
    EXPECT_THROW(comm().send(comm().size(), "x"), InternalError);
    EXPECT_THROW(comm().send(-1, "x"), InternalError);
}

TEST_P(CommunicatorTest, MessagesFromOneRankArriveInOrderAndWhole) {
    const std::vector<std::size_t> sizes{0, 1, 5'000, 999, 1'000, 1'001, 2'000'000, 3, 0, 70'000};
    if (comm().rank() != 0) {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            comm().send(0, bytes_of(sizes[i], static_cast<unsigned>(comm().rank()) * 16 +
                                                  static_cast<unsigned>(i)));
        }
    } else {
        std::map<int, std::size_t> received;
        const std::size_t expected = sizes.size() * static_cast<std::size_t>(comm().size() - 1);
        for (std::size_t i = 0; i < expected; ++i) {
            const Message message = wait_for_message();
            const std::size_t index = received[message.source]++;
            ASSERT_LT(index, sizes.size());
            EXPECT_TRUE(message.bytes ==
                        bytes_of(sizes[index], static_cast<unsigned>(message.source) * 16 +
                                                   static_cast<unsigned>(index)))
                << "message " << index << " of rank " << message.source;
        }
    }
    EXPECT_TRUE(comm().all_of(true));
}

TEST_P(CommunicatorTest, AllRanksSendToAllBeforeAnyoneReceives) {
    const std::string large = bytes_of(1'000'000, 3);
    for (int other = 0; other < comm().size(); ++other) {
        if (other != comm().rank()) {
            comm().send(other, large);
            comm().send(other, "last");
        }
    }
    std::map<int, int> received;
    for (int i = 0; i < 2 * (comm().size() - 1); ++i) {
        const Message message = wait_for_message();
        EXPECT_TRUE(message.bytes == (received[message.source]++ == 0 ? large : "last"));
    }
    EXPECT_EQ(received.size(), static_cast<std::size_t>(comm().size() - 1));
    EXPECT_TRUE(comm().all_of(true));
}

TEST_P(CommunicatorTest, ReceiveReturnsAtOnceWhileALargeMessageIsUnderWay) {
    using Clock = std::chrono::steady_clock;
    const std::chrono::milliseconds pause(300);
    EXPECT_TRUE(comm().all_of(true));
    if (comm().rank() == 1) {  // a rank that computes makes no progress inside MPI
        comm().send(0, bytes_of(20'000'000, 1));
        std::this_thread::sleep_for(pause);
    } else if (comm().rank() == 0 && comm().size() > 1) {
        const auto begin = Clock::now();
        Clock::duration longest{};
        while (Clock::now() - begin < pause / 2) {
            const auto before = Clock::now();
            if (comm().receive()) {
                break;  // a transport that needs no help from the sender
            }
            longest = std::max(longest, Clock::now() - before);
        }
        EXPECT_LT(longest, pause / 2);
    }
    EXPECT_TRUE(comm().all_of(true));
}

TEST_P(CommunicatorTest, ClosesThoughMessagesWereNeverReceived) {
    if (comm().rank() != 0) {
        comm().send(0, bytes_of(5'000'000, 1));
        comm().send(0, "small");
    }
    static_cast<void>(comm().start_sum(std::vector<std::int64_t>(100'000, 1)));
    close();
    EXPECT_TRUE(testing::world().all_of(true));
}

TEST_P(CommunicatorTest, GroupsOfASplitTalkAmongThemselves) {
    const int group = comm().rank() / 2;
    const auto mine = comm().split(group);
    ASSERT_EQ(mine->size(), std::min(2, comm().size() - group * 2));
    EXPECT_EQ(mine->rank(), comm().rank() % 2);
    EXPECT_EQ(mine->broadcast(std::to_string(group)), std::to_string(group));
    EXPECT_FALSE(mine->all_of(mine->rank() != 0));
    if (mine->rank() == 1) {
        comm().send(group * 2, "of all");
        mine->send(0, "of the group");
    } else if (mine->size() == 2) {
        std::optional<Message> within;
        while (!within) within = mine->receive();
        EXPECT_EQ(within->bytes, "of the group");
        EXPECT_EQ(within->source, 1);
        EXPECT_EQ(wait_for_message().bytes, "of all");
    }
    auto sum = mine->start_sum({1});
    const auto total = wait_for(*sum);
    if (mine->rank() == 0) EXPECT_EQ(total, std::vector<std::int64_t>{mine->size()});
}

INSTANTIATE_TEST_SUITE_P(Communicators,
                         CommunicatorTest,
                         ::testing::Values(Kind::local, Kind::mpi, Kind::mpi_in_small_pieces),
                         [](const auto& param) {
                             switch (param.param) {
                                 case Kind::local:
                                     return "Local";
                                 case Kind::mpi:
                                     return "Mpi";
                                 default:
                                     return "MpiInSmallPieces";
                             }
                         });

TEST(Launcher, SeesThatMpirunStartedThisProgram) { EXPECT_TRUE(launched_by_mpi()); }

TEST(MpiCommunicator, SecondOneInAProcessIsABug) {
    EXPECT_THROW(static_cast<void>(make_mpi_communicator()), InternalError);
}

}  // namespace
}  // namespace dln
