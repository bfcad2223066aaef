#include "train/plan_draws.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dln/train/evaluate.hpp"

namespace dln {
namespace {

constexpr std::size_t kRound = 8;  // texts asked for at a time
constexpr double kPrecise = 0.04;  // relative error of a mean length that is good enough

}  // namespace

SampledLength length_of(const std::vector<double>& tokens, int most_tokens) {
    SampledLength length{.tokens = static_cast<double>(most_tokens), .texts = tokens.size()};
    if (tokens.empty()) return length;
    const auto count = static_cast<double>(tokens.size());
    double sum = 0.0;
    double squares = 0.0;
    for (const double one : tokens) {
        sum += one;
        squares += one * one;
    }
    length.tokens = sum / count;
    if (tokens.size() > 1) {
        const double variance = (squares - sum * sum / count) / (count - 1.0);
        length.error = std::sqrt(std::max(variance, 0.0) / count);
    }
    return length;
}

std::vector<DrawnText> TextDraws::all(const std::vector<GenerateRequest>& requests) {
    std::vector<DrawnText> drawn;
    for (Completion& completion :
         run_requests(backend_, std::vector<Request>(requests.begin(), requests.end()))) {
        sent_ += completion.usage;
        drawn.push_back({std::move(std::get<GenerateReply>(completion.reply).texts.front()),
                         static_cast<double>(completion.usage.prompt_tokens)});
    }
    return drawn;
}

SampledLength TextDraws::until_precise(
    const std::function<std::optional<GenerateRequest>(std::size_t)>& request,
    const std::function<void(std::size_t, const GenerateItem&, const DrawnText&)>& take,
    std::size_t most,
    int most_tokens) {
    std::vector<double> lengths;
    for (std::size_t first = 0; first < most; first += kRound) {
        std::vector<GenerateRequest> requests;
        std::vector<std::size_t> indices;
        for (std::size_t i = first; i < std::min(first + kRound, most); ++i) {
            if (auto made = request(i)) {
                requests.push_back(std::move(*made));
                indices.push_back(i);
            }
        }
        const std::vector<DrawnText> drawn = all(requests);
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            if (!drawn[i].text.ok()) continue;
            lengths.push_back(static_cast<double>(drawn[i].text.tokens));
            take(indices[i], requests[i].items.front(), drawn[i]);
        }
        const SampledLength length = length_of(lengths, most_tokens);
        if (length.error <= kPrecise * length.tokens) break;
    }
    return length_of(lengths, most_tokens);
}

}  // namespace dln
