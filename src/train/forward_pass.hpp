#pragma once
// The forward pass of a step: what the incumbents say of each example, and which of it is right. Rank 0; declares
// tasks and reads their tables into the step's record.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "dln/engine/task_graph.hpp"
#include "dln/train/step.hpp"

#include "train/step_scores.hpp"

namespace dln {

class ForwardPass {
  public:
    /// All must outlive this object.
    ForwardPass(const TrainContext& context,
                TaskGraph& graph,
                const NetworkParameters& incumbent,
                const std::vector<PositionGroup>& groups,
                StepRecord& record);

    /// Asks for the answers to every group of positions.
    void ask();
    /// By group.
    [[nodiscard]] const std::vector<TaskId>& tasks() const { return tasks_; }
    /// True when its tables are also the incumbent's scores.
    [[nodiscard]] bool is_score() const;
    /// Answers are calibrated by the mean over the whole batch: no group can be read before all are there.
    [[nodiscard]] bool needs_whole_batch() const;
    /// Reads a group, calibrated by `content_free` where the job asks so. Pre: its task is complete, and those that
    /// calibrate it.
    void read(std::size_t group, std::optional<TaskId> content_free);
    /// What the last layer wrote, by position; empty where classes answer.
    [[nodiscard]] const std::vector<std::string>& outputs() const { return outputs_; }

  private:
    [[nodiscard]] ClassLogProbs class_prior(std::optional<TaskId> content_free) const;

    const TrainContext& context_;
    TaskGraph& graph_;
    const NetworkParameters& incumbent_;
    const std::vector<PositionGroup>& groups_;
    StepRecord& record_;
    std::size_t depth_;
    Measure measure_;
    std::vector<TaskId> tasks_;
    std::vector<std::string> outputs_;
};

}  // namespace dln
