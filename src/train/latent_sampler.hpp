#pragma once
// Draws the posterior samples of a step, group by group and layer by layer: each layer's latents follow from
// those of the layer before. Rank 0; declares tasks and reads their texts.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dln/engine/task_graph.hpp"
#include "dln/train/step.hpp"

#include "train/step_scores.hpp"

namespace dln {

class LatentSampler {
  public:
    /// All must outlive this object; samples go into the record's latents.
    LatentSampler(const TrainContext& context,
                  TaskGraph& graph,
                  const NetworkParameters& incumbent,
                  StepRecord& record,
                  std::uint64_t step);

    /// Samples for the positions of `group`, then calls `done`. With `right_too` false, positions whose answer
    /// is known to be right get none.
    void sample(const PositionGroup& group, bool right_too, std::function<void()> done);

    /// Scores every sample of `group` under the template that drew it; returns the tasks.
    std::vector<TaskId> score_samples(const PositionGroup& group);
    /// log q of what score_samples was asked for, a table a hidden layer. Pre: its tasks are complete.
    [[nodiscard]] std::vector<ScoreTable> sample_scores() const;

    /// Every task with requests.
    [[nodiscard]] const std::vector<TaskId>& all_tasks() const { return tasks_; }
    [[nodiscard]] std::int64_t empty() const { return empty_; }  ///< replies without any text

  private:
    struct Draw {  // of one group
        std::vector<std::size_t> positions;
        std::function<void()> done;
    };
    // Samples that one request item stands for: equal contexts at temperature 0 are asked once.
    struct Asked {
        std::vector<GenerateItem> items;
        std::vector<std::vector<std::size_t>>
            samples;  // by item: indices into BatchLatents::sampled
    };
    // A task of score_samples and the samples of its cells, two each.
    struct Scored {
        TaskId task = 0;
        std::size_t layer = 0;
        std::vector<std::size_t> samples;
    };
    void sample_layer(std::shared_ptr<const Draw> draw, std::size_t layer);
    [[nodiscard]] Asked ask(const Draw& draw, std::size_t layer) const;
    [[nodiscard]] std::vector<TextPlace> places_of(const Asked& asked) const;
    void take(const Asked& asked, const TaskResult& result, std::size_t layer);
    // The prompt that a layer's forward pass has for an example.
    [[nodiscard]] std::string prompt_at(std::size_t layer, std::size_t position) const;
    [[nodiscard]] GenerateItem item(std::size_t position,
                                    std::size_t sample,
                                    std::size_t layer) const;

    const TrainContext& context_;
    TaskGraph& graph_;
    const NetworkParameters& incumbent_;
    const StepRecord& record_;
    const std::vector<std::uint64_t>& batch_;
    BatchLatents& latents_;
    std::uint64_t step_;
    std::string classes_;
    std::vector<Scored> scored_;
    std::vector<TaskId> tasks_;
    std::int64_t empty_ = 0;
};

}  // namespace dln
