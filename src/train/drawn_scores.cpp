#include "train/drawn_scores.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <xxhash.h>

#include "dln/random/counter_rng.hpp"

namespace dln {
namespace {

enum Kind : std::uint64_t { kExample, kContext, kLatent, kLatentInContext, kSample, kQuality };

constexpr double kLogistic = 1.8137993642342178;  // standard deviation of the logistic distribution
constexpr double kLatentMean = -4.0;
constexpr double kFar = 5.0;
// Prompts that are more probable of the right answers do not have as many more of them (nats).
constexpr double kMostGain = 0.5;
constexpr double kBarely = 1e-3;
constexpr double kImpossible = -30.0;

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double logit(double p) { return std::log(p / (1.0 - p)); }

}  // namespace

std::uint64_t text_hash(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

double drawn_by_text(std::uint64_t seed,
                     std::uint64_t kind,
                     std::string_view text,
                     std::uint64_t of) {
    CounterRng random({.seed = seed,
                       .layer = kind,
                       .role = RandomRole::plan,
                       .example = text_hash(text),
                       .sample = of});
    return random.uniform();
}

double DrawnScores::uniform(std::uint64_t kind, std::string_view text, std::uint64_t of) const {
    return drawn_by_text(mood_.number, 2 * kind, text, of);
}

double DrawnScores::normal(std::uint64_t kind, std::string_view text, std::uint64_t of) const {
    const double u = 1.0 - drawn_by_text(mood_.number, 2 * kind, text, of);
    const double v = drawn_by_text(mood_.number, 2 * kind + 1, text, of);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

// In units of the noise of a batch.
double DrawnScores::quality(std::size_t layer, const LayerParameters& parameters) const {
    std::uint64_t of = 1000 * layer + parameters.template_index;
    for (const std::string& word : parameters.words) of = 31 * of + text_hash(word);
    return mood_.spread * normal(kQuality, parameters.prompt, of) /
           std::sqrt(std::max(batch_, 1.0));
}

// The initial prompts never are.
bool DrawnScores::is_new(std::size_t layer, const LayerParameters& parameters) {
    const LayerSpec& spec = network_.layer(layer);
    const bool is_initial =
        std::ranges::find(spec.prompts, parameters.prompt) != spec.prompts.end() &&
        parameters.words == initial_words(spec);
    if (is_initial) return false;
    // In whatever template.
    const LayerParameters born{parameters.prompt, 0, parameters.words};
    return born_.try_emplace({layer, born}, step_).first->second == step_;
}

double DrawnScores::margin(const NetworkParameters& layers,
                           std::string_view context,
                           std::uint64_t example) {
    const std::size_t first = network_.depth() - layers.size();
    if (mood_.is_most) {
        bool is_better = false;
        for (std::size_t l = 0; l < layers.size(); ++l) {
            is_better = is_new(first + l, layers[l]) || is_better;
        }
        return is_better ? kFar : -kFar;
    }
    double gain = 0.0;
    for (std::size_t l = 0; l < layers.size(); ++l) gain += quality(first + l, layers[l]);
    gain *= kLogistic * own_;
    const double u = std::clamp(uniform(kExample, {}, example), 1e-9, 1.0 - 1e-9);
    const double before = logit(std::clamp(mood_.right, 1e-3, 1.0 - 1e-3)) + common_ * logit(u) +
                          kLogistic * own_ * normal(kContext, context, example);
    const bool is_right = before + std::clamp(gain, -kMostGain, kMostGain) > 0.0;
    return is_right ? std::max(before + gain, kBarely) : std::min(before + gain, -kBarely);
}

double DrawnScores::of_answer(double margin) { return -softplus(-margin); }

// One other class has what is left.
std::vector<double> DrawnScores::of_forms(double margin,
                                          std::size_t wanted,
                                          std::size_t template_index) const {
    const std::vector<std::size_t>& class_of = network_.class_forms(template_index).class_of;
    const std::size_t other = wanted == 0 ? 1 : 0;
    std::vector<double> forms(network_.classes().size(), 0.0);
    for (const std::size_t c : class_of) forms[c] += 1.0;
    std::vector<double> scores;
    for (const std::size_t c : class_of) {
        const double whole = c == wanted  ? of_answer(margin)
                             : c == other ? of_answer(-margin)
                                          : kImpossible;
        scores.push_back(whole - std::log(forms[c]));
    }
    return scores;
}

double DrawnScores::of_latent(std::size_t layer,
                              const LayerParameters& parameters,
                              std::string_view context,
                              std::string_view latent,
                              std::uint64_t example) {
    if (mood_.is_most) return kLatentMean + (is_new(layer, parameters) ? 1.0 : 0.0);
    const double own = quality(layer, parameters);
    const std::uint64_t of = example ^ text_hash(latent);
    return kLatentMean + common_ * normal(kLatent, latent, example) +
           own_ * (own + normal(kLatentInContext, context, of));
}

double DrawnScores::of_sample(std::string_view context, std::string_view sample) const {
    return kLatentMean + normal(kSample, context, text_hash(sample));
}

}  // namespace dln
