#include "dln/train/step.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dln/error.hpp"

namespace dln {
namespace {

// The only trained layer of a DLN-1.
constexpr std::size_t kLayer = 0;

// Without asking a server, which takes a round trip: a token has a byte at least. Chat templates add some.
bool surely_fits(const Context& context, int room) {
    const std::size_t added = context.chat ? 256 : 8;
    return room > 0 && context.text.size() + added <= static_cast<std::size_t>(room);
}

class Step {
  public:
    Step(const TrainContext& context, const TrainState& state)
        : context_(context), state_(state), score_measure_(measure_for(context.network)) {
        record_.step = state.steps_done;
        record_.batch = context.batches.batch(state.steps_done);
        forward_measure_ = context.network.has_classes() ? Measure::classes : Measure::correct;
        split_batch();
    }

    StepRecord run() {
        ask_forward();
        for (const StepCandidate& candidate : known_candidates()) {
            known_tasks_.push_back(score(candidate.parameters));
        }
        ask_proposals();
        context_.engine.run(graph_);
        read_forward();
        collect_candidates();
        choose();
        count_usage();
        return std::move(record_);
    }

  private:
    // With held-out ranking the first half of the batch makes proposals and the second ranks them.
    void split_batch() {
        const std::size_t half = record_.batch.size() / 2;
        if (!context_.job.train.held_out_ranking || half == 0) {
            shown_count_ = record_.batch.size();
            record_.ranked_on = record_.batch;
            return;
        }
        shown_count_ = half;
        record_.ranked_on.assign(record_.batch.begin() + static_cast<std::ptrdiff_t>(half),
                                 record_.batch.end());
    }

    void ask_forward() {
        // The forward pass of the incumbent is its score when both measure the same examples.
        if (forward_measure_ == score_measure_ && record_.ranked_on == record_.batch &&
            forward_measure_ == Measure::classes) {
            forward_ = score(state_.current[kLayer]);
            return;
        }
        forward_ = add_evaluation(graph_, context_.network,
                                  {.parameters = state_.current,
                                   .measure = forward_measure_,
                                   .split = kTrainSplit,
                                   .examples = record_.batch,
                                   .step = static_cast<std::uint64_t>(state_.steps_done),
                                   .want_texts = forward_measure_ == Measure::correct});
        tasks_.push_back(forward_);
    }

    // Candidates that are there before any proposal, in the order that ties are broken in.
    [[nodiscard]] std::vector<StepCandidate> known_candidates() const {
        const LayerParameters& incumbent = state_.current[kLayer];
        std::vector<StepCandidate> known{{incumbent, "incumbent"}};
        for (const Evaluated& entry : state_.memory) {
            known.push_back({entry.parameters[kLayer], "memory"});
        }
        if (state_.steps_done == 0) {
            for (const std::string& prompt : context_.network.layer(kLayer).prompts) {
                known.push_back({{prompt, incumbent.template_index}, "initial"});
            }
        }
        // What all templates are worth for this prompt is known from an earlier step: its best is here.
        if (state_.tried_in_templates == incumbent.prompt) return known;
        const std::size_t templates = context_.network.layer(kLayer).templates.size();
        for (std::size_t t = 0; t < templates; ++t) {
            known.push_back({{incumbent.prompt, t}, "template"});
        }
        return known;
    }

    TaskId score(const LayerParameters& candidate) {
        const auto known = scored_.find(candidate);
        if (known != scored_.end()) return known->second;
        const TaskId task = add_evaluation(graph_, context_.network,
                                           {.parameters = {candidate},
                                            .measure = score_measure_,
                                            .split = kTrainSplit,
                                            .examples = record_.ranked_on,
                                            .step = static_cast<std::uint64_t>(state_.steps_done),
                                            .want_texts = false});
        scored_.emplace(candidate, task);
        tasks_.push_back(task);
        return task;
    }

    void ask_proposals() {
        const std::size_t count = context_.job.train.candidates - 1;
        record_.proposals.resize(count);
        const std::size_t block = std::max<std::size_t>(context_.proposer.spec().block, 1);
        const std::vector<std::size_t> order = context_.proposer.by_template(count);
        for (std::size_t first = 0; first < count; first += block) {
            const auto begin = order.begin() + static_cast<std::ptrdiff_t>(first);
            const std::vector<std::size_t> wanted(
                begin, begin + static_cast<std::ptrdiff_t>(std::min(block, count - first)));
            auto asked = std::make_shared<std::vector<std::size_t>>();
            const TaskId generate = graph_.add(
                {.needs = {forward_},
                 .expand = [this, wanted, asked] { return proposal_units(wanted, *asked); },
                 .cells = 0});
            tasks_.push_back(generate);
            std::vector<TaskId> needs = known_tasks_;
            needs.push_back(generate);
            graph_.add({.needs = std::move(needs),
                        .expand = [this, generate, asked]() -> std::vector<Unit> {
                            take_replies(generate, *asked);
                            return {};
                        },
                        .cells = 0});
        }
    }

    std::vector<Unit> proposal_units(const std::vector<std::size_t>& wanted,
                                     std::vector<std::size_t>& asked) {
        if (!proposal_input_) make_proposal_input();
        if (nothing_to_learn()) return {};
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
            record_.proposals[i].template_name = context_.proposer.template_name(i);
            if (auto item = context_.proposer.item(*proposal_input_, i, fits)) {
                request.items.push_back(std::move(*item));
                asked.push_back(i);
            } else {
                ++record_.failures;
                const int needed = shortest + spec.max_tokens;
                record_.proposal_tokens = record_.proposals_too_long++ == 0
                                              ? needed
                                              : std::min(record_.proposal_tokens, needed);
                if (!record_.first_failure.empty()) continue;
                record_.first_failure = fmt::format(
                    "proposal {} ({}) does not fit into the context even without examples", i,
                    record_.proposals[i].template_name);
            }
        }
        if (request.items.empty()) return {};
        return {make_generate_unit(request)};
    }

    // A batch without any error teaches nothing where only accuracy counts.
    [[nodiscard]] bool nothing_to_learn() const {
        return context_.network.scoring().objective == Objective::accuracy &&
               std::ranges::all_of(proposal_input_->batch, &ShownExample::right);
    }

    void make_proposal_input() {
        read_forward();
        ProposalInput input{.seed = context_.job.seed,
                            .step = static_cast<std::uint64_t>(state_.steps_done),
                            .layer = kLayer};
        const Dataset& split = context_.splits[kTrainSplit];
        const auto& texts = graph_.result(forward_).texts;
        std::vector<std::string> outputs;
        for (const auto& unit : texts) outputs.insert(outputs.end(), unit.begin(), unit.end());
        for (std::size_t i = 0; i < shown_count_; ++i) {
            const ExampleOutcome& outcome = record_.forward[i];
            if (!outcome.measured) continue;
            const Example example = split[record_.batch[i]];
            input.batch.push_back(
                {.input = std::string(example.input),
                 .target = std::string(example.target),
                 .output = context_.network.has_classes()
                               ? context_.network.classes()[outcome.predicted].name
                               : outputs.at(i),
                 .right = outcome.right});
        }
        input.prompts.push_back(state_.current[kLayer].prompt);
        for (const Evaluated& entry : state_.memory) {
            const std::string& prompt = entry.parameters[kLayer].prompt;
            if (std::ranges::find(input.prompts, prompt) == input.prompts.end()) {
                input.prompts.push_back(prompt);
            }
        }
        std::vector<std::string> names;
        for (const ClassSpec& known : context_.network.classes()) names.push_back(known.name);
        input.classes = fmt::format("{}", fmt::join(names, ", "));
        proposal_input_ = std::move(input);
    }

    void read_forward() {
        record_.forward =
            read_outcomes(context_.network, forward_measure_, graph_.result(forward_).table,
                          context_.splits[kTrainSplit], record_.batch);
    }

    // Scoring of a candidate begins as soon as its unit of proposals is there.
    void take_replies(TaskId generate, const std::vector<std::size_t>& asked) {
        const TaskResult& result = graph_.result(generate);
        if (result.texts.empty()) return;
        for (std::size_t place = 0; place < asked.size(); ++place) {
            ProposalRecord& proposal = record_.proposals[asked[place]];
            proposal.reply = result.texts.front().at(place);
            proposal.prompt = prompt_from_reply(proposal.reply);
            if (!proposal.prompt.empty()) score(proposal_candidate(asked[place]));
        }
    }

    // New prompts are tried in the template that did best with the prompts already known, which are scored
    // while proposals are written; the next step tries the winner in all templates.
    [[nodiscard]] LayerParameters proposal_candidate(std::size_t index) {
        if (!proposal_template_) {
            const std::vector<StepCandidate> known = known_candidates();
            std::vector<CandidateScore> scores;
            for (std::size_t k = 0; k < known.size(); ++k) {
                scores.push_back(summed(k, read(graph_.result(scored_.at(known[k].parameters)))));
            }
            proposal_template_ =
                known[select_best(scores, min_scored(), margin())].parameters.template_index;
        }
        return {record_.proposals[index].prompt, *proposal_template_};
    }

    // Candidates in an order that has nothing to do with the order of arrival.
    void collect_candidates() {
        for (StepCandidate& candidate : known_candidates()) keep(std::move(candidate));
        for (std::size_t i = 0; i < record_.proposals.size(); ++i) {
            if (record_.proposals[i].prompt.empty()) continue;
            keep({proposal_candidate(i), record_.proposals[i].template_name});
        }
    }

    void keep(StepCandidate candidate) {
        const auto is_same = [&](const StepCandidate& other) {
            return other.parameters == candidate.parameters;
        };
        if (std::ranges::any_of(record_.candidates, is_same)) return;
        record_.outcomes.push_back(read(graph_.result(scored_.at(candidate.parameters))));
        record_.scores.push_back(summed(record_.candidates.size(), record_.outcomes.back()));
        record_.candidates.push_back(std::move(candidate));
    }

    [[nodiscard]] std::vector<ExampleOutcome> read(const TaskResult& result) const {
        return read_outcomes(context_.network, score_measure_, result.table,
                             context_.splits[kTrainSplit], record_.ranked_on);
    }

    [[nodiscard]] static CandidateScore summed(std::size_t candidate,
                                               const std::vector<ExampleOutcome>& outcomes) {
        CandidateScore score{.candidate = candidate};
        for (const ExampleOutcome& outcome : outcomes) {
            if (outcome.measured) {
                score.sum += outcome.score;
                ++score.scored;
            } else {
                ++score.failed;
            }
        }
        return score;
    }

    [[nodiscard]] std::size_t min_scored() const {
        const double share = context_.network.scoring().min_scored;
        const double wanted = std::ceil(share * static_cast<double>(record_.ranked_on.size()));
        return std::max<std::size_t>(static_cast<std::size_t>(wanted), 1);
    }

    // Differences below the backend's noise are ties.
    [[nodiscard]] double margin() const {
        return std::max(context_.job.train.tie_margin, state_.noise_floor);
    }

    void choose() { record_.chosen = select_best(record_.scores, min_scored(), margin()); }

    void count_usage() {
        for (const TaskId task : tasks_) {
            const TaskResult& result = graph_.result(task);
            record_.usage += result.usage;
            record_.failures += result.failures;
            if (record_.first_failure.empty()) record_.first_failure = result.first_failure;
        }
    }

    const TrainContext& context_;
    const TrainState& state_;
    StepRecord record_;
    Measure score_measure_;
    Measure forward_measure_ = Measure::classes;
    std::size_t shown_count_ = 0;
    TaskGraph graph_;
    TaskId forward_ = 0;
    std::map<LayerParameters, TaskId> scored_;
    std::vector<TaskId> tasks_;  // every one whose usage counts, each once
    std::vector<TaskId> known_tasks_;
    std::optional<ProposalInput> proposal_input_;
    std::optional<std::size_t> proposal_template_;
};

}  // namespace

StepRecord run_step(const TrainContext& context, const TrainState& state) {
    return Step(context, state).run();
}

}  // namespace dln
