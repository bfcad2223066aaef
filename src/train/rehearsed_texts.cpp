#include "train/rehearsed_texts.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "dln/network/scores.hpp"

namespace dln {
namespace {

constexpr std::size_t kTextsAPrompt = 4;
constexpr std::size_t kFewestGroups = 3;
constexpr std::size_t kMostOfAGroup = 16;
constexpr double kPrecise = 0.04;  // relative error of a mean length that is good enough
constexpr std::size_t kFewestTexts = 12;
// Contexts and targets that are counted: the first, and then each so many-th.
constexpr std::size_t kFirstCounted = 8;
constexpr std::size_t kCountedEach = 8;
constexpr std::size_t kMostCounted = 32;
constexpr std::size_t kMostAsked = 8;     // of a model, where there is no tokeniser
constexpr double kBytesAToken = 4.0;      // before anything is known
constexpr std::size_t kFewestBytes = 24;  // of a text that stands for a long one

bool is_precise(const std::vector<double>& lengths) {
    const SampledLength length = length_of(lengths, 0);
    return lengths.size() >= kFewestTexts && length.error <= kPrecise * length.tokens;
}

}  // namespace

ModelRole role_of(const TextKind& kind) {
    return kind.purpose == TextPurpose::other ? ModelRole::forward : ModelRole::backward;
}

const BackendSpec& spec_of(const Job& job, ModelRole role) {
    return role == ModelRole::forward ? job.backend : backward_spec(job);
}

RehearsedTexts::Asked::Asked(const Job& job, ModelRole role, Backend& model, bool asks_model)
    : backend(model), draws(model, sent), tokens(spec_of(job, role), model, draws, asks_model) {}

RehearsedTexts::RehearsedTexts(const Job& job, const PlannedModels& models, std::size_t most)
    : job_(job),
      most_(most),
      forward_(job, ModelRole::forward, models.forward, most > 0),
      backward_(job, ModelRole::backward, models.backward, most > 0) {}

void RehearsedTexts::sample(const std::vector<WantedText>& wanted) {
    if (!learns_) return;
    std::map<TextKind, std::vector<WantedText>> by_kind;
    for (const WantedText& one : wanted) by_kind[one.kind].push_back(one);
    for (const auto& [kind, all] : by_kind) {
        Pool& pool = pools_[kind];
        if (most_ > 0) write(pool, chosen(pool, all));
    }
}

// Whole groups, evenly over all that are wanted.
std::vector<WantedText> RehearsedTexts::chosen(const Pool& pool,
                                               const std::vector<WantedText>& wanted) const {
    const std::size_t written = pool.lengths.size();
    if (written >= most_ || is_precise(pool.lengths)) return {};
    std::vector<std::vector<const WantedText*>> groups;
    std::map<std::uint64_t, std::size_t> places;
    for (const WantedText& one : wanted) {
        const auto [place, is_new] = places.try_emplace(one.group, groups.size());
        if (is_new) groups.emplace_back();
        auto& group = groups[place->second];
        if (group.size() < kMostOfAGroup) group.push_back(&one);
    }
    std::size_t largest = 1;
    for (const auto& group : groups) largest = std::max(largest, group.size());
    const std::size_t many =
        std::clamp<std::size_t>((most_ - written) / largest, kFewestGroups, groups.size());
    std::vector<WantedText> chosen;
    std::map<std::string, std::size_t> by_prompt = pool.by_prompt;
    for (std::size_t g = 0; g < many; ++g) {
        for (const WantedText* one : groups[g * groups.size() / many]) {
            const bool is_limited = one->kind.is_proposed;
            if (is_limited && by_prompt[one->prompt]++ >= kTextsAPrompt) continue;
            chosen.push_back(*one);
        }
    }
    return chosen;
}

void RehearsedTexts::write(Pool& pool, const std::vector<WantedText>& asked) {
    // Rounds of whole groups, until their lengths are known well enough.
    std::size_t first = 0;
    while (first < asked.size() && !is_precise(pool.lengths)) {
        std::vector<GenerateRequest> requests;
        std::size_t end = first;
        while (end < asked.size() &&
               (end < first + kFewestTexts || asked[end].group == asked[end - 1].group)) {
            GenerateRequest request = *asked[end].like;
            request.items = {asked[end].item};
            requests.push_back(std::move(request));
            ++end;
        }
        Asked& model = of(asked[first].kind);
        const std::vector<DrawnText> drawn = model.draws.all(requests);
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            const WantedText& one = asked[first + i];
            if (!drawn[i].text.ok()) continue;
            const auto [place, is_new] = pool.places.try_emplace(one.group, pool.groups.size());
            if (is_new) pool.groups.emplace_back();
            pool.groups[place->second].push_back(drawn[i].text);
            pool.lengths.push_back(drawn[i].text.tokens);
            pool.text_bytes.add(drawn[i].text.tokens, drawn[i].text.text.size());
            ++pool.by_prompt[one.prompt];
            if (one.target) {
                ++answers_;
                right_ += is_right_answer(drawn[i].text.text, *one.target, job_.scoring) ? 1U : 0U;
            }
            const Context sent = model.tokens.as_sent(one.item.context);
            if (model.backend.counts_exactly(sent) || drawn[i].prompt_tokens <= 0.0) continue;
            Counted& counted = contexts_[context_kind(one.kind)];
            counted.sum.add(drawn[i].prompt_tokens, sent.text.size());
            ++counted.counted;
        }
        first = end;
    }
}

const std::vector<std::vector<GeneratedText>>& RehearsedTexts::groups(const TextKind& kind) const {
    static const std::vector<std::vector<GeneratedText>> none;
    const auto found = pools_.find(kind);
    return found == pools_.end() ? none : found->second.groups;
}

GeneratedText RehearsedTexts::longest(const TextKind& kind, const std::string& name) const {
    const auto found = pools_.find(kind);
    const double least = found == pools_.end() || found->second.text_bytes.empty()
                             ? 1.0 / kBytesAToken
                             : found->second.text_bytes.density().mean;
    const double bytes = static_cast<double>(kind.max_tokens) / std::max(least, 1e-3);
    std::string text = "As " + name;
    while (text.size() < std::max<std::size_t>(static_cast<std::size_t>(bytes), kFewestBytes)) {
        text += " so";
    }
    return {.text = std::move(text), .tokens = kind.max_tokens, .cut = true, .error = {}};
}

SampledLength RehearsedTexts::length(TextPurpose purpose, std::optional<std::size_t> layer) const {
    std::vector<double> lengths;
    int longest = 0;
    for (const auto& [kind, pool] : pools_) {
        if (kind.purpose != purpose || (layer && kind.layer != *layer)) continue;
        longest = std::max(longest, kind.max_tokens);
        lengths.insert(lengths.end(), pool.lengths.begin(), pool.lengths.end());
    }
    return length_of(lengths, longest);
}

bool RehearsedTexts::wants_count(Counted& counted, bool is_exact) const {
    if (!learns_) return false;
    const std::size_t seen = counted.seen++;
    const bool is_due = seen < kFirstCounted || seen % kCountedEach == 0;
    const std::size_t most = is_exact ? kMostCounted : most_ == 0 ? 1 : kMostAsked;
    return is_due && counted.counted < most;
}

double RehearsedTexts::density(const Counted& counted, bool is_most) const {
    if (counted.sum.empty()) return 1.0 / kBytesAToken;
    const TokenDensity density = counted.sum.density();
    return is_most ? density.most : density.mean;
}

double RehearsedTexts::context_tokens(const TextKind& kind, const Context& context, bool is_most) {
    Counted& counted = contexts_[context_kind(kind)];
    Asked& model = of(kind);
    if (wants_count(counted, model.backend.counts_exactly(context))) {
        const Context sent = model.tokens.as_sent(context);
        counted.sum.add(model.tokens.of_contexts({sent}).front(), sent.text.size());
        ++counted.counted;
    }
    const std::size_t begin = context.chat ? 0 : model.tokens.begin_bytes();
    return density(counted, is_most) * static_cast<double>(context.text.size() + begin);
}

double RehearsedTexts::target_tokens(const TextKind& kind,
                                     const Context& context,
                                     const std::string& target,
                                     bool is_form,
                                     bool is_most) {
    const double guess = density(contexts_[context_kind(kind)], false);
    const Asked& model = of(kind);
    const auto tokens = [&] {
        return model.tokens.of_target(model.tokens.as_sent(context), target, guess);
    };
    if (is_form) {
        const auto [place, is_new] = forms_.try_emplace(target, 0.0);
        if (is_new) place->second = tokens();
        return place->second;
    }
    Counted& counted = targets_[context_kind(kind)];
    if (wants_count(counted, model.backend.counts_exactly(context))) {
        counted.sum.add(tokens(), target.size());
        ++counted.counted;
    }
    return density(counted, is_most) * static_cast<double>(target.size());
}

double RehearsedTexts::mean_density() const {
    double sum = 0.0;
    double kinds = 0.0;
    for (const auto& [kind, counted] : contexts_) {
        if (counted.sum.empty()) continue;
        sum += counted.sum.density().mean;
        kinds += 1.0;
    }
    return kinds == 0.0 ? 1.0 / kBytesAToken : sum / kinds;
}

}  // namespace dln
