#include "dln/train/propose.hpp"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

bool fits_always(const Context& /*context*/) { return true; }

ProposalInput input_of(std::size_t examples) {
    ProposalInput input{.seed = 5, .step = 0};
    for (std::size_t i = 0; i < examples; ++i) {
        const std::string n = std::to_string(i);
        input.batch.push_back({.input = "i" + n, .target = "t" + n, .output = "o" + n});
        input.batch.back().right = i % 2 == 0;
    }
    input.prompts = {"P0", "P1"};
    input.classes = "no, yes";
    input.words = {
        .parameters = {{"P0", 0, {"Text"}}}, .words = {{"input", {"Text"}}}, .in_template = {{0}}};
    return input;
}

ProposalSpec spec_of(std::vector<ProposalTemplateSpec> templates, std::size_t examples = 100) {
    ProposalSpec spec;
    spec.templates = std::move(templates);
    spec.examples = examples;
    return spec;
}

std::string text_of(const Proposer& proposer, const ProposalInput& input, std::size_t index) {
    const auto item = proposer.item(input, index, fits_always);
    return item ? item->context.text : "(nothing)";
}

TEST(Proposer, ShowsTriedPromptsWorstFirstAndNoMoreThanTheJobAllows) {
    ProposalSpec spec =
        spec_of({{.name = "h", .text = "{{#history}}[{{prompt}} {{score}}]{{/history}}"}});
    spec.history = 2;
    ProposalInput input = input_of(1);
    input.history = {{"best", 91.6}, {"good", 70.2}, {"poor", 12.0}};
    EXPECT_EQ(text_of(Proposer(spec), input, 0), "[good 70][best 92]");
    EXPECT_TRUE(Proposer(spec).shows_history());
    EXPECT_FALSE(Proposer(spec_of({{.name = "errors"}})).shows_history());
    EXPECT_TRUE(Proposer(spec_of({{.name = "history_few_shot"}})).shows_history());
}

TEST(Proposer, CyclesTemplatesAndThenPrompts) {
    const Proposer proposer(
        spec_of({{.name = "a", .text = "A {{prompt}}"}, {.name = "b", .text = "B {{prompt}}"}}));
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 6; ++i) texts.push_back(text_of(proposer, input_of(0), i));
    EXPECT_THAT(texts, ElementsAre("A P0", "B P0", "A P1", "B P1", "A P0", "B P0"));
    EXPECT_EQ(proposer.template_name(2), "a");
    EXPECT_EQ(proposer.template_name(3), "b");
}

TEST(Proposer, CyclesMessagesOverTheSteps) {
    const Proposer proposer(
        spec_of({{.name = "a", .text = "{{message}}", .messages = {"m0", "m1"}},
                 {.name = "b", .text = "{{message}}", .messages = {"n0", "n1", "n2"}}}));
    ProposalInput input = input_of(0);
    std::vector<std::string> texts;
    for (input.step = 0; input.step < 4; ++input.step) {
        texts.push_back(text_of(proposer, input, 0) + text_of(proposer, input, 1));
    }
    EXPECT_THAT(texts, ElementsAre("m0n0", "m1n1", "m0n2", "m1n0"));
}

std::vector<std::vector<std::size_t>> grouped(const Proposer& proposer,
                                              std::size_t first,
                                              std::size_t end) {
    std::vector<std::vector<std::size_t>> groups;
    for (const auto& request : proposer.requests(first, end)) groups.push_back(request.proposals);
    return groups;
}

TEST(Proposer, OrdersRequestsByTemplate) {
    const Proposer proposer(spec_of({{.name = "a", .text = "A"}, {.name = "b", .text = "B"}}));
    EXPECT_THAT(grouped(proposer, 0, 5), ElementsAre(ElementsAre(0), ElementsAre(2), ElementsAre(4),
                                                     ElementsAre(1), ElementsAre(3)));
    EXPECT_THAT(grouped(proposer, 3, 5), ElementsAre(ElementsAre(4), ElementsAre(3)));
}

TEST(Proposer, SharesProposalsOutByWeight) {
    const Proposer proposer(spec_of({{.name = "a", .text = "A {{prompt}}", .share = 3},
                                     {.name = "b", .text = "B {{prompt}}"}}));
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 8; ++i) texts.push_back(text_of(proposer, input_of(0), i));
    EXPECT_THAT(texts, ElementsAre("A P0", "A P1", "A P0", "B P0", "A P1", "A P0", "A P1", "B P1"));
}

TEST(Proposer, SharesOutAnyNumberOfProposals) {
    const Proposer proposer(spec_of({{.name = "a", .text = "A {{prompt}}"},
                                     {.name = "b", .text = "B"},
                                     {.name = "c", .text = "C"}}));
    for (const std::size_t i : {0U, 3071U, 3072U, 3075U, 99'999U}) {
        EXPECT_EQ(proposer.template_index(i), i % 3);
    }
    EXPECT_EQ(text_of(proposer, input_of(0), 3072), "A P0");
    EXPECT_EQ(text_of(proposer, input_of(0), 3075), "A P1");
}

TEST(Proposer, AListMakesSeveralProposals) {
    const Proposer proposer(spec_of(
        {{.name = "a", .text = "A"},
         {.name = "l", .text = "{{count}} of {{prompt}}", .share = 2, .prompts_a_reply = 3}}));
    // l a l l a l l a l: proposals 1, 4 and 7 are a's.
    EXPECT_THAT(grouped(proposer, 0, 9), ElementsAre(ElementsAre(1), ElementsAre(4), ElementsAre(7),
                                                     ElementsAre(0, 2, 3), ElementsAre(5, 6, 8)));
    EXPECT_EQ(text_of(proposer, input_of(0), 0), "3 of P0");
    EXPECT_EQ(text_of(proposer, input_of(0), 5), "3 of P1");
}

TEST(Proposer, ShowsTheUsersWords) {
    ProposalSpec spec = spec_of({{.name = "feedback"}, {.name = "own", .text = "<{{feedback}}>"}});
    spec.feedback = "Say {{less}}.";
    EXPECT_THAT(text_of(Proposer(spec), input_of(0), 0), HasSubstr("Say {{less}}."));
    EXPECT_EQ(text_of(Proposer(spec), input_of(0), 1), "<Say {{less}}.>");
}

TEST(Proposer, OwnMessagesReplaceThoseOfABuiltInTemplate) {
    const Proposer proposer(spec_of({{.name = "paraphrase", .messages = {"Shorten:"}}}));
    EXPECT_EQ(text_of(proposer, input_of(0), 0), "Shorten:\n\nP0");
}

TEST(Proposer, EditsAndCrossoversAskNoModel) {
    const Proposer proposer(
        spec_of({{.name = "edit"}, {.name = "crossover"}, {.name = "a", .text = "A"}}));
    EXPECT_FALSE(proposer.asks_model(0));
    EXPECT_FALSE(proposer.asks_model(1));
    EXPECT_THAT(grouped(proposer, 0, 6), ElementsAre(ElementsAre(2), ElementsAre(5)));
    EXPECT_TRUE(proposer.asks_model());
    EXPECT_FALSE(Proposer(spec_of({{.name = "edit"}})).asks_model());
    // A template of one's own may have the name.
    EXPECT_TRUE(Proposer(spec_of({{.name = "edit", .text = "E"}})).asks_model());
}

ProposalInput known_prompts() {
    ProposalInput input = input_of(0);
    input.prompts = {"A.", "B."};
    input.good = {"A.", "B."};
    input.known = {"A.", "B.", "C."};
    return input;
}

TEST(Proposer, EditsTakePhrasesOfAllKnownPrompts) {
    const Proposer proposer(spec_of({{.name = "edit"}}));
    std::set<std::string> made;
    for (std::size_t i = 0; i < 200; ++i) made.insert(proposer.made_prompt(known_prompts(), i));
    EXPECT_THAT(made, ::testing::UnorderedElementsAre("A. B.", "B. A.", "A. C.", "C. A.", "B. C.",
                                                      "C. B."));
    EXPECT_EQ(proposer.made_prompt(known_prompts(), 7), proposer.made_prompt(known_prompts(), 7));
}

TEST(Proposer, CrossoversJoinGoodPromptsAndAreEditsWhereThereIsOne) {
    const Proposer proposer(spec_of({{.name = "crossover"}}));
    ProposalInput input = known_prompts();
    std::set<std::string> made;
    for (std::size_t i = 0; i < 50; ++i) made.insert(proposer.made_prompt(input, i));
    EXPECT_THAT(made, ::testing::UnorderedElementsAre("A. B.", "B. A."));
    input.prompts = input.good = {"A."};
    input.known = {"A.", "C."};
    made.clear();
    for (std::size_t i = 0; i < 50; ++i) made.insert(proposer.made_prompt(input, i));
    EXPECT_THAT(made, ::testing::UnorderedElementsAre("A. C.", "C. A."));
}

/// Four examples, two of each class.
ProposalInput batch_of_two_classes() {
    ProposalInput input = known_prompts();
    input.classes = "no, yes";
    input.batch = {{.input = "a", .target = "yes"},
                   {.input = "b", .target = "yes"},
                   {.input = "c", .target = "yes"},
                   {.input = "d", .target = "no"}};
    return input;
}

TEST(Proposer, DemonstrationsFollowAnInstruction) {
    ProposalSpec spec = spec_of({{.name = "demonstrations"}});
    spec.demonstrations = 1;
    const Proposer proposer(spec);
    EXPECT_FALSE(proposer.asks_model());
    ProposalInput input = batch_of_two_classes();
    input.batch.resize(1);
    const std::string made = proposer.made_prompt(input, 0);
    EXPECT_EQ(made, input.prompts[0] + "\n\nExamples:\n\nInput: a\nOutput: yes");
    // They take the place of those that are there.
    input.prompts = {made};
    input.batch[0].input = "z";
    const std::string again = proposer.made_prompt(input, 0);
    EXPECT_TRUE(again.ends_with("Examples:\n\nInput: z\nOutput: yes")) << again;
    EXPECT_EQ(again.find("Input: a"), std::string::npos);
    input.batch.clear();
    EXPECT_EQ(proposer.made_prompt(input, 0), "");
}

TEST(Proposer, DemonstrationsShareClassesEvenly) {
    const Proposer proposer(spec_of({{.name = "demonstrations"}}));
    const ProposalInput input = batch_of_two_classes();
    std::set<std::string> made;
    for (std::size_t i = 0; i < 40; ++i) {
        made.insert(proposer.made_prompt(input, i));
        EXPECT_NE(made.rbegin()->find("Output: no"), std::string::npos);
    }
    EXPECT_GT(made.size(), 3U);
    EXPECT_EQ(proposer.made_prompt(input, 5), proposer.made_prompt(input, 5));
}

TEST(Proposer, EditsAndCrossoversKeepWhatAPromptDemonstrates) {
    const Proposer proposer(spec_of({{.name = "edit"}, {.name = "crossover"}}));
    const std::string shown = "\n\nExamples:\n\nInput: one, two.\nOutput: yes";
    ProposalInput input = known_prompts();
    input.prompts = {"A. B." + shown};
    input.known = {"A. B." + shown, "C." + shown};
    input.good = input.known;
    for (std::size_t i = 0; i < 40; ++i) {
        const std::string made = proposer.made_prompt(input, i);
        ASSERT_TRUE(made.ends_with(shown)) << made;
        EXPECT_EQ(made.find(shown), made.size() - shown.size());
    }
}

TEST(Proposer, ShowsExamplesByKindWithTheirOutputs) {
    const Proposer proposer(spec_of(
        {{.name = "a",
          .text =
              "{{#errors}}[{{input}} {{target}} {{output}}]{{/errors}}"
              "{{#successes}}({{input}}){{/successes}}{{#examples}}.{{/examples}} {{classes}}"}}));
    const std::string text = text_of(proposer, input_of(4), 0);
    EXPECT_THAT(text, AllOf(HasSubstr("[i1 t1 o1]"), HasSubstr("[i3 t3 o3]"), HasSubstr("(i0)"),
                            HasSubstr("(i2)"), HasSubstr(".... no, yes")));
    EXPECT_THAT(text, AllOf(Not(HasSubstr("[i0")), Not(HasSubstr("(i1)"))));
}

TEST(Proposer, BracesInDataStayAsTheyAre) {
    const Proposer proposer(
        spec_of({{.name = "a", .text = "{{prompt}}{{#examples}} {{input}}{{/examples}}"}}));
    ProposalInput input = input_of(1);
    input.prompts = {"{{classes}}"};
    input.batch[0].input = "{{#errors}}<&>";
    EXPECT_EQ(text_of(proposer, input, 0), "{{classes}} {{#errors}}<&>");
}

ProposalSpec only_examples(std::size_t most = 100) {
    return spec_of({{.name = "a", .text = "{{#examples}}{{input}};{{/examples}}"}}, most);
}

TEST(Proposer, EveryProposalHasAnOrderOfItsOwn) {
    const Proposer proposer(only_examples());
    std::set<std::string> orders;
    std::set<std::uint64_t> seeds;
    for (std::size_t i = 0; i < 20; ++i) {
        orders.insert(text_of(proposer, input_of(8), i));
        seeds.insert(proposer.item(input_of(8), i, fits_always)->seed);
    }
    EXPECT_THAT(orders, SizeIs(20));
    EXPECT_THAT(seeds, SizeIs(20));
}

TEST(Proposer, SameSeedAndStepGiveTheSameItem) {
    ProposalInput input = input_of(8);
    const auto first = Proposer(only_examples()).item(input, 3, fits_always);
    const auto again = Proposer(only_examples()).item(input, 3, fits_always);
    EXPECT_EQ(first->context.text, again->context.text);
    EXPECT_EQ(first->seed, again->seed);
    const auto changed = [&] {
        const auto item = Proposer(only_examples()).item(input, 3, fits_always);
        return item->context.text != first->context.text && item->seed != first->seed;
    };
    input.step = 1;
    EXPECT_TRUE(changed());
    input = input_of(8);
    input.seed = 6;
    EXPECT_TRUE(changed());
    input = input_of(8);
    input.layer = 1;
    EXPECT_TRUE(changed());
}

TEST(Proposer, ShowsNoMoreExamplesThanTheJobSays) {
    EXPECT_THAT(text_of(Proposer(only_examples(3)), input_of(8), 0), SizeIs(9));  // "i0;" is 3
}

TEST(Proposer, DropsExamplesOneAtATimeUntilTheContextFits) {
    const Proposer proposer(only_examples());
    std::vector<std::size_t> tried;
    const auto item = proposer.item(input_of(8), 0, [&](const Context& context) {
        tried.push_back(context.text.size() / 3);
        return context.text.size() <= 15;
    });
    EXPECT_THAT(tried, ElementsAre(8, 7, 6, 5));
    ASSERT_TRUE(item.has_value());
    EXPECT_TRUE(text_of(proposer, input_of(8), 0).starts_with(item->context.text));
}

TEST(Proposer, NothingWhenItDoesNotFitEvenSo) {
    const auto never = [](const Context&) { return false; };
    EXPECT_FALSE(Proposer(only_examples()).item(input_of(8), 0, never).has_value());
    EXPECT_FALSE(
        Proposer(spec_of({{.name = "a", .text = "{{prompt}}"}})).item(input_of(8), 0, never));
}

TEST(Proposer, WorksWithoutAnyExample) {
    EXPECT_EQ(text_of(Proposer(only_examples()), input_of(0), 0), "");
    EXPECT_EQ(text_of(Proposer(only_examples(0)), input_of(3), 0), "");
}

TEST(Proposer, BuiltInNamesStandForTheirTemplates) {
    ASSERT_FALSE(std::ranges::empty(kBuiltInProposals));
    for (const std::string_view name : kBuiltInProposals) {
        const auto known = built_in_proposal(name);
        ASSERT_TRUE(known.has_value()) << name;
        EXPECT_FALSE(known->messages.empty()) << name;
        const Proposer proposer(spec_of({{.name = std::string(name)}}));
        const auto item = proposer.item(input_of(4), 0, fits_always);
        EXPECT_THAT(item->context.text, HasSubstr(known->messages[0]));
        EXPECT_EQ(item->context.chat, known->chat);
    }
    EXPECT_FALSE(built_in_proposal("mistakes").has_value());
}

struct Reply {
    std::string name;
    std::string reply;
    std::string prompt;
};

class PromptFromReply : public ::testing::TestWithParam<Reply> {};

TEST_P(PromptFromReply, IsTheInstructionAlone) {
    EXPECT_EQ(prompt_from_reply(GetParam().reply), GetParam().prompt);
}

INSTANTIATE_TEST_SUITE_P(
    Replies,
    PromptFromReply,
    ::testing::Values(
        Reply{"Plain", "Decide whether it is good.", "Decide whether it is good."},
        Reply{"WhiteSpace", "  \n Decide.\n\n", "Decide."},
        Reply{"Quotes", "\"Decide whether it is good.\"", "Decide whether it is good."},
        Reply{"QuotesInside", "Say \"yes\" or \"no\".", "Say \"yes\" or \"no\"."},
        Reply{"NestedQuotes", "\"'Decide.'\"", "Decide."},
        Reply{"QuoteThatWasCut", "\"Decide whether it", "Decide whether it"},
        Reply{"Bold", "**Decide.**", "Decide."},
        Reply{"Label", "Instruction: Decide.", "Decide."},
        Reply{"LabelInCapitals", "NEW INSTRUCTION:  Decide.", "Decide."},
        Reply{"LabelOnALineOfItsOwn", "Prompt:\n\nDecide.", "Decide."},
        Reply{"LabelBeforeQuotes", "Instruction: \"Decide.\"", "Decide."},
        Reply{"LabelInsideQuotes", "\"Instruction: Decide.\"", "Decide."},
        Reply{"OtherColon", "Answer so: yes or no.", "Answer so: yes or no."},
        Reply{"NumberedList", "1. Decide whether it is good.\n2. Or not.",
              "Decide whether it is good."},
        Reply{"Bullet", "- Decide whether it is good.\n- Or not.", "Decide whether it is good."},
        Reply{"NumberThatBegins", "12 words are enough.", "12 words are enough."},
        Reply{"FirstParagraph", "Decide.\n\nThis is better because it is short.", "Decide."},
        Reply{"FirstLine", "Decide whether it is good.\nInput: a", "Decide whether it is good."},
        Reply{"Code", "`Decide.`", "Decide."},
        Reply{"CodeFence", "```\nDecide.\n```", "Decide."},
        Reply{"Braces", "Use {{input}}.", "Use {{input}}."},
        Reply{"OtherScript", "判断这部电影好不好", "判断这部电影好不好"},
        Reply{"Empty", "", ""},
        Reply{"OnlyWhiteSpace", " \n\t", ""},
        Reply{"OnlyPunctuation", "...!?", ""},
        Reply{"OnlyDigits", "42", ""},
        Reply{"OnlyQuotes", "\"\"", ""},
        Reply{"OnlyALabel", "Instruction:", ""},
        Reply{"OnlyAListMark", "1.", ""}),
    [](const auto& param) { return param.param.name; });

struct ListReply {
    std::string name;
    std::string reply;
    std::vector<std::string> prompts;
};

class PromptsFromReply : public ::testing::TestWithParam<ListReply> {};

TEST_P(PromptsFromReply, AreThoseOfItsLines) {
    EXPECT_EQ(prompts_from_reply(GetParam().reply, 3), GetParam().prompts);
}

INSTANTIATE_TEST_SUITE_P(
    Replies,
    PromptsFromReply,
    ::testing::Values(
        ListReply{"Numbered", "1. One.\n2. Two.\n3. Three.", {"One.", "Two.", "Three."}},
        ListReply{"Bracketed", "1) One.\n2) Two.", {"One.", "Two."}},
        ListReply{"Bulleted", "- One.\n* Two.\n\u2022 Three.", {"One.", "Two.", "Three."}},
        ListReply{"PlainLines", "One.\n\nTwo.", {"One.", "Two."}},
        ListReply{"Bold", "**1. One.**\n**2. Two.**", {"One.", "Two."}},
        ListReply{"Quoted", "1. \"One.\"\n2. \"Two.\"", {"One.", "Two."}},
        ListReply{"WithIntroduction", "Sure, here they are:\n1. One.\n2. Two.", {"One.", "Two."}},
        ListReply{"WithExplanation",
                  "1. One.\nThis is short.\n2. Two.\nI hope that helps!",
                  {"One.", "Two."}},
        ListReply{"Indented", "  1. One.\n  2. Two.", {"One.", "Two."}},
        ListReply{"MoreThanAskedFor", "1. a\n2. b\n3. c\n4. d", {"a", "b", "c"}},
        ListReply{"Fewer", "1. One.", {"One."}},
        ListReply{"NumbersOnly", "1.\n2. 42\n3. Three.", {"Three."}},
        ListReply{"CodeFence", "```\n1. One.\n```", {"One."}},
        ListReply{"CutOff", "1. One.\n2. Tw\n3.", {"One.", "Tw"}},
        ListReply{"OnePrompt", "Decide.", {"Decide."}},
        ListReply{"Empty", "", {}},
        ListReply{"OnlyPunctuation", "...\n---", {}}),
    [](const auto& param) { return param.param.name; });

TEST(PromptsFromReply, OfOneIsTheFirstParagraph) {
    EXPECT_THAT(prompts_from_reply("1. One.\n2. Two.", 1), ElementsAre("One."));
    EXPECT_THAT(prompts_from_reply("...", 1), SizeIs(0));
}

TEST(FoldedPrompt, IsEqualWhereOnlyCaseWhiteSpaceOrClosingPunctuationDiffer) {
    const std::string folded = folded_prompt("Good or bad?");
    for (const char* same : {"good OR bad", " Good  or\nbad", "Good or bad.", "Good or bad ?!"}) {
        EXPECT_EQ(folded_prompt(same), folded) << same;
    }
    for (const char* other :
         {"Good, or bad?", "Goodor bad", "\"Good or bad?\"", "Good or bad? No"}) {
        EXPECT_NE(folded_prompt(other), folded) << other;
    }
}

TEST(FoldedPrompt, OfPunctuationAloneIsThePunctuation) {
    EXPECT_NE(folded_prompt("?"), folded_prompt("!"));
    EXPECT_EQ(folded_prompt(""), "");
}

}  // namespace
}  // namespace dln
