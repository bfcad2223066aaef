#include "dln/data/polarity.hpp"

#include <map>
#include <set>

#include <gmock/gmock.h>

#include "data_folder.hpp"

namespace dln {
namespace {

using ::testing::HasSubstr;

class Polarity : public DataFolder {
  protected:
    [[nodiscard]] std::string refusal_of(std::string_view lexicon) const {
        try {
            (void)read_polarity_words(file("lexicon.txt", lexicon));
        } catch (const UsageError& error) {
            return error.what();
        }
        return "nothing was thrown";
    }
    /// 400 words of each polarity, with names like goodab.
    [[nodiscard]] std::string large_lexicon() const {
        std::string text;
        for (int i = 0; i < 400; ++i) {
            const std::string letters{static_cast<char>('a' + i / 26),
                                      static_cast<char>('a' + i % 26)};
            text += "good" + letters + "\t2.5\t0.1\t[]\nevil" + letters + "\t-2.5\t0.1\t[]\n";
        }
        return file("lexicon.txt", text);
    }
};

TEST_F(Polarity, TakesStrongWordsOfLettersOnly) {
    const auto path = file("lexicon.txt",
                           "$:\t-1.5\t0.8\t[-1]\n"        // no word
                           "bad\t-2.5\t0.6\t[-2]\n"       // too short
                           "Great\t3.1\t0.7\t[3]\n"       // in lower case
                           "don't\t-2.0\t0.7\t[3]\n"      // no letters only
                           "caf\xC3\xA9s\t2.0\t0\t[2]\n"  // not ASCII
                           "calm\t1.3\t0.7\t[1]\n"        // too weak
                           "good\t1.5\t0.7\t[1]\r\n"      // just strong enough
                           "evil\t-1.5\t0.7\t[1]\n"
                           "great\t-3.0\t0.7\t[3]\n");  // a word that was there
    EXPECT_EQ(pairs_of(read_polarity_words(path)),
              (Pairs{{"evil", "negative"}, {"good", "positive"}, {"great", "positive"}}));
}

TEST_F(Polarity, SplitsTheSameWordsWhateverTheOrderOfTheLexicon) {
    const auto parts = polarity_parts(large_lexicon());
    auto text = content(path("lexicon.txt"));
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
        lines.insert(lines.begin(), text.substr(at, text.find('\n', at) + 1 - at));
    }
    text.clear();
    for (const auto& line : lines) {
        text += line;
    }
    const auto again = polarity_parts(file("reversed.txt", text));
    for (std::size_t p = 0; p < parts.size(); ++p) {
        EXPECT_EQ(parts[p].examples.digest(), again[p].examples.digest());
    }
}

TEST_F(Polarity, MakesBalancedPartsOfFixedSizesWithoutOverlap) {
    const auto parts = polarity_parts(large_lexicon());
    ASSERT_EQ(parts.size(), 3U);
    const std::map<std::string, std::size_t> sizes{{"train", 200}, {"dev", 100}, {"test", 400}};
    std::set<std::string> words;
    for (const auto& part : parts) {
        std::map<std::string, std::size_t> counts;
        for (const auto& [word, target] : pairs_of(part.examples)) {
            EXPECT_TRUE(words.insert(word).second) << word;
            EXPECT_EQ(target, word[0] == 'g' ? "positive" : "negative");
            ++counts[target];
        }
        EXPECT_EQ(part.examples.size(), sizes.at(part.name));
        EXPECT_EQ(counts["positive"], sizes.at(part.name) / 2);
    }
}

TEST_F(Polarity, RefusesWhatIsNoLexicon) {
    EXPECT_THAT(refusal_of("good\t2.0\t0\nbad words\n"),
                HasSubstr("lexicon.txt:2: no line of the VADER lexicon: \"bad words\""));
    EXPECT_THAT(refusal_of("good\tfine\n"), HasSubstr("lexicon.txt:1: no line"));
    EXPECT_THAT(refusal_of("good\t1.9x\n"), HasSubstr("lexicon.txt:1: no line"));
    EXPECT_THAT(refusal_of(""), HasSubstr("holds no word with a strong rating"));
    EXPECT_THROW((void)read_polarity_words(path("absent.txt")), UsageError);
}

}  // namespace
}  // namespace dln
