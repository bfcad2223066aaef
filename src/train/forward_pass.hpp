#pragma once
// The forward pass of a step: what the incumbents say of each example, and which of it is right. Rank 0; declares
// tasks and reads their tables into the step's record.

#include <cstddef>
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
    /// Reads a group into the record. Pre: its task is complete.
    void read(std::size_t group);
    /// What the last layer wrote, by position; empty where classes answer.
    [[nodiscard]] const std::vector<std::string>& outputs() const { return outputs_; }

  private:
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
