#include "dln/text/mustache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string render(const std::string& text, const TemplateValues& values) {
    return Mustache(text).render(values);
}

TemplateValues texts(std::map<std::string, std::string> values) {
    return {.texts = std::move(values), .lists = {}};
}

TEST(Mustache, PutsValuesInPlace) {
    EXPECT_EQ(render("{{prompt}}\n\n{{ input }}!", texts({{"prompt", "Do"}, {"input", "x"}})),
              "Do\n\nx!");
    EXPECT_EQ(render("", {}), "");
    EXPECT_EQ(render("plain\n", {}), "plain\n");
}

TEST(Mustache, TakesADotInANameAsAnyOtherLetter) {
    const Mustache mustache("{{word.a}} {{#word.b}}[{{word.b}}]{{/word.b}}{{word}}");
    EXPECT_THAT(mustache.names(), ElementsAre("word", "word.a", "word.b"));
    EXPECT_EQ(mustache.render(texts({{"word.a", "A"}, {"word.b", "B"}, {"word", "W"}})), "A [B]W");
    EXPECT_EQ(mustache.render(texts({{"word.a", "A"}, {"word.b", ""}})), "A ");
}

TEST(Mustache, TakesValuesAsData) {
    for (const std::string& value :
         {std::string("{{input}} {{#a}} {{{"), std::string("<b> & \"quoted\" 'x'"),
          std::string("\0\x01\x1b\r\n\x7f", 6), std::string(" \n\t "), std::string(1 << 20, 'x'),
          std::string(1 << 20, '\n')}) {
        EXPECT_EQ(render("[{{input}}]", texts({{"input", value}})), "[" + value + "]");
        EXPECT_EQ(render("{{#list}}{{input}}{{/list}}",
                         {.texts = {}, .lists = {{"list", {{{"input", value}}}}}}),
                  value);
    }
}

TEST(Mustache, KeepsLiteralTextByteForByte) {
    const std::string text("\0 } }} {x} <&> \\ \r\n\t\xFF {{input}}\n \n", 31);
    EXPECT_EQ(render(text, texts({{"input", "\n"}})),
              std::string("\0 } }} {x} <&> \\ \r\n\t\xFF \n\n \n", 23));
}

TEST(Mustache, RepeatsASectionForEachEntry) {
    const TemplateValues values{
        .texts = {{"prompt", "P"}},
        .lists = {{"errors", {{{"input", "a"}, {"target", "1"}}, {{"input", "b"}}}}}};
    EXPECT_EQ(render("{{#errors}}\n{{prompt}}: {{input}}={{target}}\n{{/errors}}\nend", values),
              "P: a=1\nP: b=\nend");
    EXPECT_EQ(render("{{#errors}}{{input}},{{/errors}}", values), "a,b,");
}

TEST(Mustache, DropsTheLinesOfAnEmptySection) {
    const std::string text =
        "Errors:\n{{#errors}}\n- {{input}}\n{{/errors}}\n{{^errors}}\nnone\n"
        "  {{/errors}}  \nend\n";
    EXPECT_EQ(render(text, {.texts = {}, .lists = {{"errors", {}}}}), "Errors:\nnone\nend\n");
    EXPECT_EQ(render(text, {}), "Errors:\nnone\nend\n");
    EXPECT_EQ(render(text, {.texts = {}, .lists = {{"errors", {{{"input", "a"}}}}}}),
              "Errors:\n- a\nend\n");
}

TEST(Mustache, KeepsBlankLinesInsideASection) {
    EXPECT_EQ(render("{{#l}}\n\n{{x}}\n\n{{/l}}\n", {.texts = {}, .lists = {{"l", {{{"x", ""}}}}}}),
              "\n\n\n");
}

TEST(Mustache, ShowsASectionOfATextWhenItIsNotEmpty) {
    const std::string text = "{{#message}}Hint: {{message}}. {{/message}}{{^message}}-{{/message}}";
    EXPECT_EQ(render(text, texts({{"message", "be brief"}})), "Hint: be brief. ");
    EXPECT_EQ(render(text, texts({{"message", ""}})), "-");
}

TEST(Mustache, ListsTheNamesThatItUses) {
    const Mustache mustache("{{b}}\n {{#errors}}{{input}}{{^a}}{{b}}{{/a}}{{/errors}}");
    EXPECT_THAT(mustache.names(), ElementsAre("a", "b", "errors", "input"));
    ASSERT_EQ(mustache.uses().size(), 5U);
    EXPECT_TRUE(mustache.uses()[1].section);
    EXPECT_THAT(mustache.uses()[2].inside, ElementsAre("errors"));
    EXPECT_THAT(mustache.uses()[4].inside, ElementsAre("errors"));
    EXPECT_EQ(mustache.uses()[1].line, 2U);
    EXPECT_EQ(mustache.uses()[1].column, 2U);
}

struct BadTemplate {
    const char* text;
    const char* message;
};

class BadTemplates : public testing::TestWithParam<BadTemplate> {};

TEST_P(BadTemplates, AreRefusedWithPlaceAndReason) {
    try {
        const Mustache mustache(GetParam().text);
        FAIL() << "accepted: " << GetParam().text;
    } catch (const TemplateError& error) {
        EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Cases,
    BadTemplates,
    testing::Values(BadTemplate{"a\nb {{x", "line 2, column 3: this {{ has no }}"},
                    BadTemplate{"{{{x}}}", "line 1, column 1: {{{name}}} is not supported"},
                    BadTemplate{"{{&x}}", "{{&name}} is not supported"},
                    BadTemplate{"{{ & x}}", "{{&name}} is not supported"},
                    BadTemplate{"{{>x}}", "partials"},
                    BadTemplate{"{{=<% %>=}}", "delimiters"},
                    BadTemplate{"{{! note }}", "comments"},
                    BadTemplate{"{{}}", "\"\" is not a name"},
                    BadTemplate{"{{a.b.c}}", "\"a.b.c\" is not a name"},
                    BadTemplate{"{{a.}}", "\"a.\" is not a name"},
                    BadTemplate{"{{0}}", "\"0\" is not a name"},
                    BadTemplate{"{{#x}}", "line 1, column 1: section \"x\" has no {{/x}}"},
                    BadTemplate{"{{/x}}", "{{/x}} closes no section"},
                    BadTemplate{"{{#x}}{{#y}}\n{{/x}}{{/y}}",
                                "line 2, column 1: {{/x}} found where {{/y}}"}));

TEST(RenderSplit, CutsWhereTheVariableEnters) {
    const Mustache mustache("{{prompt}}\n{{input}} -> {{input}}");
    const auto split = mustache.render_split(texts({{"prompt", "Do"}, {"input", "xyz"}}), "input");
    EXPECT_EQ(split.text, "Do\nxyz -> xyz");
    EXPECT_EQ(split.fixed_bytes, 3U);
}

TEST(RenderSplit, DoesNotDependOnTheValue) {
    const Mustache mustache("{{prompt}}\n{{input}}.");
    for (const std::string value : {"", "\x01", "\x02", "\x01\x02", "Do", "\n", "{{input}}"}) {
        const auto split =
            mustache.render_split(texts({{"prompt", "Do\x01"}, {"input", value}}), "input");
        EXPECT_EQ(split.fixed_bytes, 4U);
        EXPECT_EQ(split.text, "Do\x01\n" + value + ".");
    }
}

TEST(RenderSplit, StopsBeforeASectionThatTheVariableDecides) {
    const Mustache mustache("A{{#input}}B{{input}}{{/input}}");
    EXPECT_EQ(mustache.render_split(texts({{"input", "x"}}), "input").fixed_bytes, 1U);
    EXPECT_EQ(mustache.render_split(texts({{"input", ""}}), "input").fixed_bytes, 1U);
}

TEST(RenderSplit, CountsEverythingWhenTheVariableNeverEnters) {
    const auto split = Mustache("{{prompt}}").render_split(texts({{"prompt", "Do"}}), "input");
    EXPECT_EQ(split.fixed_bytes, 2U);
}

TEST(RenderSplit, LeavesEntriesOfAListThatHaveTheSameNameAlone) {
    const Mustache mustache("{{#examples}}{{input}};{{/examples}}{{input}}");
    const TemplateValues values{.texts = {{"input", "z"}},
                                .lists = {{"examples", {{{"input", "a"}}, {{"input", ""}}}}}};
    const auto split = mustache.render_split(values, "input");
    EXPECT_EQ(split.text, "a;;z");
    EXPECT_EQ(split.fixed_bytes, 3U);
}

}  // namespace
}  // namespace dln
