// What is billed for replies that cannot be used.

#include "llm/http/bill.hpp"
#include "unit/llm/http_conversation.hpp"

namespace dln::http {
namespace {

// Two prompts of 40 tokens at most, two of them drawn.
constexpr CallCost kCost{.requests = 2, .tokens = 40, .output = 2};

Usage bill(std::int64_t prompt, std::int64_t drawn) {
    return {.requests = 2, .prompt_tokens = prompt, .discarded_tokens = drawn};
}

TEST(Bill, IsWhatTheReplyCounts) {
    Json reply = fixture_json("vllm_echo_two_permuted");
    reply["choices"].erase(0);
    EXPECT_EQ(bill_of_useless(reply.dump(), kCost),
              bill(reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]));
}

TEST(Bill, SumsOverTheRepliesOfAList) {
    EXPECT_EQ(bill_of_useless(R"([{"meta_info":{"prompt_tokens":3,"completion_tokens":0}},
                                  {"meta_info":{"prompt_tokens":4,"completion_tokens":1}}])",
                              kCost),
              bill(7, 1));
}

TEST(Bill, IsEstimatedWhereTheReplyDoesNotCount) {
    EXPECT_EQ(bill_of_useless(R"({"generated_text":"a","details":{"generated_tokens":5}})", kCost),
              bill(38, 5));
    EXPECT_EQ(bill_of_useless(R"({"choices":[{"token_logprobs":[NaN]}]})", kCost), bill(38, 2));
    EXPECT_EQ(bill_of_useless(" [1, 2", kCost), bill(38, 2)) << "torn within its length";
}

TEST(Bill, IsNothingForWhatNoModelMade) {
    for (const char* body : {"", "<html>busy</html>", R"({"error":{"message":"overloaded"}})"}) {
        EXPECT_EQ(bill_of_useless(body, kCost), Usage{}) << body;
    }
}

}  // namespace
}  // namespace dln::http
