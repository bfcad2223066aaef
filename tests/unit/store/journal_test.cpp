// The journal of paid replies: what was put is found by this process and all later ones, whatever bytes it has.

#include "dln/store/journal.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "dln/error.hpp"

#include "journal_fixture.hpp"
#include "store/journal_line.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using testing::ask;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kShortLimit;
using ::testing::Optional;
using testing::read_bytes;
using testing::write_bytes;

class JournalTest : public testing::JournalFixture {};

TEST_F(JournalTest, GivesBackHostileBytesInThisProcessAndTheNext) {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
        all += static_cast<char>(byte);
    }
    const std::vector<std::string> replies{"",
                                           "plain",
                                           std::string("nul\0inside", 10),
                                           "\xff\xfe",
                                           "\xed\xa0\x80 surrogate",
                                           "line\nfeed \r\n \"quotes\" \\ \x7f \x1b[0m",
                                           "höflich 是的 🙂 \xef\xbf\xbf",
                                           "\",\"xxh3\":\"0000000000000000\"}\n",
                                           std::string(1000, '\0'),
                                           all,
                                           all + all + "\n",
                                           std::string(1 << 20, 'x'),
                                           std::string(1 << 20, '\x80')};
    Journal journal = open();
    for (const std::string& reply : replies) {
        journal.put({reply, "/path", reply}, reply);
    }
    Journal next = read();
    for (const std::string& reply : replies) {
        EXPECT_THAT(journal.find({reply, "/path", reply}), Optional(reply));
        EXPECT_THAT(next.find({reply, "/path", reply}), Optional(reply));
    }
    EXPECT_EQ(next.counts().held, static_cast<std::int64_t>(replies.size()));
    EXPECT_EQ(next.counts().hits, static_cast<std::int64_t>(replies.size()));
    EXPECT_EQ(next.counts().skipped_lines + next.counts().torn_tails, 0);
}

TEST_F(JournalTest, TellsModelPathAndBodyApart) {
    Journal journal = open();
    journal.put({"ab", "c", "d"}, "1");
    journal.put({"a", "bc", "d"}, "2");
    journal.put({"a", "b", "cd"}, "3");
    EXPECT_THAT(journal.find({"ab", "c", "d"}), Optional(std::string("1")));
    EXPECT_THAT(journal.find({"a", "bc", "d"}), Optional(std::string("2")));
    EXPECT_THAT(journal.find({"a", "b", "cd"}), Optional(std::string("3")));
    EXPECT_EQ(journal.find({"abc", "d", ""}), std::nullopt);
    EXPECT_EQ(journal.counts().hits, 3);
    EXPECT_EQ(journal.counts().misses, 1);
}

TEST_F(JournalTest, ShowsTextsAsTextsAndOtherBytesAsBase64) {
    write(0, {{"a", "höflich"}, {"b", "\xff"}, {"c", std::string(9, '\0')}});
    EXPECT_THAT(read_bytes(file()),
                AllOf(HasSubstr("\"text\":\"höflich\""), HasSubstr("\"base64\":\"/w==\""),
                      HasSubstr("\"base64\":\"AAAAAAAAAAAA\"")));
}

TEST_F(JournalTest, TouchesNothingBeforeTheFirstReply) {
    Journal journal = open();
    journal.sync();
    EXPECT_EQ(journal.find(ask("a")), std::nullopt);
    EXPECT_THAT(directory().names(), IsEmpty());
    EXPECT_EQ(Journal::read_only(directory() / "none").counts().held, 0);
}

TEST_F(JournalTest, WritesAReplyOnce) {
    Journal journal = open();
    journal.put(ask("a"), "1");
    const std::string once = read_bytes(file());
    journal.put(ask("a"), "1");
    EXPECT_EQ(read_bytes(file()), once);
    EXPECT_EQ(journal.counts().written, 1);
    EXPECT_EQ(journal.counts().conflicts, 0);
}

TEST_F(JournalTest, GivesEachProcessAFileOfItsOwn) {
    Journal first = open();
    Journal second = open();
    first.put(ask("a"), "1");
    second.put(ask("b"), "2");
    write(0, {{"c", "3"}});
    write(10, {{"d", "4"}});
    EXPECT_THAT(directory().names(),
                ElementsAre("rank-0-1.jsonl", "rank-0-2.jsonl", "rank-0.jsonl", "rank-10.jsonl"));
    EXPECT_EQ(read().counts().held, 4);
}

TEST_F(JournalTest, IsReadWholeByAnyNumberOfRanks) {
    write(0, {{"a", "1"}, {"b", "2"}});
    write(1, {{"c", "3"}});
    for (const int ranks : {1, 3}) {
        for (int rank = 0; rank < ranks; ++rank) {
            Journal journal = open(rank);
            EXPECT_EQ(journal.counts().held, 3);
            EXPECT_THAT(journal.find(ask("a")), Optional(std::string("1")));
            EXPECT_THAT(journal.find(ask("b")), Optional(std::string("2")));
            EXPECT_THAT(journal.find(ask("c")), Optional(std::string("3")));
        }
    }
}

TEST_F(JournalTest, ReadsMoreFilesThanItKeepsOpen) {
    constexpr int kRanks = 120;
    for (int rank = 0; rank < kRanks; ++rank) {
        const std::string body = std::to_string(rank);
        write_bytes(file(rank), journal_line(journal_key(ask(body)), ask(body), "reply"));
    }
    Journal journal = read();
    for (int pass = 0; pass < 2; ++pass) {
        for (int rank = 0; rank < kRanks; ++rank) {
            EXPECT_TRUE(journal.find(ask(std::to_string(rank))).has_value());
        }
    }
    EXPECT_LT(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}), 100);
}

TEST_F(JournalTest, SeesWhatOthersWroteSinceWhenRefreshed) {
    Journal mine = open(0);
    mine.put(ask("a"), "1");
    Journal other = open(1);
    other.put(ask("b"), "2");
    EXPECT_EQ(mine.find(ask("b")), std::nullopt);
    mine.refresh();
    EXPECT_EQ(mine.find(ask("b")), "2");
    other.put(ask("c"), "3");
    mine.refresh();
    EXPECT_EQ(mine.find(ask("c")), "3");
    mine.put(ask("d"), "4");
    EXPECT_EQ(mine.find(ask("a")), "1");
    EXPECT_EQ(mine.find(ask("d")), "4");
    EXPECT_EQ(mine.counts().held, 4);
    EXPECT_EQ(mine.counts().conflicts + mine.counts().skipped_lines, 0);
}

TEST_F(JournalTest, LeavesALineThatIsBeingWrittenForTheNextRefresh) {
    write(1, {{"a", "1"}, {"b", "2"}});
    const std::string whole = read_bytes(file(1));
    write_bytes(file(1), whole.substr(0, whole.size() - 5));
    Journal mine = open(0);
    mine.refresh();
    EXPECT_EQ(mine.find(ask("a")), "1");
    EXPECT_EQ(mine.find(ask("b")), std::nullopt);
    write_bytes(file(1), whole);
    mine.refresh();
    EXPECT_EQ(mine.find(ask("b")), "2");
    EXPECT_EQ(mine.counts().torn_tails, 0);
}

TEST_F(JournalTest, IgnoresFilesOfOtherNames) {
    write(0, {{"a", "1"}});
    for (const char* name : {"rank-0.jsonl~", "rank-.jsonl", "rank--1.jsonl", "rank-01.jsonl",
                             "rank-0-0.jsonl", "rank-99999999999.jsonl", "notes.txt"}) {
        write_bytes(directory() / name, "rubbish\n");
    }
    std::filesystem::create_directory(directory() / "rank-7.jsonl");
    EXPECT_EQ(read().counts().held, 1);
    EXPECT_EQ(read().counts().skipped_lines, 0);
}

TEST_F(JournalTest, KeepsTheFirstOfTwoRepliesAndCountsTheConflict) {
    write(1, {{"a", "rank 1"}});
    std::filesystem::rename(file(1), directory() / "aside");
    write(0, {{"a", "rank 0"}, {"b", "same"}});
    write(2, {{"b", "same"}, {"c", "3"}});  // b is held already: not written
    std::filesystem::rename(directory() / "aside", file(1));
    Journal journal = open();
    EXPECT_THAT(journal.find(ask("a")), Optional(std::string("rank 0")));
    EXPECT_EQ(journal.counts().conflicts, 1);
    EXPECT_EQ(journal.counts().held, 3);
    journal.put(ask("b"), "other");
    EXPECT_EQ(journal.counts().conflicts, 2);
    EXPECT_EQ(journal.counts().written, 0);
    EXPECT_THAT(journal.find(ask("b")), Optional(std::string("same")));
}

TEST_F(JournalTest, CountsEqualRepliesOfTwoRanksAsNoConflict) {
    write(0, {{"a", "1"}});
    std::filesystem::copy_file(file(0), file(1));
    EXPECT_EQ(read().counts().conflicts, 0);
    EXPECT_EQ(read().counts().held, 1);
}

TEST_F(JournalTest, TakesFilesInTheOrderOfTheirNumbersNotOfTheirNames) {
    const auto line = [](const char* reply) {
        return journal_line(journal_key(ask("a")), ask("a"), reply);
    };
    write_bytes(directory() / "rank-10.jsonl", line("rank 10"));
    write_bytes(directory() / "rank-2-10.jsonl", line("2-10"));
    write_bytes(directory() / "rank-2-9.jsonl", line("2-9"));
    EXPECT_THAT(read().find(ask("a")), Optional(std::string("2-9")));
    Journal journal = open(2);
    journal.put(ask("b"), "1");
    EXPECT_THAT(directory().names(), ::testing::Contains("rank-2-11.jsonl"));
}

TEST_F(JournalTest, LeavesOutRepliesThatAreTooLong) {
    Journal journal = Journal::read_write(directory().path(), 0, kShortLimit);
    journal.put(ask("long"), std::string(kShortLimit + 1, 'x'));
    EXPECT_EQ(journal.counts().too_long, 1);
    EXPECT_EQ(journal.find(ask("long")), std::nullopt);
    journal.put(ask("a"), "1");
    EXPECT_EQ(read().counts().held, 1);
}

TEST_F(JournalTest, KeepsTheLongestReply) {
    // All quotation marks: the form that takes most room.
    const std::string longest(kShortLimit, '"');
    Journal::read_write(directory().path(), 0, kShortLimit).put(ask("a"), longest);
    Journal journal = Journal::read_only(directory().path(), kShortLimit);
    EXPECT_EQ(journal.counts().held, 1);
    EXPECT_TRUE(journal.find(ask("a")) == longest);
}

TEST_F(JournalTest, ReadsNothingBeforeItIsRefreshedWhenOpenedUnread) {
    write(0, {{"a", "1"}});
    Journal journal = Journal::unread(directory().path(), 0);
    EXPECT_EQ(journal.counts().held, 0);
    journal.refresh();
    EXPECT_THAT(journal.find(ask("a")), Optional(std::string("1")));
    journal.put(ask("b"), "2");
    EXPECT_THAT(directory().names(), ElementsAre("rank-0-1.jsonl", "rank-0.jsonl"));
}

TEST_F(JournalTest, TakesNoReplyWhenOpenedToRead) {
    Journal journal = read();
    EXPECT_FALSE(journal.takes_replies());
    EXPECT_THROW(journal.put(ask("a"), "1"), InternalError);
}

TEST_F(JournalTest, HoldsLessThanAHundredBytesAReply) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer's allocator does not tell how much is in use";
#endif
    constexpr std::size_t kReplies = 200'000;
    {
        std::ofstream out(file(), std::ios::binary);
        const std::string reply(400, 'x');
        for (std::size_t i = 0; i < kReplies; ++i) {
            const std::string body = std::to_string(i);
            out << journal_line(journal_key(ask(body)), ask(body), reply);
        }
    }
    const std::size_t before = ::mallinfo2().uordblks;
    Journal journal = read();
    const std::size_t used = ::mallinfo2().uordblks - before;
    EXPECT_EQ(journal.counts().held, static_cast<std::int64_t>(kReplies));
    EXPECT_LT(used, 100 * kReplies);
    EXPECT_THAT(journal.find(ask("123456")), Optional(std::string(400, 'x')));
}

}  // namespace
}  // namespace dln
