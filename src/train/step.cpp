#include "dln/train/step.hpp"

#include <algorithm>
#include <cmath>
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
        for (const StepCandidate& candidate : known_candidates()) score(candidate.parameters);
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
        for (std::size_t first = 0; first < count; first += block) {
            const std::size_t end = std::min(first + block, count);
            auto asked = std::make_shared<std::vector<std::size_t>>();
            const TaskId generate = graph_.add(
                {.needs = {forward_},
                 .expand = [this, first, end, asked] { return proposal_units(first, end, *asked); },
                 .cells = 0});
            tasks_.push_back(generate);
            graph_.add({.needs = {generate},
                        .expand = [this, generate, asked]() -> std::vector<Unit> {
                            take_replies(generate, *asked);
                            return {};
                        },
                        .cells = 0});
        }
    }

    std::vector<Unit> proposal_units(std::size_t first,
                                     std::size_t end,
                                     std::vector<std::size_t>& asked) {
        if (!proposal_input_) make_proposal_input();
        if (nothing_to_learn()) return {};
        const ProposalSpec& spec = context_.proposer.spec();
        const int room = context_.backend.info().context_tokens - spec.max_tokens;
        const FitsContext fits = [this, room](const Context& asked_context) {
            return context_.backend.count_tokens(asked_context) <= room;
        };
        GenerateRequest request{.items = {},
                                .max_tokens = spec.max_tokens,
                                .temperature = spec.temperature,
                                .top_p = spec.top_p,
                                .stop = {}};
        for (std::size_t i = first; i < end; ++i) {
            record_.proposals[i].template_name = context_.proposer.template_name(i);
            if (auto item = context_.proposer.item(*proposal_input_, i, fits)) {
                request.items.push_back(std::move(*item));
                asked.push_back(i);
            } else {
                ++record_.failures;
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

    // New prompts go through the templates in turn, so that words around the input are learned too.
    [[nodiscard]] LayerParameters proposal_candidate(std::size_t index) const {
        const std::size_t templates = context_.network.layer(kLayer).templates.size();
        return {record_.proposals[index].prompt,
                (index + static_cast<std::size_t>(state_.steps_done)) % templates};
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
        const TaskResult& result = graph_.result(scored_.at(candidate.parameters));
        record_.outcomes.push_back(read_outcomes(context_.network, score_measure_, result.table,
                                                 context_.splits[kTrainSplit], record_.ranked_on));
        CandidateScore score{.candidate = record_.candidates.size()};
        for (const ExampleOutcome& outcome : record_.outcomes.back()) {
            if (outcome.measured) {
                score.sum += outcome.score;
                ++score.scored;
            } else {
                ++score.failed;
            }
        }
        record_.scores.push_back(score);
        record_.candidates.push_back(std::move(candidate));
    }

    void choose() {
        const double share = context_.network.scoring().min_scored;
        const auto wanted = static_cast<std::size_t>(
            std::ceil(share * static_cast<double>(record_.ranked_on.size())));
        record_.chosen = select_best(record_.scores, std::max<std::size_t>(wanted, 1),
                                     std::max(context_.job.train.tie_margin, state_.noise_floor));
    }

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
    std::optional<ProposalInput> proposal_input_;
};

}  // namespace

StepRecord run_step(const TrainContext& context, const TrainState& state) {
    return Step(context, state).run();
}

}  // namespace dln
