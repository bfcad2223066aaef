#include <gmock/gmock.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ReadBbh : public DataFolder {
  protected:
    [[nodiscard]] SplitSpec bbh(std::string_view content) const { return spec("x.json", content); }
    [[nodiscard]] Pairs read(std::string_view content) const {
        return pairs_of(read_split(bbh(content)));
    }
};

TEST_F(ReadBbh, ReadsTheListOfExamples) {
    EXPECT_EQ(read("\xEF\xBB\xBF{\"canary\": \"...\", \"examples\": [\r\n"
                   "  {\"input\": \"a\", \"target\": \"(A)\"},\r\n"
                   "  {\"target\": 2, \"input\": \"b\", \"more\": [{\"input\": \"no\"}]}\r\n"
                   "], \"notes\": [{\"input\": \"no\", \"target\": \"no\"}]}\r\n"),
              (Pairs{{"a", "(A)"}, {"b", "2"}}));
}

TEST_F(ReadBbh, StopsAtTheLimit) {
    auto split = bbh("{\"examples\": [{\"input\": \"a\", \"target\": \"x\"}, {\"input\": \"b\"}]}");
    split.limit = 1;
    EXPECT_EQ(read_split(split).size(), 1U);
}

TEST_F(ReadBbh, NamesTheLineWhereAWrongExampleBegins) {
    EXPECT_THAT(
        refusal(bbh("{\"examples\": [\n{\"input\": \"a\", \"target\": \"x\"},\n{\n"
                    "\"input\": \"b\",\n\"targets\": \"x\"\n}]}")),
        StartsWith("x.json:3: no field \"target\" for the target: found \"input\", \"targets\". "
                   "Did you mean \"targets\"?"));
}

TEST_F(ReadBbh, NamesTheLineOfASyntaxError) {
    EXPECT_THAT(refusal(bbh("{\"examples\": [\n{\"input\": \"a\",\n\"target\" \"x\"}]}")),
                StartsWith("x.json:3: not valid JSON at byte "));
    EXPECT_THAT(refusal(bbh("{\"examples\": [\n{\"input\": \"a\",\n\"target\": \"x\"}\n")),
                StartsWith("x.json:3: not valid JSON at byte "));
}

TEST_F(ReadBbh, RefusesDocumentsOfAnotherShape) {
    EXPECT_THAT(refusal(bbh("[{\"input\": \"a\", \"target\": \"x\"}]")),
                StartsWith("x.json:1: a JSON object is needed here"));
    EXPECT_THAT(refusal(bbh("{\"example\": []}")),
                StartsWith("x.json:1: no field \"examples\" with the list of examples: found "
                           "\"example\". Did you mean \"example\"?"));
    EXPECT_THAT(refusal(bbh("{\"examples\": {\"input\": \"a\"}}")), HasSubstr("must be a list"));
    EXPECT_THAT(refusal(bbh("{\"examples\": \"a\"}")), HasSubstr("must be a list"));
    EXPECT_THAT(refusal(bbh("{\"examples\": [\n\"a\"]}")),
                StartsWith("x.json:2: an entry of \"examples\" is no object"));
    EXPECT_THAT(refusal(bbh("{\"examples\": [[]]}")), HasSubstr("is no object"));
    EXPECT_THAT(refusal(bbh("{\"examples\": [], \"examples\": []}")), HasSubstr("occurs twice"));
}

TEST_F(ReadBbh, RefusesADocumentWithoutExamples) {
    EXPECT_THAT(refusal(bbh("{\"examples\": []}")), StartsWith("x.json: holds no example"));
    EXPECT_THAT(refusal(bbh("")), StartsWith("x.json: holds no example"));
}

TEST_F(ReadBbh, NamesTheLineThatIsNotUtf8) {
    EXPECT_THAT(refusal(bbh("{\"examples\": [\n\"\xC0\xAF\"]}")),
                StartsWith("x.json:2: invalid UTF-8 at byte 2 of the line (0xc0)"));
}

}  // namespace
}  // namespace dln
