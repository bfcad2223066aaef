#pragma once
// The search for a better prompt of one layer, or of one expert of a mixture layer, within a step: known candidates, proposals in one or several
// rounds, and the choice. Rank 0; declares tasks on the step's graph.

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dln/engine/task_graph.hpp"
#include "dln/train/step.hpp"

namespace dln {

/// What a search needs of its step.
struct SearchSeam {
    /// Has a candidate scored, now or as soon as that is possible.
    std::function<void(const LayerParameters&)> ask;
    /// The same on one group of positions only.
    std::function<void(const LayerParameters&, std::size_t group)> ask_on;
    /// The tasks of a candidate's scores that are there.
    std::function<std::vector<TaskId>(const LayerParameters&)> tasks;
    /// What a candidate is worth. Pre: its tasks are complete, and the samples are weighted.
    std::function<ExampleValues(const LayerParameters&)> values;
    /// What part of each position counts for the candidates of an expert; empty: all of all. Known when samples are
    /// weighted.
    std::function<std::vector<double>()> shares;
    /// The groups of positions that candidates are compared on.
    std::vector<std::pair<std::size_t, std::vector<std::size_t>>> ranked_groups;
};

class LayerSearch {
  public:
    /// All must outlive the search. `rounds` of proposals, each from the winner of the one before.
    LayerSearch(const TrainContext& context,
                const TrainState& state,
                TaskGraph& graph,
                StepRecord& record,
                LayerRecord& layer,
                SearchSeam seam,
                std::size_t rounds);

    /// Asks for the scores of the candidates that need no proposal.
    void ask_known();
    /// Asks for proposals; what they are made from is known now.
    void propose(ProposalInput input);
    /// The known candidates are scored, and samples weighted: `values` may be used from now on.
    void known_are_scored();
    /// Nothing of the batch is the expert's own: it keeps its prompt.
    void keep_incumbent() { keeps_incumbent_ = true; }
    /// Fills in candidates, scores and choice, in an order that has nothing to do with that of arrival.
    void finish();

    [[nodiscard]] std::vector<TaskId> known_tasks() const;
    [[nodiscard]] const std::vector<TaskId>& proposal_tasks() const { return proposal_tasks_; }

  private:
    [[nodiscard]] std::vector<StepCandidate> known_candidates() const;
    // Proposals of one unit, or those that ask no model. They are released in the order of their blocks, so that
    // which of two like prompts stays does not depend on which reply comes first.
    struct Block {
        std::vector<ProposalRequest> asked;  // those that fit
        std::vector<std::size_t> proposals;  // with a prompt
        bool is_there = false;
    };
    [[nodiscard]] std::vector<Unit> proposal_units(const std::vector<ProposalRequest>& wanted,
                                                   Block& block);
    void does_not_fit(const ProposalRequest& request, int needed);
    void ask_round();
    void make_proposals(std::size_t first, std::size_t end);
    void ask_block(std::vector<ProposalRequest> wanted);
    void take_replies(TaskId generate, Block& block);
    void take_reply(const ProposalRequest& request, const std::string& reply, Block& block);
    void ask_waiting();
    void when_scored(const std::vector<StepCandidate>& candidates, std::function<void()> what);
    void start_race();
    void run_lap();
    void end_lap();
    void all_are_scored();
    void release(std::size_t proposal);
    // Pre: something was made of it, and best_known_ is there.
    [[nodiscard]] LayerParameters candidate_of(std::size_t proposal) const;
    [[nodiscard]] std::vector<StepCandidate> all_candidates() const;
    [[nodiscard]] std::vector<CandidateScore> scores_of(
        const std::vector<StepCandidate>& candidates) const;
    /// Of those that may win: not those that a race dropped.
    [[nodiscard]] std::size_t best_of(const std::vector<StepCandidate>& candidates,
                                      std::vector<CandidateScore> scores) const;
    [[nodiscard]] const StepCandidate& best_of(const std::vector<StepCandidate>& candidates) const;
    void end_round();

    const TrainContext& context_;
    const TrainState& state_;
    TaskGraph& graph_;
    StepRecord& record_;
    LayerRecord& layer_;
    SearchSeam seam_;
    std::size_t rounds_;
    bool keeps_incumbent_ = false;
    std::size_t round_ = 0;
    bool is_round_open_ = false;  // proposals of the round are not all on their way to scores yet
    bool may_compare_ = false;    // known candidates are scored, and samples weighted
    std::vector<LayerParameters> racers_;
    std::vector<LayerParameters> dropped_;  // by a race: their scores are of its first laps
    std::size_t lap_ = 0;
    std::vector<std::size_t> waiting_;  // proposals that will race
    std::deque<Block> blocks_;
    std::size_t released_ = 0;                     // blocks
    std::map<LayerParameters, std::string> seen_;  // with folded prompts, and as first written
    std::set<std::size_t> duplicates_;             // proposals that are like one before
    ProposalInput input_;
    std::optional<LayerParameters> best_known_;  // new prompts are tried in its template and words
    std::vector<TaskId> proposal_tasks_;
};

}  // namespace dln
