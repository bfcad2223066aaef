#include "train/demonstrations.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "dln/text/utf8.hpp"

namespace dln {
namespace {

// The blank line in front of the first input is that of any other.
constexpr std::string_view kHead = "\n\nExamples:";
constexpr std::string_view kInput = "\n\nInput: ";
constexpr std::string_view kOutput = "\nOutput: ";

// The first of each target before the second of any, both in random order.
std::vector<std::size_t> by_rounds(const std::vector<std::size_t>& order,
                                   const std::vector<ShownExample>& batch) {
    std::map<std::string_view, std::size_t> seen;
    std::vector<std::size_t> round(batch.size());
    for (const std::size_t i : order) round[i] = seen[batch[i].target]++;
    std::vector<std::size_t> sorted = order;
    std::ranges::stable_sort(sorted, {}, [&](std::size_t i) { return round[i]; });
    return sorted;
}

}  // namespace

DemonstratedPrompt split_demonstrations(const std::string& prompt) {
    const std::size_t at = prompt.find(std::string(kHead) + std::string(kInput));
    if (at == std::string::npos) return {prompt, {}};
    return {prompt.substr(0, at), prompt.substr(at)};
}

std::string with_demonstrations(const std::string& prompt,
                                const std::vector<ShownExample>& batch,
                                std::size_t count,
                                bool is_balanced,
                                CounterRng& random) {
    if (batch.empty() || count == 0) return {};
    std::vector<std::size_t> order = random.permutation(batch.size());
    if (is_balanced) order = by_rounds(order, batch);
    order.resize(std::min(count, order.size()));
    std::string text = split_demonstrations(prompt).instruction;
    text += kHead;
    for (const std::size_t i : order) {
        text += kInput;
        text += trim(batch[i].input);
        text += kOutput;
        text += trim(batch[i].target);
    }
    return text;
}

}  // namespace dln
