#include "train/word_changes.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace dln {
namespace {

constexpr std::uint64_t kEachPair = 4;
// Of two words at once; few of the draws are known already.
constexpr int kTries = 16;

// A word, and what may stand in its place.
struct Choice {
    std::size_t word = 0;
    std::vector<std::string> others;
};

std::vector<Choice> choices_of(const KnownWords& known, const LayerParameters& start) {
    std::vector<Choice> choices;
    for (const std::size_t w : known.in_template.at(start.template_index)) {
        Choice choice{.word = w, .others = known.words[w].alternatives};
        std::erase(choice.others, start.words[w]);
        if (!choice.others.empty()) choices.push_back(std::move(choice));
    }
    return choices;
}

class WordChanges {
  public:
    WordChanges(const KnownWords& known, CounterRng& random)
        : random_(random), taken_(known.parameters) {
        for (const LayerParameters& start : known.parameters) {
            std::vector<Choice> choices = choices_of(known, start);
            if (!choices.empty()) starts_.push_back({start, std::move(choices)});
        }
    }

    std::optional<LayerParameters> next() {
        if (starts_.empty()) return std::nullopt;
        const Start& start = starts_[made_++ % starts_.size()];
        const bool has_pairs = start.choices.size() > 1;
        const bool is_pair = has_pairs && random_.below(kEachPair) == 0;
        auto made = is_pair ? with_two(start) : with_one(start);
        if (!made && is_pair) made = with_one(start);
        if (!made && !is_pair && has_pairs) made = with_two(start);
        if (made) taken_.push_back(*made);
        return made;
    }

  private:
    struct Start {
        LayerParameters parameters;
        std::vector<Choice> choices;
    };

    [[nodiscard]] bool is_new(const LayerParameters& made) const {
        return std::ranges::find(taken_, made) == taken_.end();
    }

    std::optional<LayerParameters> with_one(const Start& start) {
        std::vector<LayerParameters> possible;
        for (const Choice& choice : start.choices) {
            for (const std::string& other : choice.others) {
                LayerParameters made = start.parameters;
                made.words[choice.word] = other;
                if (is_new(made)) possible.push_back(std::move(made));
            }
        }
        if (possible.empty()) return std::nullopt;
        return possible[random_.below(possible.size())];
    }

    // Pre: there are two choices.
    std::optional<LayerParameters> with_two(const Start& start) {
        const std::size_t many = start.choices.size();
        for (int t = 0; t < kTries; ++t) {
            const std::size_t one = random_.below(many);
            const std::size_t two = (one + 1 + random_.below(many - 1)) % many;
            LayerParameters made = start.parameters;
            for (const std::size_t c : {one, two}) {
                const Choice& choice = start.choices[c];
                made.words[choice.word] = choice.others[random_.below(choice.others.size())];
            }
            if (is_new(made)) return made;
        }
        return std::nullopt;
    }

    CounterRng& random_;
    std::vector<Start> starts_;
    std::vector<LayerParameters> taken_;
    std::size_t made_ = 0;
};

}  // namespace

std::string_view core_of(std::string_view text) {
    const auto is_around = [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return std::isspace(byte) != 0 || std::ispunct(byte) != 0;
    };
    while (!text.empty() && is_around(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_around(text.back())) text.remove_suffix(1);
    return text;
}

std::string replaced_core(const std::string& current,
                          const std::vector<std::string>& alternatives,
                          const std::string& by) {
    std::string like = current;
    for (const std::string& other : alternatives) {
        if (!core_of(like).empty()) break;
        like = other;
    }
    const std::string_view core = core_of(like);
    if (core.empty()) return by;
    const auto first = static_cast<std::size_t>(core.data() - like.data());
    return like.replace(first, core.size(), by);
}

std::vector<std::optional<LayerParameters>> changed_words(const KnownWords& known,
                                                          std::size_t count,
                                                          CounterRng& random) {
    WordChanges changes(known, random);
    std::vector<std::optional<LayerParameters>> made;
    while (made.size() < count) made.push_back(changes.next());
    return made;
}

}  // namespace dln
