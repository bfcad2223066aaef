#include "train/stand_in.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "dln/engine/budget.hpp"
#include "dln/error.hpp"
#include "dln/network/scores.hpp"

namespace dln {
namespace {

enum Kind : std::uint64_t { kForward = 100, kGroup, kProposal };

constexpr std::size_t kMostSampled = 48;

std::size_t place_in(double uniform, std::size_t size) {
    return std::min(static_cast<std::size_t>(uniform * static_cast<double>(size)), size - 1);
}

// Another text of the same length: no two steps get the same proposals.
std::string varied(std::string text, std::uint64_t step, std::uint64_t run) {
    const std::string mark = fmt::format("{:x}{:x}", step, run % 16);
    if (text.size() > 2 * mark.size()) {
        text.replace(text.size() - mark.size(), mark.size(), mark);
    }
    return text;
}

}  // namespace

StandIn::StandIn(const Job& job,
                 const Network& network,
                 const std::vector<Dataset>& splits,
                 const PlannedModels& models,
                 RehearsedTexts& texts,
                 const RehearsalMood& mood)
    : job_(job),
      network_(network),
      splits_(splits),
      models_(models),
      texts_(texts),
      mood_(mood),
      scores_(network, mood, static_cast<double>(job.train.batch_size)) {}

void StandIn::expect(std::uint64_t id, payload::Content content) {
    units_[id] = {.content = std::move(content)};
}

void StandIn::begin(PlannedWork& sum, std::uint64_t step) {
    sum_ = &sum;
    step_ = step;
    scores_.begin(step);
}

int StandIn::count_tokens(const Context& context) {
    const TextKind kind{.purpose = TextPurpose::proposal, .layer = network_.depth() - 1};
    return static_cast<int>(std::ceil(texts_.context_tokens(kind, context, false)));
}

StandIn::Asked StandIn::asked_of(const Unit& unit) const {
    Asked asked;
    if (const auto* evaluate = std::get_if<EvaluateUnit>(&unit.content)) {
        asked.layer = unit.passes;
        asked.parameters.assign(
            evaluate->parameters.begin(),
            evaluate->parameters.begin() + static_cast<std::ptrdiff_t>(unit.passes + 1));
        asked.examples = evaluate->examples;
        asked.split = evaluate->split;
        asked.is_forward = evaluate->want_texts;
        if (asked.layer + 1 == network_.depth()) asked.measure = evaluate->measure;
    } else if (const auto* layer = std::get_if<LayerUnit>(&unit.content)) {
        asked.layer = layer->layer;
        asked.parameters = {layer->parameters};
        for (const LayerItem& item : layer->items) asked.examples.push_back(item.example);
        asked.split = layer->split;
        asked.measure = layer->measure;
        asked.is_content_free = layer->content_free;
    }
    return asked;
}

TextKind StandIn::kind_of(const Asked& asked, int max_tokens) const {
    TextKind kind{.layer = asked.layer, .max_tokens = max_tokens};
    if (asked.parameters.empty()) return kind;
    const std::vector<std::string>& initial = network_.layer(asked.layer).prompts;
    kind.is_proposed = std::ranges::find(initial, asked.parameters.back().prompt) == initial.end();
    return kind;
}

void StandIn::submit(std::uint64_t id, Request request) {
    Unit& unit = units_.at(id);
    sample_request(request);
    if (const auto* scores = std::get_if<ScoreRequest>(&request)) {
        submit_scores(id, unit, *scores);
    } else {
        submit_texts(id, unit, std::move(std::get<GenerateRequest>(request)));
    }
    const auto* evaluate = std::get_if<EvaluateUnit>(&unit.content);
    const bool goes_on = evaluate != nullptr && ++unit.passes < network_.depth();
    if (!goes_on) units_.erase(id);
}

// ---- scores --------------------------------------------------------------------------------------

void StandIn::submit_scores(std::uint64_t id, const Unit& unit, const ScoreRequest& request) {
    const Asked asked = asked_of(unit);
    const bool is_sample = std::holds_alternative<TextUnit>(unit.content);
    TextKind kind = kind_of(asked, 0);
    if (is_sample) kind.purpose = TextPurpose::sample;
    const ModelRole role = role_of(kind);
    const RequestManner& manner = models_.of(role).info().manner;
    const bool is_class = asked.measure == Measure::classes;
    ScoreReply reply;
    std::vector<RequestCost> costs;
    std::vector<std::uint64_t> keys;
    std::size_t seen = 0;  // of the unit's items
    std::size_t prompts = 0;
    for (const ScoreItem& item : request.items) {
        const double context = texts_.context_tokens(kind, item.context, mood_.is_most);
        std::vector<double> tokens;
        std::uint64_t key = text_hash(item.context.text);
        for (const std::string& target : item.targets) {
            tokens.push_back(
                texts_.target_tokens(kind, item.context, target, is_class, mood_.is_most));
            key = 31 * key + text_hash(target);
        }
        costs.push_back(cost_of_scores(manner, context, tokens));
        keys.push_back(key);
        auto& scores = reply.scores.emplace_back();
        const std::vector<double> drawn =
            is_sample ? std::vector{scores_.of_sample(item.context.text, item.targets.front())}
                      : scores_of(asked, item, seen);
        for (const double one : drawn) scores.push_back({{one}, {}});
        // Texts of one context stand together, the forms of an example are one.
        seen += is_class ? 1 : item.targets.size();
        prompts += item.targets.size();
    }
    // A call has several texts, which come back together or not at all.
    const std::size_t listed = spec_of(job_, role).prompts_a_call * request.items.size() / prompts;
    const std::size_t in_a_call = manner.recalls_scores ? 1 : std::max<std::size_t>(listed, 1);
    for (std::size_t first = 0; first < costs.size(); first += in_a_call) {
        RequestCost cost;
        std::uint64_t key = 0;
        for (std::size_t i = first; i < std::min(first + in_a_call, costs.size()); ++i) {
            cost += costs[i];
            key = 31 * key + keys[i];
        }
        pay(cost, role, false, key);
    }
    RequestChain end = now_;
    end.scores += 1;
    pending_.emplace(end, Completion{.id = id, .reply = std::move(reply), .usage = {}});
}

// Of the unit's items from `first` on, as far as they have this context.
std::vector<double> StandIn::scores_of(const Asked& asked,
                                       const ScoreItem& item,
                                       std::size_t first) {
    const LayerParameters& parameters = asked.parameters.back();
    const std::string& context = item.context.text;
    // No class is more probable, so that calibration changes nothing.
    if (asked.is_content_free) return std::vector<double>(item.targets.size(), 0.0);
    if (asked.measure == Measure::classes) {
        const std::uint64_t example = asked.examples[first];
        const std::size_t wanted = network_.class_index(splits_[asked.split][example].target);
        return scores_.of_forms(scores_.margin(asked.parameters, context, example), wanted,
                                parameters.template_index);
    }
    std::vector<double> scores;
    for (std::size_t t = 0; t < item.targets.size(); ++t) {
        const std::uint64_t example = asked.examples[first + t];
        scores.push_back(
            asked.layer + 1 < network_.depth()
                ? scores_.of_latent(asked.layer, parameters, context, item.targets[t], example)
                : DrawnScores::of_answer(scores_.margin(asked.parameters, context, example)));
    }
    return scores;
}

// ---- texts ---------------------------------------------------------------------------------------

void StandIn::submit_texts(std::uint64_t id, const Unit& unit, GenerateRequest request) {
    PendingText pending{.id = id, .request = std::move(request), .asked = asked_of(unit)};
    const auto* generate = std::get_if<GenerateUnit>(&unit.content);
    TextKind kind = kind_of(pending.asked, pending.request.max_tokens);
    if (generate != nullptr) {
        kind.purpose = generate->purpose;
        kind.layer = generate->layer;
        pending.places = generate->places;
    }
    for (std::size_t i = 0; i < pending.request.items.size(); ++i) {
        WantedText wanted{.kind = kind, .item = pending.request.items[i]};
        const bool is_sample = kind.purpose == TextPurpose::sample && i < pending.places.size();
        wanted.group = is_sample ? pending.places[i].example
                                 : text_hash(wanted.item.context.text) ^ wanted.item.seed;
        if (!pending.asked.parameters.empty()) {
            wanted.prompt = pending.asked.parameters.back().prompt;
        }
        if (pending.asked.measure == Measure::correct && !kind.is_proposed) {
            wanted.target = splits_[pending.asked.split][pending.asked.examples[i]].target;
        }
        pending.wanted.push_back(std::move(wanted));
    }
    unanswered_.push_back(std::move(pending));
}

void StandIn::answer_texts() {
    std::vector<WantedText> all;
    for (PendingText& pending : unanswered_) {
        for (WantedText& wanted : pending.wanted) {
            wanted.like = &pending.request;
            all.push_back(wanted);
        }
    }
    texts_.sample(all);
    for (PendingText& pending : unanswered_) {
        GenerateReply reply;
        for (std::size_t i = 0; i < pending.wanted.size(); ++i) {
            reply.texts.push_back(text_of(pending, i));
        }
        pay_texts(pending, reply);
        RequestChain end = now_;
        end.texts += 1;
        const std::uint64_t id = pending.id;
        pending_.emplace(end, Completion{.id = id, .reply = std::move(reply), .usage = {}});
    }
    unanswered_.clear();
}

GeneratedText StandIn::text_of(const PendingText& pending, std::size_t place) {
    if (pending.asked.measure == Measure::correct) return answer_of(pending, place);
    return drawn(pending.wanted[place],
                 place < pending.places.size() ? &pending.places[place] : nullptr);
}

GeneratedText StandIn::drawn(const WantedText& wanted, const TextPlace* place) const {
    const auto& groups = texts_.groups(wanted.kind);
    const std::string& context = wanted.item.context.text;
    const std::uint64_t seed = wanted.like->temperature > 0.0 ? wanted.item.seed : 0;
    if (groups.empty() || mood_.is_most) {
        return texts_.longest(wanted.kind,
                              fmt::format("{:x}{:x}", text_hash(context) ^ seed, step_));
    }
    const std::uint64_t run = mood_.number;
    if (wanted.kind.purpose == TextPurpose::other || place == nullptr) {
        const auto& group =
            groups[place_in(drawn_by_text(run, kForward, context, seed), groups.size())];
        return group.front();
    }
    if (wanted.kind.purpose == TextPurpose::sample) {
        const double at = drawn_by_text(run, kGroup + 10 * step_, {}, place->example);
        const auto& group = groups[place_in(at, groups.size())];
        GeneratedText text = group[place->index % group.size()];
        const std::uint64_t round = place->index / group.size();
        if (round > 0) text.text = varied(std::move(text.text), round, 0);
        return text;
    }
    if (wanted.like->temperature == 0.0) {
        return groups[place_in(drawn_by_text(run, kProposal, context, 0), groups.size())].front();
    }
    // Neighbours are different replies.
    const double begin = drawn_by_text(run, kProposal + 10 * step_, {}, wanted.kind.layer);
    const std::size_t at = place_in(begin, groups.size()) + place->index;
    GeneratedText text = groups[at % groups.size()].front();
    const std::uint64_t round = place->index / groups.size();
    if (step_ + round > 0) text.text = varied(std::move(text.text), step_ + 1000 * round, run);
    return text;
}

// A text that is right or wrong, by its score.
GeneratedText StandIn::answer_of(const PendingText& pending, std::size_t place) {
    const Asked& asked = pending.asked;
    const WantedText& wanted = pending.wanted[place];
    const std::uint64_t example = asked.examples[place];
    const std::string_view target = splits_[asked.split][example].target;
    const double margin = scores_.margin(asked.parameters, wanted.item.context.text, example);
    GeneratedText text = drawn(wanted, nullptr);
    if (margin > 0.0 && !(mood_.is_most && asked.is_forward)) {
        text.text = std::string(target);
    } else if (is_right_answer(text.text, target, network_.scoring())) {
        text.text = "?";
    }
    return text;
}

void StandIn::pay_texts(const PendingText& pending, const GenerateReply& reply) {
    const bool is_greedy = pending.request.temperature == 0.0;
    if (pending.wanted.empty()) return;
    const ModelRole role = role_of(pending.wanted.front().kind);
    const bool is_listed = is_greedy && !models_.of(role).info().manner.recalls_texts;
    const std::size_t in_a_call =
        is_listed ? std::max<std::size_t>(spec_of(job_, role).prompts_a_call, 1) : 1;
    for (std::size_t first = 0; first < reply.texts.size(); first += in_a_call) {
        RequestCost cost;
        std::uint64_t key = static_cast<std::uint64_t>(pending.request.max_tokens);
        for (std::size_t i = first; i < std::min(first + in_a_call, reply.texts.size()); ++i) {
            const WantedText& wanted = pending.wanted[i];
            const double tokens =
                texts_.context_tokens(wanted.kind, wanted.item.context, mood_.is_most);
            const double drawn = mood_.is_most ? pending.request.max_tokens : reply.texts[i].tokens;
            cost += {1.0, tokens, drawn};
            key = 31 * key +
                  (text_hash(wanted.item.context.text) ^ (is_greedy ? 0 : wanted.item.seed));
        }
        pay(cost, role, true, key);
    }
}

// ---- costs and time ------------------------------------------------------------------------------

void StandIn::pay(const RequestCost& cost, ModelRole role, bool is_text, std::uint64_t key) {
    DLN_ASSERT(sum_ != nullptr, "nothing was begun");
    PlannedWork work;
    (is_text ? work.texts : work.scores) = priced(cost, spec_of(job_, role));
    const auto found = journal_.find(key);
    const bool is_held = found != journal_.end() && !Later()(now_, found->second);
    if (models_.of(role).info().kind == "http" && is_held && !mood_.is_most) {
        recalled_ += work;
        return;
    }
    *sum_ += work;
    RequestChain end = now_;
    (is_text ? end.texts : end.scores) += 1;
    journal_.try_emplace(key, end);
}

std::vector<Completion> StandIn::poll(std::chrono::milliseconds timeout) {
    std::vector<Completion> completed;
    // Who does not wait has more to ask: time goes on when all that can be asked for has been.
    if (timeout == std::chrono::milliseconds(0)) return completed;
    answer_texts();
    if (pending_.empty()) return completed;
    now_ = pending_.begin()->first;
    while (!pending_.empty() && !Later()(now_, pending_.begin()->first)) {
        completed.push_back(std::move(pending_.begin()->second));
        pending_.erase(pending_.begin());
    }
    return completed;
}

// Fewer and fewer, so that they come from all of the run.
void StandIn::sample_request(const Request& request) {
    const auto keep = [](auto& kept, Thinned& thinned, const auto& one) {
        if (thinned.seen++ % thinned.each != 0) return;
        kept.push_back(one);
        if (kept.size() < kMostSampled) return;
        for (std::size_t i = 0; 2 * i < kept.size(); ++i) std::swap(kept[i], kept[2 * i]);
        kept.resize((kept.size() + 1) / 2);
        thinned.each *= 2;
    };
    if (const auto* scores = std::get_if<ScoreRequest>(&request)) {
        if (!scores->items.empty()) keep(sampled_.scores, scores_seen_, *scores);
        return;
    }
    GenerateRequest text = std::get<GenerateRequest>(request);
    if (text.items.empty()) return;
    text.items.resize(1);
    keep(sampled_.texts, texts_seen_, text);
}

}  // namespace dln
