#include "dln/network/network.hpp"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

#include "support/small_job.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using testing::class_job;
using testing::dataset_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::layer_of;
using ::testing::SizeIs;
using testing::small_job;
using ::testing::ThrowsMessage;

Job two_layers(const std::string& residual = "") {
    Job job = small_job();
    job.network.layers.insert(job.network.layers.begin(), layer_of("H"));
    if (!residual.empty()) job.network.layers[0].residual = residual;
    return job;
}

const Dataset& four_examples() {
    static const Dataset data =
        dataset_of({{"one", "no"}, {"two", "yes"}, {"three", "no"}, {"four", "yes"}});
    return data;
}

/// What `few_shot` examples of `data` look like, one "input\ntarget" after another.
std::string shown(const Network& network, const Dataset& data, const std::string& between) {
    std::string block;
    for (const std::size_t i : network.few_shot_examples()) {
        block += std::string(data[i].input) + between + std::string(data[i].target) + "\n\n";
    }
    return block;
}

TEST(Context, RendersPromptAndInputAndSharesWhatIsBeforeTheInput) {
    const Network network(small_job("Q: {{prompt}}\n{{input}}\nA:"), {});
    const Context context = network.context(0, {"Even?", 0}, "12");
    EXPECT_EQ(context.text, "Q: Even?\n12\nA:");
    EXPECT_EQ(context.shared_bytes, std::string("Q: Even?\n").size());
    EXPECT_FALSE(context.chat);
}

TEST(Context, SharesNothingWhenTheInputComesFirst) {
    const Network network(small_job("{{input}} {{prompt}}"), {});
    EXPECT_EQ(network.context(0, {"P", 0}, "x").text, "x P");
    EXPECT_EQ(network.context(0, {"P", 0}, "x").shared_bytes, 0U);
}

TEST(Context, BracesInPromptAndInputStayAsTheyAre) {
    const Network network(small_job(), {});
    const Context context = network.context(0, {"use {{input}} & <b>", 0}, "{{prompt}}{{#x}}");
    EXPECT_EQ(context.text, "use {{input}} & <b>\n{{prompt}}{{#x}}");
    EXPECT_EQ(context.shared_bytes, std::string("use {{input}} & <b>\n").size());
}

TEST(Context, AnyBytesOfTheInputComeOut) {
    const Network network(small_job(), {});
    const std::string input("a\0b\xff", 4);
    EXPECT_EQ(network.context(0, {"P", 0}, input).text, "P\n" + input);
}

TEST(Context, UsesTheTemplateThatTheParametersName) {
    Job job = small_job();
    job.network.layers[0].templates.push_back(
        {.name = "b", .text = "{{input}}?", .chat = true, .separator = {}});
    const Network network(job, {});
    EXPECT_EQ(network.context(0, {"P", 1}, "x").text, "x?");
    EXPECT_TRUE(network.context(0, {"P", 1}, "x").chat);
}

TEST(Separator, IsTheScoringsUnlessTheTemplateHasOneOrIsAChat) {
    Job job = small_job();
    auto& templates = job.network.layers[0].templates;
    templates.push_back({.name = "own", .text = "{{input}}", .chat = false, .separator = " "});
    templates.push_back({.name = "chat", .text = "{{input}}", .chat = true, .separator = {}});
    templates.push_back({.name = "both", .text = "{{input}}", .chat = true, .separator = ": "});
    const Network network(job, {});
    EXPECT_EQ(network.separator(0, 0), "\n");
    EXPECT_EQ(network.separator(0, 1), " ");
    EXPECT_EQ(network.separator(0, 2), "");
    EXPECT_EQ(network.separator(0, 3), ": ");
}

TEST(ClassForms, AreTheVerbalizersWithAndWithoutALeadingSpace) {
    Job job = class_job();
    job.classes = {{"no", {"no", "bad"}}, {"yes", {"yes"}}};
    job.scoring.leading_space = true;
    const Network network(job, {});
    const ClassForms& forms = network.class_forms(0);
    EXPECT_THAT(forms.targets, ElementsAre("\nno", "\n no", "\nbad", "\n bad", "\nyes", "\n yes"));
    EXPECT_THAT(forms.class_of, ElementsAre(0, 0, 0, 0, 1, 1));
}

TEST(ClassForms, AreTheVerbalizersAloneWhenNoSpaceIsWanted) {
    const Network network(class_job(), {});
    EXPECT_THAT(network.class_forms(0).targets, ElementsAre("\nno", "\nyes"));
    EXPECT_THAT(network.class_forms(0).class_of, ElementsAre(0, 1));
}

TEST(ClassForms, HaveNoSecondSpaceWhereThereIsOne) {
    Job job = class_job();
    job.scoring.leading_space = true;
    job.scoring.separator = " ";
    EXPECT_THAT(Network(job, {}).class_forms(0).targets, ElementsAre(" no", " yes"));
    job.scoring.separator = "\n";
    job.classes[0].verbalizers = {" no"};
    EXPECT_THAT(Network(job, {}).class_forms(0).targets, ElementsAre("\n no", "\nyes", "\n yes"));
}

TEST(ClassForms, OfAChatHaveNoSeparator) {
    Job job = class_job();
    job.network.layers[0].templates[0].chat = true;
    EXPECT_THAT(Network(job, {}).class_forms(0).targets, ElementsAre("no", "yes"));
}

TEST(ClassIndex, FindsTheClassOfATargetOrSaysThatThereIsNone) {
    const Network network(class_job(), {});
    EXPECT_EQ(network.class_index("yes"), 1U);
    EXPECT_THAT([&] { (void)network.class_index("Yes"); },
                ThrowsMessage<UsageError>(HasSubstr("\"Yes\"")));
}

TEST(FewShot, ExamplesStandBeforeTheTemplateAndAreShared) {
    Job job = class_job();
    job.network.layers[0].few_shot = 2;
    const Network network(job, four_examples());
    ASSERT_THAT(network.few_shot_examples(), SizeIs(2));
    const std::string block = shown(network, four_examples(), "\n");
    const Context context = network.context(0, {"P", 0}, "x");
    EXPECT_EQ(context.text, block + "P\nx");
    EXPECT_EQ(context.shared_bytes, block.size() + 2);
}

TEST(FewShot, ExamplesLookLikeCallsWithoutAPrompt) {
    Job job = class_job("{{prompt}}\nInput: {{input}}\nLabel:");
    job.scoring.separator = " ";
    job.network.layers[0].few_shot = 1;
    const Network network(job, four_examples());
    const Example example = four_examples()[network.few_shot_examples().at(0)];
    EXPECT_EQ(network.context(0, {"P", 0}, "x").text,
              "Input: " + std::string(example.input) + "\nLabel: " + std::string(example.target) +
                  "\n\nP\nInput: x\nLabel:");
}

TEST(FewShot, BalancedChoiceShowsTheClassesInEqualShares) {
    Dataset data;
    for (int i = 0; i < 40; ++i) data.add("x" + std::to_string(i), i % 10 == 0 ? "yes" : "no");
    Job job = class_job();
    job.network.layers[0].few_shot = 6;
    job.network.layers[0].few_shot_choice = FewShotChoice::balanced;
    for (job.seed = 1; job.seed < 5; ++job.seed) {
        const Network network(job, data);
        EXPECT_EQ(std::ranges::count_if(network.few_shot_examples(),
                                        [&](std::size_t i) { return data[i].target == "yes"; }),
                  3);
    }
    job.network.layers[0].few_shot = 12;  // there are four with "yes"
    const Network network(job, data);
    const std::set<std::size_t> shown(network.few_shot_examples().begin(),
                                      network.few_shot_examples().end());
    EXPECT_THAT(shown, SizeIs(12));
}

TEST(FewShot, TemplateMayPlaceTheExamples) {
    Job job = class_job("{{prompt}}\n{{examples}}{{input}}");
    job.network.layers[0].few_shot = 3;
    const Network network(job, four_examples());
    EXPECT_EQ(network.context(0, {"P", 0}, "x").text,
              "P\n" + shown(network, four_examples(), "\n") + "x");
}

TEST(FewShot, ExamplesDifferAndFollowTheSeed) {
    Job job = class_job();
    job.network.layers[0].few_shot = 4;
    std::vector<std::size_t> all = Network(job, four_examples()).few_shot_examples();
    EXPECT_EQ(Network(job, four_examples()).few_shot_examples(), all);
    std::ranges::sort(all);
    EXPECT_THAT(all, ElementsAre(0, 1, 2, 3));
}

TEST(FewShot, NearestExamplesAreThoseOfTheInputAndNotShared) {
    Job job = class_job();
    job.network.layers[0].few_shot = 2;
    job.network.layers[0].few_shot_choice = FewShotChoice::nearest;
    const Network network(job, four_examples());
    EXPECT_EQ(network.nearest_shown(), 2U);
    EXPECT_THAT(network.few_shot_examples(), IsEmpty());
    const std::vector<Example> shown{four_examples()[2], four_examples()[1]};
    const Context context = network.context(0, {"P", 0}, "x", shown);
    EXPECT_EQ(context.text, "three\nno\n\ntwo\nyes\n\nP\nx");
    EXPECT_EQ(context.shared_bytes, 0U);
}

TEST(FewShot, WhatStandsBeforeNearestExamplesIsShared) {
    Job job = class_job("{{prompt}}\n{{examples}}{{input}}");
    job.network.layers[0].few_shot = 1;
    job.network.layers[0].few_shot_choice = FewShotChoice::nearest;
    const std::vector<Example> shown{four_examples()[0]};
    const Context context = Network(job, four_examples()).context(0, {"P", 0}, "x", shown);
    EXPECT_EQ(context.text, "P\none\nno\n\nx");
    EXPECT_EQ(context.shared_bytes, 2U);
}

TEST(FewShot, InputBeforeNearestExamplesEndsWhatIsShared) {
    Job job = class_job("Of {{input}}: {{prompt}}\n{{examples}}{{input}}");
    job.network.layers[0].few_shot = 1;
    job.network.layers[0].few_shot_choice = FewShotChoice::nearest;
    const std::vector<Example> shown{four_examples()[0]};
    EXPECT_EQ(Network(job, four_examples()).context(0, {"P", 0}, "x", shown).shared_bytes, 3U);
}

TEST(FewShot, MoreExamplesThanThereAreIsAUsageError) {
    Job job = class_job();
    job.network.layers[0].few_shot = 5;
    EXPECT_THAT([&] { Network(job, four_examples()); },
                ThrowsMessage<UsageError>(AllOf(HasSubstr("job.json"),
                                                HasSubstr("/network/layers/0/few_shot"),
                                                HasSubstr("5"), HasSubstr("4"))));
}

TEST(FewShot, HiddenLayerIsRefused) {
    Job job = two_layers();
    job.network.layers[0].few_shot = 1;
    EXPECT_THAT([&] { Network(job, four_examples()); },
                ThrowsMessage<UsageError>(HasSubstr("/network/layers/0/few_shot")));
}

TEST(FewShot, HiddenLayerDoesNotShowTheExamplesOfTheLast) {
    Job job = two_layers();
    job.network.layers[1].few_shot = 1;
    EXPECT_EQ(Network(job, four_examples()).context(0, {"H", 0}, "x").text, "H\nx");
}

Job job_with_words() {
    Job job = class_job("{{prompt}}\n{{word.input}}: {{input}}\n{{word.answer}}:");
    job.network.layers[0].words = {{"input", {"Text", "Review"}}, {"answer", {"Label", "{{x}}"}}};
    return job;
}

TEST(Words, StandInTheTemplate) {
    const Network network(job_with_words(), {});
    EXPECT_EQ(network.initial_parameters(), (NetworkParameters{{"P", 0, {"Text", "Label"}}}));
    const Context context = network.context(0, {"Q", 0, {"Review", "{{x}}"}}, "x");
    EXPECT_EQ(context.text, "Q\nReview: x\n{{x}}:");
    EXPECT_EQ(context.shared_bytes, std::string("Q\nReview: ").size());
}

TEST(Words, AreThoseThatATemplateShows) {
    Job job = job_with_words();
    job.network.layers[0].templates.push_back({.name = "b", .text = "{{input}}{{word.answer}}"});
    const Network network(job, {});
    EXPECT_THAT(network.template_words(0, 0), ElementsAre(0, 1));
    EXPECT_THAT(network.template_words(0, 1), ElementsAre(1));
}

TEST(Words, StandAroundShownExamplesToo) {
    Job job = job_with_words();
    job.scoring.separator = " ";
    job.network.layers[0].few_shot = 1;
    const Network network(job, testing::dataset_of({{"a", "no"}}));
    EXPECT_EQ(network.context(0, {"P", 0, {"Text", "Label"}}, "x").text,
              "Text: a\nLabel: no\n\nP\nText: x\nLabel:");
    EXPECT_EQ(network.context(0, {"P", 0, {"Review", "Label"}}, "x").text,
              "Review: a\nLabel: no\n\nP\nReview: x\nLabel:");
}

TEST(NextInput, IsTheOutputOrTheResidualTemplate) {
    EXPECT_EQ(Network(two_layers(), {}).next_input(0, "x", "{{h}}"), "{{h}}");
    EXPECT_EQ(Network(two_layers("{{input}}\nThoughts: {{output}}"), {}).next_input(0, "x", "h"),
              "x\nThoughts: h");
}

TEST(VisibleInput, HiddenLayersDoNotSeeOptionsWhenTheJobAsksSo) {
    Job job = two_layers();
    const std::string question = "Which?\nOptions:\n(A) this\n(B) that";
    EXPECT_EQ(Network(job, {}).visible_input(0, question), question);
    job.network.strip_options = true;
    EXPECT_EQ(Network(job, {}).visible_input(0, question), "Which?");
    EXPECT_EQ(Network(job, {}).visible_input(1, question), question);
}

TEST(Network, BeginsWithTheFirstPromptAndTemplateOfEachLayer) {
    Job job = two_layers();
    job.network.layers[1].prompts.push_back("another");
    const Network network(job, {});
    EXPECT_EQ(network.depth(), 2U);
    EXPECT_FALSE(network.has_classes());
    EXPECT_THAT(network.few_shot_examples(), IsEmpty());
    EXPECT_EQ(network.initial_parameters(), (NetworkParameters{{"H", 0}, {"P", 0}}));
}

}  // namespace
}  // namespace dln
