#include "dln/train/posterior.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

PosteriorSpec spec_of(std::vector<PosteriorTemplateSpec> templates) {
    PosteriorSpec spec;
    spec.templates = std::move(templates);
    return spec;
}

PosteriorInput input_of() {
    return {.seed = 1,
            .step = 2,
            .layer = 0,
            .example = 7,
            .shown = {.input = "x", .target = "y", .output = "h"},
            .illustration = {},
            .prompt = "P1",
            .next_prompt = "P2",
            .classes = "a, b"};
}

std::string text_of(const PosteriorSampler& sampler, std::size_t sample) {
    return sampler.item(input_of(), sample).context.text;
}

TEST(PosteriorSampler, CyclesTemplatesOverSamplesAndMessagesOverTheirUses) {
    const PosteriorSampler sampler(
        spec_of({{.name = "a", .text = "A{{message}}", .messages = {"1", "2"}, .chat = false},
                 {.name = "b", .text = "B{{message}}", .messages = {"3"}, .chat = true}}));
    std::vector<std::string> texts;
    for (std::size_t k = 0; k < 6; ++k) texts.push_back(text_of(sampler, k));
    EXPECT_THAT(texts, ::testing::ElementsAre("A1", "B3", "A2", "B3", "A1", "B3"));
    EXPECT_FALSE(sampler.item(input_of(), 0).context.chat);
    EXPECT_TRUE(sampler.item(input_of(), 1).context.chat);
}

TEST(PosteriorSampler, BuiltInTemplateTakesTheJobsOwnMessages) {
    const PosteriorSampler sampler(spec_of({{.name = "target", .messages = {"Say it in Latin."}}}));
    EXPECT_THAT(text_of(sampler, 0), ::testing::EndsWith("Say it in Latin."));
    EXPECT_TRUE(sampler.item(input_of(), 0).context.chat);
}

TEST(PosteriorSampler, ShowsPromptsTargetOutputAndClasses) {
    const PosteriorSampler sampler(
        spec_of({{.name = "a",
                  .text = "{{prompt}}/{{next_prompt}}/{{input}}/{{target}}/{{output}}/{{classes}}",
                  .messages = {},
                  .chat = false}}));
    EXPECT_EQ(text_of(sampler, 0), "P1/P2/x/y/h/a, b");
    EXPECT_FALSE(sampler.shows_illustration());
}

TEST(PosteriorSampler, ShowsAnotherExampleWhereThereIsOne) {
    const PosteriorSampler sampler(
        spec_of({{.name = "a",
                  .text = "{{#illustration}}[{{input}}>{{target}}>{{output}}]{{/illustration}}",
                  .messages = {},
                  .chat = false}}));
    EXPECT_TRUE(sampler.shows_illustration());
    PosteriorInput input = input_of();
    EXPECT_EQ(sampler.item(input, 0).context.text, "");
    input.illustration = {.input = "u", .target = "v", .output = "w"};
    EXPECT_EQ(sampler.item(input, 0).context.text, "[u>v>w]");
}

TEST(PosteriorSampler, SamplesOfOneContextHaveSeedsOfTheirOwn) {
    const PosteriorSampler sampler(
        spec_of({{.name = "a", .text = "same", .messages = {}, .chat = false}}));
    std::set<std::uint64_t> seeds;
    PosteriorInput input = input_of();
    for (std::size_t k = 0; k < 4; ++k) seeds.insert(sampler.item(input, k).seed);
    input.example = 8;
    seeds.insert(sampler.item(input, 0).seed);
    input.layer = 1;
    seeds.insert(sampler.item(input, 0).seed);
    input.step = 3;
    seeds.insert(sampler.item(input, 0).seed);
    EXPECT_THAT(seeds, SizeIs(7));
    EXPECT_EQ(sampler.item(input, 0).seed, sampler.item(input, 0).seed);
}

TEST(PosteriorSampler, BuiltInTemplatesShowInputTargetAndPrompts) {
    for (const std::string_view name : kBuiltInPosteriors) {
        const PosteriorSampler sampler(spec_of({{.name = std::string(name)}}));
        const std::string text = text_of(sampler, 0);
        EXPECT_THAT(text, HasSubstr("P1"));
        EXPECT_THAT(text, HasSubstr("x"));
        EXPECT_THAT(text, HasSubstr("y"));
    }
    EXPECT_FALSE(built_in_posterior("tarket").has_value());
}

}  // namespace
}  // namespace dln
