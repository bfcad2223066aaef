// Replies of two models in one journal.

#include "cli/journal_replies.hpp"

#include <map>
#include <tuple>

#include <gtest/gtest.h>

namespace dln {
namespace {

/// A journal in memory.
class MemoryReplies : public PaidReplies {
  public:
    [[nodiscard]] std::optional<std::string> find(const std::string& model,
                                                  const std::string& path,
                                                  const std::string& body) override {
        const auto found = held_.find({model, path, body});
        if (found == held_.end()) return std::nullopt;
        return found->second;
    }
    void keep(const std::string& model,
              const std::string& path,
              const std::string& body,
              const std::string& reply) override {
        held_[{model, path, body}] = reply;
    }
    [[nodiscard]] std::optional<RefusedCall> find_refused(const std::string& model,
                                                          const std::string& path,
                                                          const std::string& body) override {
        const auto reason = find(model, "refused " + path, body);
        if (!reason) return std::nullopt;
        return RefusedCall{.status = 400, .body = {}, .reason = *reason};
    }
    void keep_refused(const std::string& model,
                      const std::string& path,
                      const std::string& body,
                      const RefusedCall& refused) override {
        keep(model, "refused " + path, body, refused.reason);
    }

  private:
    std::map<std::tuple<std::string, std::string, std::string>, std::string> held_;
};

TEST(RepliesApart, StayApartFromThoseOfAForwardModelOfTheSameName) {
    const auto journal = std::make_shared<MemoryReplies>();
    RepliesApart backward(journal, "backward");
    journal->keep("openai:m", "/v1/completions", "{}", "forward");
    EXPECT_FALSE(backward.find("openai:m", "/v1/completions", "{}").has_value());
    backward.keep("openai:m", "/v1/completions", "{}", "backward");
    EXPECT_EQ(backward.find("openai:m", "/v1/completions", "{}"), "backward");
    EXPECT_EQ(journal->find("openai:m", "/v1/completions", "{}"), "forward");
}

TEST(RepliesApart, RefusalsStayApartToo) {
    const auto journal = std::make_shared<MemoryReplies>();
    RepliesApart backward(journal, "backward");
    journal->keep_refused("openai:m", "/v1", "{}", {.status = 400, .body = {}, .reason = "one"});
    EXPECT_FALSE(backward.find_refused("openai:m", "/v1", "{}").has_value());
    backward.keep_refused("openai:m", "/v1", "{}", {.status = 400, .body = {}, .reason = "two"});
    EXPECT_EQ(backward.find_refused("openai:m", "/v1", "{}")->reason, "two");
    EXPECT_EQ(journal->find_refused("openai:m", "/v1", "{}")->reason, "one");
}

}  // namespace
}  // namespace dln
