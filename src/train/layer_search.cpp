#include "train/layer_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/train/racing.hpp"

namespace dln {
namespace {

// Without asking a server, which takes a round trip: a token has a byte at least. Chat templates add some.
bool surely_fits(const Context& context, int room) {
    const std::size_t added = context.chat ? 256 : 8;
    return room > 0 && context.text.size() + added <= static_cast<std::size_t>(room);
}

void keep(std::vector<StepCandidate>& candidates, StepCandidate candidate) {
    const auto is_same = [&](const StepCandidate& other) {
        return other.parameters == candidate.parameters;
    };
    if (std::ranges::none_of(candidates, is_same)) candidates.push_back(std::move(candidate));
}

}  // namespace

std::size_t min_scored(const TrainContext& context, const StepRecord& record) {
    const double share = context.network.scoring().min_scored;
    const double wanted = std::ceil(share * static_cast<double>(record.ranked_on.size()));
    return std::max<std::size_t>(static_cast<std::size_t>(wanted), 1);
}

double tie_margin(const TrainContext& context, const TrainState& state) {
    return std::max(context.job.train.tie_margin, state.noise_floor);
}

LayerSearch::LayerSearch(const TrainContext& context,
                         const TrainState& state,
                         TaskGraph& graph,
                         StepRecord& record,
                         LayerRecord& layer,
                         SearchSeam seam,
                         std::size_t rounds)
    : context_(context),
      state_(state),
      graph_(graph),
      record_(record),
      layer_(layer),
      seam_(std::move(seam)),
      rounds_(rounds) {
    if (context.network.layer(layer.layer).templates.size() == 1) template_index_ = 0;
}

// Candidates that are there before any proposal, in the order that ties are broken in.
std::vector<StepCandidate> LayerSearch::known_candidates() const {
    const std::size_t l = layer_.layer;
    const LayerParameters& incumbent = state_.current[l];
    std::vector<StepCandidate> known;
    keep(known, {incumbent, "incumbent"});
    for (const Evaluated& entry : state_.memory) keep(known, {entry.parameters[l], "memory"});
    if (state_.steps_done == 0) {
        for (const std::string& prompt : context_.network.layer(l).prompts) {
            keep(known, {{prompt, incumbent.template_index}, "initial"});
        }
    }
    // What all templates are worth for this prompt is known from an earlier step: its best is here.
    if (l < state_.tried_in_templates.size() && state_.tried_in_templates[l] == incumbent.prompt) {
        return known;
    }
    const std::size_t templates = context_.network.layer(l).templates.size();
    for (std::size_t t = 0; t < templates; ++t) keep(known, {{incumbent.prompt, t}, "template"});
    return known;
}

void LayerSearch::ask_known() {
    for (const StepCandidate& candidate : known_candidates()) seam_.ask(candidate.parameters);
}

std::vector<TaskId> LayerSearch::known_tasks() const {
    std::vector<TaskId> tasks;
    for (const StepCandidate& candidate : known_candidates()) {
        const std::vector<TaskId> more = seam_.tasks(candidate.parameters);
        tasks.insert(tasks.end(), more.begin(), more.end());
    }
    return tasks;
}

void LayerSearch::propose(ProposalInput input) {
    input_ = std::move(input);
    input_.layer = layer_.layer;
    input_.prompts = {state_.current[layer_.layer].prompt};
    if (layer_.layer < state_.history.size()) input_.history = state_.history[layer_.layer];
    for (const Evaluated& entry : state_.memory) {
        const std::string& prompt = entry.parameters[layer_.layer].prompt;
        if (std::ranges::find(input_.prompts, prompt) == input_.prompts.end()) {
            input_.prompts.push_back(prompt);
        }
    }
    ask_round();
}

void LayerSearch::ask_round() {
    const std::size_t count = context_.job.train.candidates - 1;
    const std::size_t before = layer_.proposals.size();
    is_round_open_ = true;
    layer_.proposals.resize(before + count);
    const std::size_t block = std::max<std::size_t>(context_.proposer.spec().block, 1);
    const std::vector<std::size_t> order = context_.proposer.by_template(count);
    for (std::size_t first = 0; first < count; first += block) {
        std::vector<std::size_t> wanted;
        for (std::size_t i = first; i < std::min(first + block, count); ++i) {
            wanted.push_back(before + order[i]);
        }
        auto asked = std::make_shared<std::vector<std::size_t>>();
        const TaskId generate =
            graph_.add({.needs = {},
                        .expand = [this, wanted, asked] { return proposal_units(wanted, *asked); },
                        .cells = 0});
        proposal_tasks_.push_back(generate);
        ++blocks_under_way_;
        graph_.add({.needs = {generate},
                    .expand = [this, generate, asked]() -> std::vector<Unit> {
                        take_replies(generate, *asked);
                        return {};
                    },
                    .cells = 0});
    }
}

std::vector<Unit> LayerSearch::proposal_units(const std::vector<std::size_t>& wanted,
                                              std::vector<std::size_t>& asked) {
    const ProposalSpec& spec = context_.proposer.spec();
    const int room = context_.backend.info().context_tokens - spec.max_tokens;
    int shortest = std::numeric_limits<int>::max();
    const FitsContext fits = [this, room, &shortest](const Context& asked_context) {
        if (surely_fits(asked_context, room)) return true;
        const int tokens = context_.backend.count_tokens(asked_context);
        shortest = std::min(shortest, tokens);
        return tokens <= room;
    };
    GenerateRequest request{.items = {},
                            .max_tokens = spec.max_tokens,
                            .temperature = spec.temperature,
                            .top_p = spec.top_p,
                            .stop = spec.stop};
    for (const std::size_t i : wanted) {
        layer_.proposals[i].template_name = context_.proposer.template_name(i);
        if (auto item = context_.proposer.item(input_, i, fits)) {
            request.items.push_back(std::move(*item));
            asked.push_back(i);
        } else {
            does_not_fit(i, shortest + spec.max_tokens);
        }
    }
    if (request.items.empty()) return {};
    return {make_generate_unit(request)};
}

void LayerSearch::does_not_fit(std::size_t proposal, int needed) {
    ++record_.failures;
    record_.proposal_tokens =
        record_.proposals_too_long++ == 0 ? needed : std::min(record_.proposal_tokens, needed);
    if (!record_.first_failure.empty()) return;
    record_.first_failure =
        fmt::format("proposal {} ({}) does not fit into the context even without examples",
                    proposal, layer_.proposals[proposal].template_name);
}

// Scoring of a candidate begins as soon as its unit of proposals is there.
void LayerSearch::take_replies(TaskId generate, const std::vector<std::size_t>& asked) {
    --blocks_under_way_;
    const TaskResult& result = graph_.result(generate);
    for (std::size_t place = 0; place < asked.size() && !result.texts.empty(); ++place) {
        ProposalRecord& proposal = layer_.proposals[asked[place]];
        proposal.reply = result.texts.front().at(place);
        proposal.prompt = prompt_from_reply(proposal.reply);
        if (!proposal.prompt.empty()) waiting_.push_back(asked[place]);
    }
    ask_waiting();
}

// New prompts are tried in the template that did best with the prompts already known, which are scored while
// proposals are written; the next step tries the winner in all templates.
void LayerSearch::known_are_scored() {
    may_compare_ = true;
    if (!template_index_) {
        const std::vector<StepCandidate> known = known_candidates();
        template_index_ = known[best_of(known)].parameters.template_index;
    }
    ask_waiting();
}

void LayerSearch::ask_waiting() {
    if (!template_index_) return;
    const bool races = context_.job.train.select == SelectMode::racing;
    if (!races) {
        for (const std::size_t proposal : waiting_) seam_.ask(candidate_of(proposal));
        waiting_.clear();
    }
    if (!is_round_open_ || blocks_under_way_ > 0) return;
    // All start together, so that a decision does not depend on who arrived first.
    if (races && !may_compare_) return;
    is_round_open_ = false;
    if (races) return start_race();
    when_scored(all_candidates(), [this] { all_are_scored(); });
}

void LayerSearch::when_scored(const std::vector<StepCandidate>& candidates,
                              std::function<void()> what) {
    std::vector<TaskId> needs;
    for (const StepCandidate& candidate : candidates) {
        const std::vector<TaskId> tasks = seam_.tasks(candidate.parameters);
        needs.insert(needs.end(), tasks.begin(), tasks.end());
    }
    graph_.add({.needs = std::move(needs),
                .expand = [what = std::move(what)]() -> std::vector<Unit> {
                    what();
                    return {};
                },
                .cells = 0});
}

void LayerSearch::start_race() {
    racers_.clear();
    const std::vector<StepCandidate> known = known_candidates();
    for (const std::size_t proposal : waiting_) {
        const LayerParameters racer = candidate_of(proposal);
        const auto is_known = std::ranges::any_of(
            known, [&](const StepCandidate& other) { return other.parameters == racer; });
        const bool is_new =
            seam_.tasks(racer).empty() && std::ranges::find(racers_, racer) == racers_.end();
        if (!is_known && is_new) racers_.push_back(racer);
    }
    waiting_.clear();
    lap_ = 0;
    run_lap();
}

void LayerSearch::run_lap() {
    if (racers_.empty() || lap_ == seam_.ranked_groups.size()) return all_are_scored();
    for (const LayerParameters& racer : racers_) {
        seam_.ask_on(racer, seam_.ranked_groups[lap_].first);
    }
    when_scored(all_candidates(), [this] { end_lap(); });
}

void LayerSearch::end_lap() {
    ++lap_;
    std::vector<std::size_t> seen;
    for (std::size_t group = 0; group < lap_; ++group) {
        const std::vector<std::size_t>& positions = seam_.ranked_groups[group].second;
        seen.insert(seen.end(), positions.begin(), positions.end());
    }
    // Known candidates may lead, but do not race: they are scored on everything.
    std::vector<ExampleValues> values;
    for (const StepCandidate& known : known_candidates()) {
        values.push_back(seam_.values(known.parameters));
    }
    std::vector<std::size_t> racing;
    for (const LayerParameters& racer : racers_) {
        racing.push_back(values.size());
        values.push_back(seam_.values(racer));
    }
    const std::size_t first = values.size() - racers_.size();
    std::vector<LayerParameters> left;
    for (const std::size_t k : still_racing(values, racing, seen, context_.job.train.racing_risk)) {
        left.push_back(racers_[k - first]);
    }
    for (LayerParameters& racer : racers_) {
        if (std::ranges::find(left, racer) == left.end()) dropped_.push_back(std::move(racer));
    }
    racers_ = std::move(left);
    run_lap();
}

void LayerSearch::all_are_scored() {
    if (round_ + 1 >= rounds_) return;
    ++round_;
    end_round();
}

void LayerSearch::end_round() {
    const std::vector<StepCandidate> candidates = all_candidates();
    input_.prompts = {candidates[best_of(candidates)].parameters.prompt};
    ask_round();
}

LayerParameters LayerSearch::candidate_of(std::size_t proposal) const {
    return {layer_.proposals[proposal].prompt, *template_index_};
}

std::vector<StepCandidate> LayerSearch::all_candidates() const {
    std::vector<StepCandidate> candidates = known_candidates();
    for (std::size_t i = 0; i < layer_.proposals.size(); ++i) {
        if (layer_.proposals[i].prompt.empty()) continue;
        keep(candidates, {candidate_of(i), layer_.proposals[i].template_name});
    }
    return candidates;
}

std::vector<CandidateScore> LayerSearch::scores_of(
    const std::vector<StepCandidate>& candidates) const {
    std::vector<CandidateScore> scores;
    for (std::size_t k = 0; k < candidates.size(); ++k) {
        scores.push_back(score_of(k, seam_.values(candidates[k].parameters), record_.ranked_on));
    }
    return scores;
}

std::size_t LayerSearch::best_of(const std::vector<StepCandidate>& candidates) const {
    std::vector<CandidateScore> scores = scores_of(candidates);
    for (std::size_t k = 0; k < candidates.size(); ++k) {
        const bool is_dropped =
            std::ranges::find(dropped_, candidates[k].parameters) != dropped_.end();
        if (is_dropped) scores[k].scored = 0;
    }
    return select_best(scores, min_scored(context_, record_), tie_margin(context_, state_));
}

void LayerSearch::finish() {
    layer_.candidates = all_candidates();
    layer_.scores = scores_of(layer_.candidates);
    layer_.chosen = best_of(layer_.candidates);
}

}  // namespace dln
