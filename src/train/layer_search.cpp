#include "train/layer_search.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/train/racing.hpp"

#include "train/proposal_input.hpp"
#include "train/step_outcome.hpp"

namespace dln {
namespace {

// Without asking a server, which takes a round trip: a token has a byte at least. Chat templates add some.
bool surely_fits(const Context& context, int room) {
    const std::size_t added = context.chat ? 256 : 8;
    return room > 0 && context.text.size() + added <= static_cast<std::size_t>(room);
}

LayerParameters folded(LayerParameters parameters) {
    parameters.prompt = folded_prompt(parameters.prompt);
    return parameters;
}

// Unless one that is as good as the same is there.
void keep(std::vector<StepCandidate>& candidates, StepCandidate candidate) {
    const LayerParameters like = folded(candidate.parameters);
    const auto is_same = [&](const StepCandidate& other) {
        return folded(other.parameters) == like;
    };
    if (std::ranges::none_of(candidates, is_same)) candidates.push_back(std::move(candidate));
}

}  // namespace

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
    const std::vector<StepCandidate> known = known_candidates();
    const LayerParameters& incumbent = known.front().parameters;
    const bool are_around_alike = std::ranges::all_of(known, [&](const StepCandidate& other) {
        return other.parameters.template_index == incumbent.template_index &&
               other.parameters.words == incumbent.words;
    });
    // Then nothing has to be known of them.
    if (are_around_alike) best_known_ = incumbent;
}

// Candidates that are there before any proposal, in the order that ties are broken in.
std::vector<StepCandidate> LayerSearch::known_candidates() const {
    const std::size_t l = layer_.layer;
    const LayerParameters incumbent = expert_of(state_.current[l], layer_.expert);
    std::vector<StepCandidate> known;
    keep(known, {incumbent, "incumbent"});
    for (const Evaluated& entry : state_.memory) {
        keep(known, {expert_of(entry.parameters[l], layer_.expert), "memory"});
    }
    if (state_.steps_done == 0) {
        for (const std::string& prompt : context_.network.layer(l).prompts) {
            keep(known, {{prompt, incumbent.template_index, incumbent.words}, "initial"});
        }
    }
    // What all templates are worth for this prompt is known from an earlier step: its best is here.
    const std::size_t place = place_of(state_.current, l, layer_.expert);
    if (place < state_.tried_in_templates.size() &&
        state_.tried_in_templates[place] == incumbent.prompt) {
        return known;
    }
    const std::size_t templates = context_.network.layer(l).templates.size();
    for (std::size_t t = 0; t < templates; ++t) {
        keep(known, {{incumbent.prompt, t, incumbent.words}, "template"});
    }
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
    input_ = with_known(std::move(input), context_.network, state_, layer_.layer, layer_.expert);
    ask_round();
}

void LayerSearch::ask_round() {
    const std::size_t first = layer_.proposals.size();
    const std::size_t end = first + context_.job.train.candidates - 1;
    layer_.proposals.resize(end);
    is_round_open_ = true;
    make_proposals(first, end);
    const std::size_t most = std::max<std::size_t>(context_.proposer.spec().block, 1);
    std::vector<ProposalRequest> block;
    for (ProposalRequest& request : context_.proposer.requests(first, end)) {
        if (!context_.proposer.can_ask(input_, request.proposals.front())) continue;
        // The replies of one unit have one limit of length.
        const bool is_full =
            block.size() == most || (!block.empty() && block.front().prompts != request.prompts);
        if (is_full) ask_block(std::exchange(block, {}));
        block.push_back(std::move(request));
    }
    if (!block.empty()) ask_block(std::move(block));
    ask_waiting();
}

// Those that ask no model are there at once.
void LayerSearch::make_proposals(std::size_t first, std::size_t end) {
    Block& block = blocks_.emplace_back();
    block.is_there = true;
    for (std::size_t i = first; i < end; ++i) {
        ProposalRecord& proposal = layer_.proposals[i];
        proposal.template_name = context_.proposer.template_name(i);
        if (context_.proposer.asks_model(i)) continue;
        if (context_.proposer.changes_words(i)) {
            proposal.take(context_.proposer.made_words(input_, i));
        } else {
            proposal.prompt = context_.proposer.made_prompt(input_, i);
        }
        if (proposal.is_made()) block.proposals.push_back(i);
    }
}

void LayerSearch::ask_block(std::vector<ProposalRequest> wanted) {
    Block& block = blocks_.emplace_back();
    const TaskId generate =
        graph_.add({.needs = {},
                    .expand = [this, wanted = std::move(wanted),
                               &block] { return proposal_units(wanted, block); },
                    .cells = 0});
    proposal_tasks_.push_back(generate);
    graph_.add({.needs = {generate},
                .expand = [this, generate, &block]() -> std::vector<Unit> {
                    take_replies(generate, block);
                    return {};
                },
                .cells = 0});
}

std::vector<Unit> LayerSearch::proposal_units(const std::vector<ProposalRequest>& wanted,
                                              Block& block) {
    GenerateRequest request = context_.proposer.without_items(wanted.front().prompts);
    const int room = context_.backward.info().context_tokens - request.max_tokens;
    int shortest = std::numeric_limits<int>::max();
    const FitsContext fits = [this, room, &shortest](const Context& asked_context) {
        if (surely_fits(asked_context, room)) return true;
        const int tokens = context_.backward.count_tokens(asked_context);
        shortest = std::min(shortest, tokens);
        return tokens <= room;
    };
    for (const ProposalRequest& one : wanted) {
        if (auto item = context_.proposer.item(input_, one.proposals.front(), fits)) {
            request.items.push_back(std::move(*item));
            block.asked.push_back(one);
        } else {
            does_not_fit(one, shortest + request.max_tokens);
        }
    }
    if (request.items.empty()) return {};
    GenerateUnit unit{
        .request = std::move(request), .purpose = TextPurpose::proposal, .layer = layer_.layer};
    for (const ProposalRequest& one : block.asked) {
        unit.places.push_back({.example = 0, .index = one.proposals.front()});
    }
    return {make_generate_unit(unit, ModelRole::backward)};
}

void LayerSearch::does_not_fit(const ProposalRequest& request, int needed) {
    ++record_.failures;
    record_.proposal_tokens =
        record_.proposals_too_long == 0 ? needed : std::min(record_.proposal_tokens, needed);
    record_.proposals_too_long += request.proposals.size();
    if (!record_.first_failure.empty()) return;
    const std::size_t first = request.proposals.front();
    record_.first_failure =
        fmt::format("proposal {} ({}) does not fit into the context even without examples", first,
                    layer_.proposals[first].template_name);
}

void LayerSearch::take_reply(const ProposalRequest& request,
                             const std::string& reply,
                             Block& block) {
    const std::vector<std::string> prompts = prompts_from_reply(reply, request.prompts);
    for (std::size_t p = 0; p < request.proposals.size(); ++p) {
        ProposalRecord& proposal = layer_.proposals[request.proposals[p]];
        proposal.reply = reply;
        if (context_.proposer.changes_words(request.proposals[p])) {
            proposal.take(context_.proposer.words_from_reply(input_, request.proposals[p], reply));
        } else if (p < prompts.size()) {
            proposal.prompt = prompts[p];
        }
        if (proposal.is_made()) block.proposals.push_back(request.proposals[p]);
    }
}

// Scoring of a candidate begins as soon as its unit of proposals is there, and those before it.
void LayerSearch::take_replies(TaskId generate, Block& block) {
    const TaskResult& result = graph_.result(generate);
    for (std::size_t place = 0; place < block.asked.size() && !result.texts.empty(); ++place) {
        take_reply(block.asked[place], result.texts.front().at(place), block);
    }
    block.is_there = true;
    ask_waiting();
}

// New prompts are tried in the template and with the words that did best with the prompts already known, which
// are scored while proposals are written; the next step tries the winner in all templates.
void LayerSearch::known_are_scored() {
    may_compare_ = true;
    if (!best_known_) best_known_ = best_of(known_candidates()).parameters;
    ask_waiting();
}

void LayerSearch::ask_waiting() {
    if (!best_known_) return;
    const bool races = context_.job.train.select == SelectMode::racing;
    for (; released_ < blocks_.size() && blocks_[released_].is_there; ++released_) {
        for (const std::size_t proposal : blocks_[released_].proposals) release(proposal);
    }
    if (!is_round_open_ || released_ < blocks_.size()) return;
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

// Prompts that are as good as equal are one candidate: the first stays.
void LayerSearch::release(std::size_t proposal) {
    if (seen_.empty()) {
        for (const StepCandidate& known : known_candidates()) {
            seen_.try_emplace(folded(known.parameters), known.parameters.prompt);
        }
    }
    const LayerParameters candidate = candidate_of(proposal);
    const auto [place, is_new] = seen_.try_emplace(folded(candidate), candidate.prompt);
    if (is_new || place->second == candidate.prompt) {
        if (context_.job.train.select == SelectMode::racing) {
            waiting_.push_back(proposal);
        } else {
            seam_.ask(candidate);
        }
    } else {
        duplicates_.insert(proposal);
    }
}

void LayerSearch::end_round() {
    const std::vector<StepCandidate> candidates = all_candidates();
    const LayerParameters& best = best_of(candidates).parameters;
    input_.prompts = {best.prompt};
    input_.words.parameters = {best};
    ask_round();
}

LayerParameters LayerSearch::candidate_of(std::size_t proposal) const {
    const ProposalRecord& made = layer_.proposals[proposal];
    if (made.parameters) return *made.parameters;
    return {made.prompt, best_known_->template_index, best_known_->words};
}

std::vector<StepCandidate> LayerSearch::all_candidates() const {
    std::vector<StepCandidate> candidates = known_candidates();
    for (std::size_t i = 0; i < layer_.proposals.size(); ++i) {
        if (!layer_.proposals[i].is_made() || duplicates_.contains(i)) continue;
        keep(candidates, {candidate_of(i), layer_.proposals[i].template_name});
    }
    return candidates;
}

std::vector<CandidateScore> LayerSearch::scores_of(
    const std::vector<StepCandidate>& candidates) const {
    const std::vector<double> shares = seam_.shares();
    std::vector<CandidateScore> scores;
    for (std::size_t k = 0; k < candidates.size(); ++k) {
        scores.push_back(
            score_of(k, seam_.values(candidates[k].parameters), record_.ranked_on, shares));
    }
    return scores;
}

std::size_t LayerSearch::best_of(const std::vector<StepCandidate>& candidates,
                                 std::vector<CandidateScore> scores) const {
    for (std::size_t k = 0; k < candidates.size(); ++k) {
        const bool is_dropped =
            std::ranges::find(dropped_, candidates[k].parameters) != dropped_.end();
        if (is_dropped) scores[k].scored = 0;
    }
    return select_best(scores, min_scored(context_, record_), tie_margin(context_, state_));
}

const StepCandidate& LayerSearch::best_of(const std::vector<StepCandidate>& candidates) const {
    return candidates[best_of(candidates, scores_of(candidates))];
}

void LayerSearch::finish() {
    layer_.candidates = all_candidates();
    layer_.scores = scores_of(layer_.candidates);
    layer_.chosen = keeps_incumbent_ ? 0 : best_of(layer_.candidates, layer_.scores);
}

}  // namespace dln
