#include "train/step_scores.hpp"

#include <algorithm>

#include "dln/comm/fixed_point.hpp"
#include "dln/error.hpp"

namespace dln {

StepScores::StepScores(const TrainContext& context,
                       TaskGraph& graph,
                       const NetworkParameters& incumbent,
                       const std::vector<std::uint64_t>& batch,
                       const std::vector<PositionGroup>& groups,
                       const BatchLatents& latents,
                       std::uint64_t step)
    : context_(context),
      graph_(graph),
      incumbent_(incumbent),
      batch_(batch),
      groups_(groups),
      latents_(latents),
      step_(step),
      last_measure_(measure_for(context.network)),
      is_ready_(groups.size(), false),
      items_(context.network.depth() + 1, std::vector<Items>(groups.size())) {}

bool StepScores::is_last(std::size_t layer) const { return layer + 1 >= context_.network.depth(); }

bool StepScores::is_judged_by_answers(std::size_t layer) const {
    return !is_last(layer) && context_.network.scoring().objective == Objective::accuracy;
}

bool StepScores::is_calibrated(std::size_t layer) const {
    return dln::is_calibrated(context_.network) && measure_of(layer) == Measure::classes;
}

Measure StepScores::measure_of(std::size_t layer) const {
    return is_last(layer) || is_judged_by_answers(layer) ? last_measure_ : Measure::target;
}

// A last column is the forward pass: for the divergence, and for the penalty of what led to errors.
bool StepScores::wants_forward(std::size_t layer, std::size_t position) const {
    if (!latents_.has_forward[position]) return false;
    const TrainSpec& train = context_.job.train;
    return is_last(layer) ? train.trust_factor > 0.0
                          : train.logp_penalty > 0.0 && latents_.is_wrong[position];
}

StepScores::Items StepScores::items_of(std::size_t layer, std::size_t group) const {
    Items items;
    std::map<LayerItem, std::size_t> known;
    const std::size_t length = std::min(layer + 1, latents_.hidden);
    const auto place = [&](std::size_t position, const Trajectory& trajectory) {
        LayerItem item{.example = batch_[position], .latents = {}};
        item.latents.assign(trajectory.begin(),
                            trajectory.begin() + static_cast<std::ptrdiff_t>(length));
        const auto [entry, is_new] = known.try_emplace(item, items.distinct.size());
        if (is_new) items.distinct.push_back(std::move(item));
        return entry->second;
    };
    for (const std::size_t position : groups_[group].positions) {
        for (std::size_t k = 0; k < latents_.samples; ++k) {
            auto& cell = items.place.emplace_back();
            if (latents_.drawn(position, k)) cell = place(position, latents_.sample(position, k));
        }
        auto& cell = items.place.emplace_back();
        if (wants_forward(layer, position)) cell = place(position, latents_.forward[position]);
    }
    return items;
}

void StepScores::add_group(std::size_t group) {
    is_ready_[group] = true;
    for (std::size_t layer = 0; layer < items_.size(); ++layer) {
        items_[layer][group] = items_of(layer, group);
    }
    for (const Key& key : order_) ask_group(key, asked_.at(key), group);
}

StepScores::Asked& StepScores::entry_of(const Key& key) {
    const auto [entry, is_new] = asked_.try_emplace(key);
    if (is_new) {
        order_.push_back(key);
        entry->second.wanted.resize(groups_.size(), false);
        entry->second.tasks.resize(groups_.size());
    }
    return entry->second;
}

void StepScores::ask(std::size_t layer, const LayerParameters& candidate, bool everywhere) {
    const Key key{layer, candidate};
    Asked& asked = entry_of(key);
    for (std::size_t group = 0; group < groups_.size(); ++group) {
        asked.wanted[group] = asked.wanted[group] || everywhere || groups_[group].ranked;
        ask_group(key, asked, group);
    }
}

void StepScores::ask_experts(std::size_t layer, const LayerParameters& incumbent) {
    for (const LayerParameters& expert : experts_of(incumbent)) ask(layer, expert, true);
}

void StepScores::ask_on(std::size_t layer, const LayerParameters& candidate, std::size_t group) {
    const Key key{layer, candidate};
    Asked& asked = entry_of(key);
    asked.wanted[group] = true;
    ask_group(key, asked, group);
}

void StepScores::take_over(std::size_t group, TaskId task) {
    const std::size_t last = context_.network.depth() - 1;
    entry_of({last, incumbent_.back()}).tasks[group] = task;
    ask_content_free(last, incumbent_.back());
}

StepScores::Key StepScores::answering(const Key& key) const {
    if (!is_judged_by_answers(key.first)) return key;
    return {context_.network.depth() - 1, incumbent_.back()};
}

std::optional<TaskId> StepScores::ask_content_free(std::size_t layer,
                                                   const LayerParameters& candidate) {
    if (!is_calibrated(layer)) return std::nullopt;
    const Key key = answering({layer, candidate});
    if (const auto known = content_free(key)) return known;
    const auto task = add_content_free(
        graph_, context_.network, key.second,
        {.without_residual = key.first == without_residual(), .can_wait = can_wait(key)});
    if (!task) return std::nullopt;
    content_free_.emplace(key, *task);
    all_tasks_.push_back(*task);
    return task;
}

std::optional<TaskId> StepScores::content_free(const Key& key) const {
    const auto found = content_free_.find(answering(key));
    return found == content_free_.end() ? std::nullopt : std::optional(found->second);
}

void StepScores::ask_group(const Key& key, Asked& asked, std::size_t group) {
    const auto& [layer, candidate] = key;
    if (!asked.wanted[group] || !is_ready_[group] || asked.tasks[group]) return;
    ask_content_free(layer, candidate);
    asked.tasks[group] = is_judged_by_answers(layer) ? add_answers(layer, candidate, group)
                                                     : add_layer_task(layer, candidate, group);
}

// Texts are put into units when these are asked for: until then a task holds its candidate alone.
TaskId StepScores::add_layer_task(std::size_t layer,
                                  const LayerParameters& candidate,
                                  std::size_t group) {
    const std::size_t classes = context_.network.classes().size();
    const std::vector<LayerItem>& items = items_[layer][group].distinct;
    const TaskId id = graph_.add(
        {.needs = {},
         .expand =
             [this, layer, candidate, &items, classes] {
                 return make_layer_units({.layer = std::min(layer, latents_.hidden),
                                          .parameters = candidate,
                                          .measure = measure_of(layer),
                                          .split = kTrainSplit,
                                          .items = items,
                                          .step = step_,
                                          .without_residual = layer == without_residual()},
                                         context_.network.scoring().block, classes);
             },
         .cells = items.size() * cells_an_example(measure_of(layer), classes),
         .can_wait = can_wait({layer, candidate})});
    all_tasks_.push_back(id);
    return id;
}

// Nothing in the step is made from what the last layer's other candidates score.
bool StepScores::can_wait(const Key& key) const {
    if (!is_last(key.first) || latents_.hidden == 0) return false;
    const std::vector<LayerParameters> incumbents = experts_of(incumbent_.back());
    return std::ranges::find(incumbents, key.second) == incumbents.end();
}

TaskId StepScores::add_answers(std::size_t layer,
                               const LayerParameters& candidate,
                               std::size_t group) {
    EvaluateUnit unit{.parameters = incumbent_,
                      .measure = last_measure_,
                      .split = kTrainSplit,
                      .examples = {},
                      .step = step_};
    unit.parameters[layer] = candidate;
    for (const std::size_t position : groups_[group].positions) {
        unit.examples.push_back(batch_[position]);
    }
    const TaskId id = add_evaluation(graph_, context_.network, std::move(unit), context_.inputs);
    all_tasks_.push_back(id);
    return id;
}

std::vector<TaskId> StepScores::tasks(std::size_t layer, const LayerParameters& candidate) const {
    std::vector<TaskId> there;
    const auto found = asked_.find({layer, candidate});
    if (found == asked_.end()) return there;
    for (const auto& task : found->second.tasks) {
        if (task) there.push_back(*task);
    }
    const auto calibrating = content_free({layer, candidate});
    if (!there.empty() && calibrating) there.push_back(*calibrating);
    return there;
}

std::vector<TaskId> StepScores::expert_tasks(std::size_t layer,
                                             const LayerParameters& incumbent) const {
    std::vector<TaskId> all;
    for (const LayerParameters& expert : experts_of(incumbent)) {
        const std::vector<TaskId> own = tasks(layer, expert);
        all.insert(all.end(), own.begin(), own.end());
    }
    return all;
}

// Calls visit(position, column, entry) for every cell that was asked for; the column after the samples is the
// forward pass. `read` gives the entries of a group's task. Where answers judge, all samples have the answer's.
template <class Read, class Visit>
void StepScores::visit_cells(const Key& key, const Read& read, const Visit& visit) const {
    const Asked& asked = asked_.at(key);
    const std::size_t columns = latents_.samples + 1;
    for (std::size_t group = 0; group < groups_.size(); ++group) {
        if (!asked.tasks[group]) continue;
        const auto& positions = groups_[group].positions;
        const auto& places = items_[key.first][group].place;
        const auto entries = read(group);
        for (std::size_t i = 0; i < positions.size(); ++i) {
            for (std::size_t column = 0; column < columns; ++column) {
                const auto& place = places[i * columns + column];
                if (!place) continue;
                visit(positions[i], column, entries[is_judged_by_answers(key.first) ? i : *place]);
            }
        }
    }
}

std::vector<ExampleOutcome> StepScores::outcomes(const Key& key,
                                                 std::size_t group,
                                                 const ClassLogProbs& prior) const {
    std::vector<std::uint64_t> examples;
    if (is_judged_by_answers(key.first)) {
        for (const std::size_t i : groups_[group].positions) examples.push_back(batch_[i]);
    } else {
        for (const LayerItem& item : items_[key.first][group].distinct) {
            examples.push_back(item.example);
        }
    }
    return read_outcomes(context_.network, measure_of(key.first),
                         graph_.result(*asked_.at(key).tasks[group]).table,
                         context_.splits[kTrainSplit], examples, prior);
}

// The same for outcomes that were measured.
template <class Visit>
void StepScores::visit(const Key& key, const Visit& visit) const {
    const ClassLogProbs prior = class_prior(key.first, key.second);
    visit_cells(
        key, [&](std::size_t group) { return outcomes(key, group, prior); },
        [&](std::size_t position, std::size_t column, const ExampleOutcome& outcome) {
            if (outcome.measured) visit(position, column, outcome);
        });
}

ScoreTable StepScores::table(std::size_t layer, const LayerParameters& candidate) const {
    ScoreTable scores(batch_.size(), latents_.samples);
    visit({layer, candidate},
          [&](std::size_t position, std::size_t column, const ExampleOutcome& outcome) {
              if (column < latents_.samples)
                  scores.set(position, column, from_fixed_point(outcome.score));
          });
    return scores;
}

ExampleValues StepScores::on_forward(std::size_t layer, const LayerParameters& candidate) const {
    ExampleValues values(batch_.size());
    visit({layer, candidate},
          [&](std::size_t position, std::size_t column, const ExampleOutcome& outcome) {
              if (column == latents_.samples) values[position] = from_fixed_point(outcome.score);
          });
    return values;
}

std::vector<ClassLogProbs> StepScores::classes_on_forward(const LayerParameters& candidate) const {
    std::vector<ClassLogProbs> classes(batch_.size());
    visit({context_.network.depth() - 1, candidate},
          [&](std::size_t position, std::size_t column, const ExampleOutcome& outcome) {
              if (column == latents_.samples) classes[position] = outcome.class_log_probs;
          });
    return classes;
}

std::vector<ClassLogProbs> StepScores::classes(std::size_t layer,
                                               const LayerParameters& candidate) const {
    const Key key{layer, candidate};
    std::vector<ClassLogProbs> classes(batch_.size() * latents_.samples);
    visit_cells(
        key,
        [&](std::size_t group) {
            return read_classes(context_.network,
                                graph_.result(*asked_.at(key).tasks[group]).table);
        },
        [&](std::size_t position, std::size_t column, const ClassLogProbs& row) {
            if (column < latents_.samples) classes[position * latents_.samples + column] = row;
        });
    return classes;
}

ClassLogProbs StepScores::class_prior(std::size_t layer, const LayerParameters& candidate) const {
    if (!is_calibrated(layer)) return {};
    std::vector<ClassLogProbs> rows = classes(layer, candidate);
    for (const PositionGroup& group : groups_) {
        if (group.ranked) continue;
        for (const std::size_t i : group.positions) {
            for (std::size_t k = 0; k < latents_.samples; ++k) rows[i * latents_.samples + k] = {};
        }
    }
    return class_prior_for(context_.network, graph_, rows, content_free({layer, candidate}));
}

}  // namespace dln
