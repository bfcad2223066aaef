// Keys: where they come from, and that they go nowhere else.

#include "llm/http/secret.hpp"

#include <concepts>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"

namespace dln::http {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCanary = "sk-canary-0123456789abcdef";

template <typename T>
concept Streamable = requires(std::ostream& stream, const T& value) {
    stream << value;
};

static_assert(!Streamable<Secret>);
static_assert(!fmt::is_formattable<Secret>::value);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<std::string, Secret>);
static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);

std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const UsageError& error) {
        return error.what();
    }
    return "nothing was thrown";
}

class SecretFile : public ::testing::Test {
  protected:
    std::string write(const std::string& text, mode_t mode = 0600) {
        const std::string path = directory_.path() + "/key";
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }
    static std::string refusal(const std::string& path) {
        return message_of([&] { (void)Secret::from_file(path, "job.json: /backend/key_file"); });
    }
    testing::TemporaryDirectory directory_;
};

TEST(Secret, IsEmptyAfterItWasMoved) {
    Secret first(kCanary);
    const Secret second = std::move(first);
    EXPECT_EQ(second.reveal(), kCanary);
    EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move)
}

/// How often the canary stands in this process's heap. Skips the first bytes of blocks, which the
/// allocator itself overwrites when they are freed.
int canaries_in_heap() {
    const std::string_view tail = std::string_view(kCanary).substr(16);
    int count = 0;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        if (line.ends_with("[heap]")) {
            const auto dash = line.find('-');
            const auto* begin = reinterpret_cast<const char*>(std::stoull(line, nullptr, 16));
            const auto* end =
                reinterpret_cast<const char*>(std::stoull(line.substr(dash + 1), nullptr, 16));
            std::string_view heap(begin, static_cast<std::size_t>(end - begin));
            for (auto at = heap.find(tail); at != heap.npos; at = heap.find(tail, at + 1)) {
                ++count;
            }
        }
    }
    return count;
}

TEST(Secret, WipesItsMemory) {
    const int before = canaries_in_heap();
    {
        Secret first(kCanary);
        if (canaries_in_heap() != before + 1) {
            GTEST_SKIP() << "the heap is elsewhere here (a sanitizer)";
        }
        Secret second = first.copy();
        EXPECT_EQ(canaries_in_heap(), before + 2);
        second = Secret("another");
        EXPECT_EQ(canaries_in_heap(), before + 1);
    }
    EXPECT_EQ(canaries_in_heap(), before);
}

TEST(Secret, ComesFromTheEnvironmentWithoutWhiteSpace) {
    ::setenv("DLN_TEST_KEY", (std::string(kCanary) + "\n").c_str(), 1);
    EXPECT_EQ(Secret::from_environment("DLN_TEST_KEY", "job").reveal(), kCanary);
    ::unsetenv("DLN_TEST_KEY");
}

TEST(Secret, NamesAVariableThatIsNotSet) {
    EXPECT_THAT(
        message_of(
            [] { (void)Secret::from_environment("DLN_NO_SUCH", "job.json: /backend/key_env"); }),
        AllOf(HasSubstr("job.json: /backend/key_env"), HasSubstr("\"DLN_NO_SUCH\" is not set")));
}

TEST(Secret, DoesNotShowAKeyGivenAsTheNameOfAVariable) {
    for (const std::string name : {kCanary, "hf_AbCdEfGh"}) {
        EXPECT_THAT(message_of([&] { (void)Secret::from_environment(name, "job"); }),
                    AllOf(HasSubstr("is not set"), Not(HasSubstr(name))));
    }
}

TEST_F(SecretFile, IsReadWhenItIsPrivate) {
    for (const mode_t mode : {0600U, 0400U}) {
        EXPECT_EQ(Secret::from_file(write(std::string(kCanary) + "\n", mode), "job").reveal(),
                  kCanary);
        ::unlink((directory_.path() + "/key").c_str());
    }
}

TEST_F(SecretFile, IsRefusedWhenOthersMayReadIt) {
    for (const mode_t mode : {0644U, 0640U, 0604U, 0620U}) {
        EXPECT_THAT(refusal(write(kCanary, mode)),
                    AllOf(HasSubstr("job.json: /backend/key_file"), HasSubstr("chmod 600"),
                          HasSubstr(fmt::format("{:04o}", mode)), Not(HasSubstr("canary"))));
    }
}

TEST_F(SecretFile, IsRefusedWhenItBelongsToSomeoneElse) {
    const auto path = write(kCanary);
    if (::geteuid() != 0 || ::chown(path.c_str(), 12345, 12345) != 0) {
        GTEST_SKIP() << "only root can give a file away";
    }
    EXPECT_THAT(refusal(path), HasSubstr("belongs to user 12345"));
}

TEST_F(SecretFile, IsRefusedWhenItIsNoKey) {
    EXPECT_THAT(refusal(directory_.path() + "/none"), HasSubstr("No such file"));
    EXPECT_THAT(refusal(directory_.path()), HasSubstr("not a regular file"));
    EXPECT_THAT(refusal(write(" \n")), HasSubstr("is empty"));
    EXPECT_THAT(refusal(write("two canaries")),
                AllOf(HasSubstr("byte 0x20 at offset 3"), Not(HasSubstr("canar"))));
    EXPECT_THAT(refusal(write("a\r\nX-Injected: b")), HasSubstr("byte 0x0d"));
    EXPECT_THAT(refusal(write(std::string(100'000, 'x'))), HasSubstr("16384"));
}

TEST(Redact, ReplacesTheKey) {
    const Secret key(kCanary);
    EXPECT_EQ(redact(fmt::format("a {0} b {0}", kCanary), key), "a [key] b [key]");
    EXPECT_EQ(redact("nothing here", key), "nothing here");
    EXPECT_EQ(redact("nothing here", Secret()), "nothing here");
}

TEST(Redact, ReplacesTheBeginningOfAKeyThatWasCut) {
    const Secret key(kCanary);
    EXPECT_EQ(redact("wrong key sk-canary-01", key), "wrong key [key]");
    EXPECT_EQ(redact("wrong key sk-canary-01...", key), "wrong key [key]...");
    EXPECT_EQ(redact("what is sk-", key), "what is sk-");
}

TEST(Redact, HidesUserPartsAndQueryValuesOfUrls) {
    EXPECT_EQ(redact("see https://me:secret@host:80/a?b=c&d=e#f and x", Secret()),
              "see https://[hidden]@host:80/a?b=[hidden]&d=[hidden]#f and x");
    EXPECT_EQ(redact("\"http://p@q\"", Secret()), "\"http://[hidden]@q\"");
    EXPECT_EQ(redact("GET /v1?key=abc HTTP", Secret()), "GET /v1?key=[hidden] HTTP");
    EXPECT_EQ(redact("mail a@b.c? yes = no", Secret()), "mail a@b.c? yes = no");
}

// A core would hold the key in many copies, so there must be none.
TEST(CoreDumps, AreForbiddenOnceAKeyWasRead) {
    const testing::TemporaryDirectory directory;
    const auto leaves_core = [&](bool reads_key) {
        const auto child = ::fork();
        if (child == 0) {
            const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
            if (::chdir(directory.path().c_str()) != 0 || ::setrlimit(RLIMIT_CORE, &all) != 0) {
                ::_exit(0);
            }
            ::setenv("DLN_TEST_KEY", kCanary, 1);
            if (reads_key) {
                (void)Secret::from_environment("DLN_TEST_KEY", "test");
            }
            ::signal(SIGABRT, SIG_DFL);
            ::abort();
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFSIGNALED(status) && WCOREDUMP(status);
    };
    EXPECT_FALSE(leaves_core(true));
    if (!leaves_core(false)) {
        GTEST_SKIP() << "this machine makes no cores, with or without keys";
    }
}

}  // namespace
}  // namespace dln::http
