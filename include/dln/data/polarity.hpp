#pragma once
// The word-polarity task of the quick start: is a word positive or negative? Made from the VADER
// sentiment lexicon (PyPI package vaderSentiment, MIT), which the project does not contain.

#include <cstdint>
#include <string>
#include <vector>

#include "dln/data/splits.hpp"

namespace dln {

/// The seed of the split. Fixed, so that "dev accuracy of polarity" means the same everywhere.
inline constexpr std::uint64_t kPolaritySeed = 20240229;

/// The words of the lexicon at `path` (lines of token, mean rating, deviation and ratings, separated by
/// tabs) that are ASCII letters only, at least 4 of them, with |mean| >= 1.5, in lower case, sorted, none
/// twice (of two spellings the first one's rating counts). Target: "positive" or "negative".
/// Throws UsageError when the file cannot be read or is no such lexicon.
[[nodiscard]] Dataset read_polarity_words(const std::string& path);

/// train (200), dev (100) and test (400), balanced. A random split of words, not of word families:
/// "happy" may be in train and "happiness" in test, so test accuracy says how well a prompt works on
/// other words, not on words without a relative in train. For prompts, which hold no word list, that
/// matters little; for few-shot examples it can.
[[nodiscard]] std::vector<Part> polarity_parts(const std::string& lexicon_path);

}  // namespace dln
