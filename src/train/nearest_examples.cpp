#include "dln/train/nearest_examples.hpp"

#include <algorithm>
#include <unordered_map>

#include "dln/llm/embedding.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

template <class T>
void sort_out(std::vector<T>& values) {
    std::ranges::sort(values);
    values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

DistinctTexts distinct_texts(const std::vector<Dataset>& splits,
                             std::span<const std::string> others) {
    DistinctTexts distinct;
    std::unordered_map<std::string_view, std::size_t> known;
    const auto index_of = [&](std::string_view text) {
        if (trim(text).empty()) return DistinctTexts::kBlank;
        const auto [entry, is_new] = known.try_emplace(text, distinct.texts.size());
        if (is_new) distinct.texts.push_back(text);
        return entry->second;
    };
    for (const Dataset& split : splits) {
        std::vector<std::size_t>& indices = distinct.of_splits.emplace_back();
        for (std::size_t i = 0; i < split.size(); ++i) {
            indices.push_back(index_of(split[i].input));
        }
        if (distinct.of_splits.size() == 1) distinct.training = distinct.texts.size();
    }
    for (const std::string& text : others) distinct.of_others.push_back(index_of(text));
    return distinct;
}

NearestSearch::NearestSearch(const DistinctTexts& texts,
                             const Embeddings& embeddings,
                             std::size_t shown,
                             bool asks_training)
    : texts_(texts), embeddings_(embeddings), shown_(shown), asks_training_(asks_training) {
    const std::vector<std::size_t>& training = texts_.of_splits.front();
    for (std::size_t i = 0; i < training.size(); ++i) {
        if (failure_of(training[i]) != nullptr) continue;
        candidates_.push_back({.example = static_cast<std::uint32_t>(i), .text = training[i]});
        if (training[i] != DistinctTexts::kBlank) candidate_texts_.push_back(training[i]);
    }
    sort_out(candidate_texts_);
    for (Candidate& candidate : candidates_) {
        const auto found = std::ranges::lower_bound(candidate_texts_, candidate.text);
        candidate.place = static_cast<std::size_t>(found - candidate_texts_.begin());
    }
    for (std::size_t split = asks_training_ ? 0 : 1; split < texts_.of_splits.size(); ++split) {
        for (const std::size_t text : texts_.of_splits[split]) {
            queries_.push_back({.text = text, .is_training = split == 0});
        }
    }
    for (const std::size_t text : texts_.of_others) queries_.push_back({.text = text});
    sort_out(queries_);
}

const std::string* NearestSearch::failure_of(std::size_t text) const {
    const auto found = embeddings_.failures.find(text);
    return found == embeddings_.failures.end() ? nullptr : &found->second;
}

std::vector<std::uint32_t> NearestSearch::nearest(const Query& query) const {
    // Of each text once; one more for blank ones.
    std::vector<double> nearness(candidate_texts_.size() + 1, 0.0);
    for (std::size_t i = 0; i < candidate_texts_.size(); ++i) {
        if (query.text == DistinctTexts::kBlank) break;
        nearness[i] = cosine(embeddings_.row(query.text), embeddings_.row(candidate_texts_[i]));
    }
    std::vector<Neighbour> neighbours;
    for (const Candidate& candidate : candidates_) {
        if (query.is_training && candidate.text == query.text) continue;
        neighbours.push_back({nearness[candidate.place], candidate.example});
    }
    return nearest_last(std::move(neighbours), shown_);
}

// A place holds the index of an example and one more, so that 0 is none.
std::vector<std::int64_t> NearestSearch::share(int rank, int ranks) const {
    std::vector<std::int64_t> places(queries_.size() * shown_, 0);
    for (std::size_t q = static_cast<std::size_t>(rank); q < queries_.size();
         q += static_cast<std::size_t>(ranks)) {
        if (failure_of(queries_[q].text) != nullptr) continue;
        const std::vector<std::uint32_t> examples = nearest(queries_[q]);
        for (std::size_t i = 0; i < examples.size(); ++i) {
            places[q * shown_ + i] = static_cast<std::int64_t>(examples[i]) + 1;
        }
    }
    return places;
}

ShownExamples NearestSearch::shown_with(const Query& query,
                                        std::span<const std::int64_t> whole) const {
    ShownExamples shown;
    if (const std::string* why = failure_of(query.text)) {
        shown.failure = "the input has no embedding to choose examples by: " + *why;
        return shown;
    }
    const auto found = std::ranges::lower_bound(queries_, query);
    const auto place = static_cast<std::size_t>(found - queries_.begin());
    for (const std::int64_t example : whole.subspan(place * shown_, shown_)) {
        if (example > 0) shown.examples.push_back(static_cast<std::uint32_t>(example - 1));
    }
    return shown;
}

NearestExamples NearestSearch::read(std::span<const std::int64_t> whole) const {
    NearestExamples nearest;
    for (std::size_t split = 0; split < texts_.of_splits.size(); ++split) {
        std::vector<ShownExamples>& examples = nearest.splits.emplace_back();
        if (split == 0 && !asks_training_) continue;
        for (const std::size_t text : texts_.of_splits[split]) {
            examples.push_back(shown_with({.text = text, .is_training = split == 0}, whole));
        }
    }
    for (const std::size_t text : texts_.of_others) {
        nearest.content_free.push_back(shown_with({.text = text}, whole));
    }
    return nearest;
}

}  // namespace dln
