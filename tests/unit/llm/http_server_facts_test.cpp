// What a run keeps of its servers comes back for a replay.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "llm/http/server_facts.hpp"

namespace dln::http {
namespace {

using ::testing::HasSubstr;

ServerFacts known() {
    return {.model = "org/model \"x\"",
            .context_tokens = 4096,
            .prompts_a_call = 5,
            .begin_text = "<s>",
            .can_tokenise = true,
            .takes_tokens = false,
            .slots = 3,
            .software = "vllm"};
}

TEST(KeptServerFacts, ComeBackAndLeaveTheJobsOwnAlone) {
    ServerFacts read{.prompts_a_call = 8, .begin_text = "<|im_start|>"};
    EXPECT_EQ(read_facts(facts_json(known()), read), "");
    EXPECT_EQ(read.model, known().model);
    EXPECT_EQ(read.context_tokens, 4096);
    EXPECT_TRUE(read.can_tokenise);
    EXPECT_FALSE(read.takes_tokens);
    EXPECT_EQ(read.slots, 3);
    EXPECT_EQ(read.software, "vllm");
    EXPECT_EQ(read.prompts_a_call, 5U);
    EXPECT_EQ(read.begin_text, "<|im_start|>");
}

TEST(KeptServerFacts, DamageIsSaid) {
    ServerFacts server;
    EXPECT_NE(read_facts("", server), "");
    EXPECT_NE(read_facts("[]", server), "");
    EXPECT_THAT(read_facts(R"({"format":1})", server), HasSubstr("model"));
    EXPECT_THAT(read_facts(R"({"format":2})", server), HasSubstr("format"));
}

}  // namespace
}  // namespace dln::http
