#include "train/forward_pass.hpp"

#include <algorithm>
#include <iterator>

namespace dln {

ForwardPass::ForwardPass(const TrainContext& context,
                         TaskGraph& graph,
                         const NetworkParameters& incumbent,
                         const std::vector<PositionGroup>& groups,
                         StepRecord& record)
    : context_(context),
      graph_(graph),
      incumbent_(incumbent),
      groups_(groups),
      record_(record),
      depth_(context.network.depth()),
      measure_(context.network.has_classes() ? Measure::classes : Measure::correct),
      outputs_(record.batch.size()) {}

void ForwardPass::ask() {
    for (const PositionGroup& group : groups_) {
        EvaluateUnit unit{.parameters = incumbent_,
                          .measure = measure_,
                          .split = kTrainSplit,
                          .examples = {},
                          .step = static_cast<std::uint64_t>(record_.step),
                          .want_texts = depth_ > 1 || measure_ == Measure::correct};
        for (const std::size_t i : group.positions) unit.examples.push_back(record_.batch[i]);
        tasks_.push_back(
            add_evaluation(graph_, context_.network, std::move(unit), context_.inputs));
    }
}

bool ForwardPass::is_score() const {
    return measure_ == Measure::classes && measure_for(context_.network) == Measure::classes;
}

bool ForwardPass::needs_whole_batch() const {
    return context_.network.scoring().calibration == Calibration::batch;
}

ClassLogProbs ForwardPass::class_prior(std::optional<TaskId> content_free) const {
    std::vector<ClassLogProbs> rows;
    for (std::size_t g = 0; g < tasks_.size() && needs_whole_batch(); ++g) {
        std::ranges::move(read_classes(context_.network, graph_.result(tasks_[g]).table),
                          std::back_inserter(rows));
    }
    return class_prior_for(context_.network, graph_, rows, content_free);
}

void ForwardPass::read(std::size_t group, std::optional<TaskId> content_free) {
    if (is_calibrated(context_.network) && record_.forward_class_log_prior.empty()) {
        record_.forward_class_log_prior = class_prior(content_free);
    }
    const std::vector<std::size_t>& positions = groups_[group].positions;
    std::vector<std::uint64_t> examples;
    for (const std::size_t i : positions) examples.push_back(record_.batch[i]);
    const TaskResult& result = graph_.result(tasks_[group]);
    std::vector<ExampleOutcome> outcomes =
        read_outcomes(context_.network, measure_, result.table, context_.splits[kTrainSplit],
                      examples, record_.forward_class_log_prior);
    std::vector<std::string> texts;
    for (const auto& unit : result.texts) texts.insert(texts.end(), unit.begin(), unit.end());
    BatchLatents& latents = record_.latents;
    for (std::size_t place = 0; place < positions.size(); ++place) {
        const std::size_t i = positions[place];
        record_.forward[i] = std::move(outcomes[place]);
        const ExampleOutcome& outcome = record_.forward[i];
        latents.has_forward[i] = outcome.measured;
        latents.is_wrong[i] = outcome.measured && !outcome.right;
        if (!outcome.measured || texts.empty()) continue;
        const auto first = texts.begin() + static_cast<std::ptrdiff_t>(place * depth_);
        latents.forward[i].assign(first, first + static_cast<std::ptrdiff_t>(depth_ - 1));
        outputs_[i] = *(first + static_cast<std::ptrdiff_t>(depth_ - 1));
    }
}

}  // namespace dln
