// Damage of a journal, and writers that die: each costs the lines it hit, never more, and never gives a wrong reply.

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/store/journal.hpp"

#include "journal_fixture.hpp"
#include "store/journal_line.hpp"
#include "store/sealed_line.hpp"

namespace dln {
namespace {

using testing::ask;
using ::testing::ElementsAre;
using ::testing::Optional;
using testing::read_bytes;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;
using testing::write_bytes;

/// Of this process, so far.
long peak_memory_kib() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

class JournalDamage : public testing::JournalFixture {};

TEST_F(JournalDamage, DropsALastLineTornAtAnyByteAndGoesOnInANewFile) {
    write(0, {{"a", "1"}});
    const std::size_t kept = read_bytes(file()).size();
    std::filesystem::remove(file());
    write(0, {{"a", "1"}, {"b", "two\n\xc3\xb6"}});
    const std::string whole = read_bytes(file());
    for (std::size_t size = kept; size < whole.size(); ++size) {
        write_bytes(file(), whole.substr(0, size));
        Journal journal = open();
        ASSERT_EQ(journal.counts().held, 1) << size;
        ASSERT_EQ(journal.counts().torn_tails, size == kept ? 0 : 1) << size;
        ASSERT_EQ(journal.counts().skipped_lines, 0) << size;
        ASSERT_EQ(journal.find(ask("b")), std::nullopt) << size;
        journal.put(ask("b"), "again");
        ASSERT_EQ(read_bytes(file()), whole.substr(0, size));
        ASSERT_THAT(read().find(ask("b")), Optional(std::string("again"))) << size;
        std::filesystem::remove(directory() / "rank-0-1.jsonl");
    }
}

TEST_F(JournalDamage, SkipsALineWithAFlippedBitAnywhereAndKeepsTheOthers) {
    write(0, {{"a", "1"}, {"b", "two \xc3\xb6\n"}, {"c", "3"}});
    const std::string whole = read_bytes(file());
    const std::size_t begin = whole.find('\n') + 1;
    const std::size_t end = whole.find('\n', begin);
    for (std::size_t at = begin; at <= end; ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = whole;
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
            write_bytes(file(), damaged);
            Journal journal = read();
            ASSERT_EQ(journal.find(ask("b")), std::nullopt) << at << " bit " << bit;
            ASSERT_THAT(journal.find(ask("a")), Optional(std::string("1"))) << at << " bit " << bit;
            // Without its line feed the line becomes one with the next.
            ASSERT_EQ(journal.find(ask("c")).has_value(), at != end) << at << " bit " << bit;
            ASSERT_GE(journal.counts().skipped_lines, 1) << at << " bit " << bit;
            ASSERT_EQ(journal.counts().torn_tails, 0) << at << " bit " << bit;
        }
    }
}

TEST_F(JournalDamage, FindsNoReplyThatWasDamagedSinceItWasOpened) {
    write(0, {{"a", "first"}, {"b", "2"}});
    Journal journal = open();
    std::string bytes = read_bytes(file());
    bytes[bytes.find("first")] = 'F';
    write_bytes(file(), bytes);
    EXPECT_EQ(journal.find(ask("a")), std::nullopt);
    EXPECT_EQ(journal.counts().skipped_lines, 1);
    EXPECT_EQ(journal.counts().held, 1);
    journal.put(ask("a"), "again");
    EXPECT_THAT(journal.find(ask("a")), Optional(std::string("again")));
    EXPECT_THAT(read().find(ask("a")), Optional(std::string("again")));
}

TEST_F(JournalDamage, FindsNothingInFilesThatAreGoneOrShorter) {
    write(0, {{"a", "1"}});
    write(1, {{"b", "2"}});
    Journal journal = read();
    std::filesystem::remove(file(0));
    std::filesystem::resize_file(file(1), 10);
    EXPECT_EQ(journal.find(ask("a")), std::nullopt);
    EXPECT_EQ(journal.find(ask("b")), std::nullopt);
    EXPECT_EQ(journal.counts().skipped_lines, 2);
}

TEST_F(JournalDamage, SkipsSealedLinesThatSayNothingSensible) {
    const JournalKey key = journal_key(ask("a"));
    const std::string good = journal_line(key, ask("a"), "1");
    const std::string fields = good.substr(0, good.find(",\"xxh3\""));
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string changed = fields;
        return sealed_line(changed.replace(changed.find(from), from.size(), to));
    };
    for (const std::string& line :
         {sealed_line(""), sealed_line("{"), sealed_line("{\"v\":1"), replaced("\"v\"", "\"w\""),
          replaced("\"key\":\"", "\"key\":\"x"), replaced("\"text\"", "\"txt\""),
          replaced("\"text\"", "\"base64\""), replaced("\"text\":\"1\"", "\"text\":1"),
          replaced("reply_bytes\":1", "reply_bytes\":2"), std::string("\n"), std::string("{}\n")}) {
        write_bytes(file(), line);
        Journal journal = read();
        EXPECT_EQ(journal.find(ask("a")), std::nullopt) << line;
        EXPECT_EQ(journal.counts().skipped_lines, 1) << line;
        EXPECT_EQ(journal.counts().held, 0) << line;
    }
}

TEST_F(JournalDamage, SkipsALineLongerThanAnyReplyMakesWithoutHoldingIt) {
    constexpr std::uintmax_t kHole = std::uintmax_t{100} << 20U;  // NULs that take no room on disk
    write_bytes(file(), "");
    std::filesystem::resize_file(file(), kHole);
    std::ofstream(file(), std::ios::binary | std::ios::app)
        << '\n'
        << journal_line(journal_key(ask("a")), ask("a"), "1");
    const long before = peak_memory_kib();
    Journal journal = Journal::read_only(directory().path(), testing::kShortLimit);
    EXPECT_EQ(journal.counts().skipped_lines, 1);
    EXPECT_THAT(journal.find(ask("a")), Optional(std::string("1")));
    EXPECT_LT(peak_memory_kib() - before, 50 * 1024);
}

TEST_F(JournalDamage, RefusesALineOfAnotherFormatVersion) {
    write(3, {{"a", "1"}});
    std::string newer = read_bytes(file(3));
    newer = newer.substr(0, newer.find(",\"xxh3\""));
    newer.replace(newer.find("\"v\":1"), 5, "\"v\":2");
    write_bytes(file(3), read_bytes(file(3)) + sealed_line(newer));
    EXPECT_THAT([&] { static_cast<void>(read()); },
                ThrowsMessage<UsageError>(
                    StartsWith(file(3) + ": line 2 has journal format 2, this program reads 1")));
}

class JournalProcesses : public testing::JournalFixture {};

/// Runs `work` in a child. The child ends with 0 when it returns, with 1 when it throws.
pid_t start(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            work();
        } catch (const std::exception&) {
            ::_exit(1);
        }
        ::_exit(0);
    }
    return child;
}

int wait_for(pid_t child) {
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
}

std::string numbered(int writer, int i) {
    return "reply " + std::to_string(writer) + " " + std::to_string(i) + std::string(2000, '\n');
}

TEST_F(JournalProcesses, HoldsEveryReplyThatWasPutBeforeAKillAtAnyInstant) {
    for (int round = 1; round <= 20; ++round) {
        std::array<int, 2> pipe{};
        ASSERT_EQ(::pipe(pipe.data()), 0);
        const pid_t child = start([&] {
            Journal journal = open(round);
            for (int i = 0;; ++i) {
                journal.put(ask(std::to_string(round) + "/" + std::to_string(i)),
                            numbered(round, i));
                static_cast<void>(::write(pipe[1], "x", 1));
            }
        });
        ::close(pipe[1]);
        const auto read_mark = [&] {
            char mark = 0;
            return ::read(pipe[0], &mark, 1) == 1;
        };
        int put = 0;
        while (put < 7 * round && read_mark()) {
            ++put;
        }
        ::kill(child, SIGKILL);  // it is somewhere in the replies that follow
        const int status = wait_for(child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read_mark()) {
            ++put;
        }
        ::close(pipe[0]);
        Journal journal = read();
        for (int i = 0; i < put; ++i) {
            ASSERT_THAT(journal.find(ask(std::to_string(round) + "/" + std::to_string(i))),
                        Optional(numbered(round, i)));
        }
        EXPECT_EQ(journal.counts().skipped_lines, 0);
        EXPECT_LE(journal.counts().torn_tails, round);
    }
}

TEST_F(JournalProcesses, DiesAtItsFailpointWithTheLineWritten) {
    const pid_t child = start([&] {
        ::setenv("DLN_FAILPOINT", "journal.after_line:2", 1);
        write(0, {{"a", "1"}, {"b", "2"}, {"c", "3"}});
    });
    EXPECT_TRUE(WIFSIGNALED(wait_for(child)));
    EXPECT_EQ(read().counts().held, 2);
    EXPECT_TRUE(read().find(ask("b")).has_value());
}

TEST_F(JournalProcesses, TakesRepliesOfTwoProcessesOfOneRankAtOnce) {
    constexpr int kReplies = 2000;
    std::array<int, 2> gate{};
    ASSERT_EQ(::pipe(gate.data()), 0);
    std::array<int, 2> opened{};
    ASSERT_EQ(::pipe(opened.data()), 0);
    const auto writer = [&](int number) {
        return start([&, number] {
            ::close(gate[1]);
            Journal journal = open();  // both see an empty journal, and will want the same name
            static_cast<void>(::write(opened[1], "x", 1));
            char end = 0;
            static_cast<void>(::read(gate[0], &end, 1));  // until the parent opens the gate
            for (int i = 0; i < kReplies; ++i) {
                journal.put(ask(std::to_string(number) + "/" + std::to_string(i)),
                            numbered(number, i));
            }
        });
    };
    const pid_t first = writer(1);
    const pid_t second = writer(2);
    ::close(opened[1]);
    for (int i = 0; i < 2; ++i) {
        char mark = 0;
        ASSERT_EQ(::read(opened[0], &mark, 1), 1);
    }
    ::close(opened[0]);
    ::close(gate[0]);
    ::close(gate[1]);
    EXPECT_EQ(wait_for(first), 0);
    EXPECT_EQ(wait_for(second), 0);
    EXPECT_THAT(directory().names(), ElementsAre("rank-0-1.jsonl", "rank-0.jsonl"));
    Journal journal = read();
    EXPECT_EQ(journal.counts().held, 2 * kReplies);
    EXPECT_EQ(journal.counts().skipped_lines + journal.counts().torn_tails, 0);
    EXPECT_THAT(journal.find(ask("1/1999")), Optional(numbered(1, 1999)));
    EXPECT_THAT(journal.find(ask("2/1999")), Optional(numbered(2, 1999)));
}

TEST_F(JournalProcesses, StopsTakingWhenOnlyAPartOfALineCouldBeWritten) {
    const pid_t child = start([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{1000, 1000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        Journal journal = open();
        journal.put(ask("a"), std::string(300, 'x'));
        std::string message;
        try {
            journal.put(ask("b"), std::string(2000, 'x'));
        } catch (const Error& error) {
            message = error.what();
        }
        journal.put(ask("c"), "3");
        journal.sync();
        const bool is_right = message.find(file() + ": write failed: File too large") == 0 &&
                              !journal.takes_replies() && journal.find(ask("a")) &&
                              !journal.find(ask("b")) && !journal.find(ask("c"));
        ::_exit(is_right ? 0 : 2);
    });
    EXPECT_EQ(wait_for(child), 0);
    EXPECT_EQ(read_bytes(file()).size(), 1000);
    Journal journal = read();
    EXPECT_EQ(journal.counts().held, 1);
    EXPECT_EQ(journal.counts().torn_tails, 1);
}

}  // namespace
}  // namespace dln
