#pragma once
// The scores of a step: for each layer, candidates on what that layer met in each example: the posterior
// samples, and the forward pass where it is needed. Each distinct text is scored once for a candidate. Rank 0;
// declares tasks and reads their tables, decides nothing.

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dln/engine/task_graph.hpp"
#include "dln/train/inference.hpp"
#include "dln/train/step.hpp"

#include "train/position_groups.hpp"

namespace dln {

class StepScores {
  public:
    /// All must outlive this object; `latents` fills while the step runs. `samples`: columns of the tables.
    StepScores(const TrainContext& context,
               TaskGraph& graph,
               const NetworkParameters& incumbent,
               const std::vector<std::uint64_t>& batch,
               const std::vector<PositionGroup>& groups,
               const BatchLatents& latents,
               std::uint64_t step);

    /// The latents of `group` are there: what was asked for is scored on it.
    void add_group(std::size_t group);
    /// Scores a candidate of `layer` on all ranked groups, or on all groups; once, however often it is asked.
    void ask(std::size_t layer, const LayerParameters& candidate, bool everywhere = false);
    /// Scores all experts of a layer's incumbent on all groups.
    void ask_experts(std::size_t layer, const LayerParameters& incumbent);
    /// Scores a candidate on one group alone, if it is ready.
    void ask_on(std::size_t layer, const LayerParameters& candidate, std::size_t group);
    /// A task that measured the last layer's incumbent on `group` already.
    void take_over(std::size_t group, TaskId task);
    /// The content-free scores that calibrate a candidate, asked for once; none with other jobs.
    std::optional<TaskId> ask_content_free(std::size_t layer, const LayerParameters& candidate);
    /// Instead of a layer: the last one without the residual before it.
    [[nodiscard]] std::size_t without_residual() const { return items_.size() - 1; }

    /// Tasks of a candidate that are there so far.
    [[nodiscard]] std::vector<TaskId> tasks(std::size_t layer,
                                            const LayerParameters& candidate) const;
    /// The same of all experts of a layer's incumbent.
    [[nodiscard]] std::vector<TaskId> expert_tasks(std::size_t layer,
                                                   const LayerParameters& incumbent) const;
    /// Every task with requests, once each.
    [[nodiscard]] const std::vector<TaskId>& all_tasks() const { return all_tasks_; }

    // What complete tasks say, [position in the batch][sample].
    [[nodiscard]] ScoreTable table(std::size_t layer, const LayerParameters& candidate) const;
    /// On what the forward pass met: the score, absent where it was not asked for; needs forward columns.
    [[nodiscard]] ExampleValues on_forward(std::size_t layer,
                                           const LayerParameters& candidate) const;
    /// The class log-probabilities of a last layer's candidate on the forward pass, by position.
    [[nodiscard]] std::vector<ClassLogProbs> classes_on_forward(
        const LayerParameters& candidate) const;
    /// True where scores of the layer come from calibrated class probabilities.
    [[nodiscard]] bool is_calibrated(std::size_t layer) const;
    /// Class log-probabilities on the samples before calibration, [position * samples + sample]; empty where
    /// there are none.
    [[nodiscard]] std::vector<ClassLogProbs> classes(std::size_t layer,
                                                     const LayerParameters& candidate) const;
    /// What a candidate is calibrated by: with `batch`, the mean over the samples of all ranked examples that are
    /// scored so far.
    [[nodiscard]] ClassLogProbs class_prior(std::size_t layer,
                                            const LayerParameters& candidate) const;

  private:
    // What a layer is asked on a group: distinct items, and the item of every cell.
    struct Items {
        std::vector<LayerItem> distinct;
        std::vector<std::optional<std::size_t>> place;  // [position in the group][column]
    };
    struct Asked {
        std::vector<bool> wanted;                  // by group
        std::vector<std::optional<TaskId>> tasks;  // by group
    };
    using Key = std::pair<std::size_t, LayerParameters>;

    // The last layer, with or without the residual before it.
    [[nodiscard]] bool is_last(std::size_t layer) const;
    // Hidden layers are judged by the network's answers where only these count.
    [[nodiscard]] bool is_judged_by_answers(std::size_t layer) const;
    [[nodiscard]] Measure measure_of(std::size_t layer) const;
    [[nodiscard]] Items items_of(std::size_t layer, std::size_t group) const;
    [[nodiscard]] bool wants_forward(std::size_t layer, std::size_t position) const;
    [[nodiscard]] Asked& entry_of(const Key& key);
    void ask_group(const Key& key, Asked& asked, std::size_t group);
    [[nodiscard]] bool can_wait(const Key& key) const;
    [[nodiscard]] TaskId add_layer_task(std::size_t layer,
                                        const LayerParameters& candidate,
                                        std::size_t group);
    [[nodiscard]] TaskId add_answers(std::size_t layer,
                                     const LayerParameters& candidate,
                                     std::size_t group);
    // The last layer that a candidate's answers come from.
    [[nodiscard]] Key answering(const Key& key) const;
    [[nodiscard]] std::optional<TaskId> content_free(const Key& key) const;
    [[nodiscard]] std::vector<ExampleOutcome> outcomes(const Key& key,
                                                       std::size_t group,
                                                       const ClassLogProbs& prior) const;
    template <class Read, class Visit>
    void visit_cells(const Key& key, const Read& read, const Visit& visit) const;
    template <class Visit>
    void visit(const Key& key, const Visit& visit) const;

    const TrainContext& context_;
    TaskGraph& graph_;
    const NetworkParameters& incumbent_;
    const std::vector<std::uint64_t>& batch_;
    const std::vector<PositionGroup>& groups_;
    const BatchLatents& latents_;
    std::uint64_t step_;
    Measure last_measure_;
    std::vector<bool> is_ready_;  // by group
    std::vector<std::vector<Items>>
        items_;  // [layer or without_residual()][group], of ready groups
    std::map<Key, Asked> asked_;
    std::map<Key, TaskId> content_free_;
    std::vector<Key> order_;  // of asking
    std::vector<TaskId> all_tasks_;
};

}  // namespace dln
