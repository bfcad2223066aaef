#include "dln/train/step.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>

#include <fmt/format.h>

#include "dln/error.hpp"

#include "train/forward_pass.hpp"
#include "train/gates.hpp"
#include "train/latent_sampler.hpp"
#include "train/layer_search.hpp"
#include "train/step_outcome.hpp"
#include "train/step_scores.hpp"
#include "train/step_values.hpp"

namespace dln {
namespace {

// What becomes known in a step makes the next requests possible: each function named after an event adds the
// tasks that waited for it. Requests never depend on the order in which events of one kind happen.
class Step {
  public:
    Step(const TrainContext& context, const TrainState& state)
        : context_(context), state_(state), depth_(context.network.depth()) {
        record_.step = state.steps_done;
        record_.batch = context.batches.batch(state.steps_done);
        const std::size_t positions = record_.batch.size();
        record_.forward.resize(positions);
        record_.latents =
            BatchLatents(positions, depth_ == 1 ? 1 : posterior().samples, depth_ - 1);
        record_.error_factor = penalty_factor(job().logp_penalty, job().logp_penalty_decay,
                                              state.steps_done, job().steps);
        record_.mixtures = ask_gates(context, state.current, record_.batch);
        make_groups();
        const auto step = static_cast<std::uint64_t>(state.steps_done);
        forward_.emplace(context, graph_, state.current, groups_, record_);
        sampler_.emplace(context, graph_, state.current, record_, step);
        scores_.emplace(context, graph_, state.current, record_.batch, groups_, record_.latents,
                        step);
        values_.emplace(context, state, *scores_, *sampler_, record_);
        make_searches();
    }

    StepRecord run() {
        ask_forward();
        ask_known();
        if (depth_ == 1) {
            begin_without_latents();
        } else if (posterior().speculate) {
            for (std::size_t g = 0; g < groups_.size(); ++g) sample(g);
        }
        context_.engine.run(graph_);
        count_usage();
        finish();
        return std::move(record_);
    }

  private:
    [[nodiscard]] const TrainSpec& job() const { return context_.job.train; }
    [[nodiscard]] const PosteriorSpec& posterior() const { return job().posterior; }
    [[nodiscard]] bool needs_terms() const { return depth_ > 1 && values_->needs_terms(); }
    void make_groups() {
        PositionGroups made = position_groups(context_.job, record_.batch.size());
        groups_ = std::move(made.all);
        shown_count_ = made.shown;
        for (const PositionGroup& group : groups_) {
            if (!group.ranked) continue;
            record_.ranked_on.insert(record_.ranked_on.end(), group.positions.begin(),
                                     group.positions.end());
        }
        is_sampled_.resize(groups_.size(), false);
        is_released_.resize(groups_.size(), false);
    }

    // One a trained layer, or one for each of its experts.
    void make_searches() {
        std::size_t count = 0;
        for (const LayerParameters& layer : state_.current) count += expert_count(layer);
        record_.layers.reserve(count);
        for (std::size_t l = 0; l < depth_; ++l) {
            if (!context_.network.layer(l).train) continue;
            for (std::size_t e = 0; e < expert_count(state_.current[l]); ++e) {
                record_.layers.push_back({.layer = l, .expert = e});
                searches_.emplace_back(context_, state_, graph_, record_, record_.layers.back(),
                                       seam_of(l, e), l + 1 < depth_ ? job().hidden_steps : 1);
            }
        }
    }

    [[nodiscard]] SearchSeam seam_of(std::size_t l, std::size_t e) {
        return {
            .ask = [this, l](const LayerParameters& it) { scores_->ask(l, it); },
            .ask_on = [this, l](const LayerParameters& it,
                                std::size_t group) { scores_->ask_on(l, it, group); },
            .tasks = [this, l](const LayerParameters& it) { return scores_->tasks(l, it); },
            .values = [this, l, e](const LayerParameters& it) { return values_->values(l, e, it); },
            .shares =
                [this, l, e] {
                    const MixtureRecord* const mixture = mixture_of(record_, l);
                    return mixture == nullptr ? std::vector<double>() : mixture->shares_of(e);
                },
            .ranked_groups = ranked_of(groups_)};
    }

    // Runs `what` when `needs` are complete. Whatever needs the task that is returned runs after it.
    TaskId when(std::vector<TaskId> needs, std::function<void()> what) {
        return graph_.add({.needs = std::move(needs),
                           .expand = [what = std::move(what)]() -> std::vector<Unit> {
                               what();
                               return {};
                           },
                           .cells = 0});
    }

    // ---- forward -------------------------------------------------------------------------------

    void ask_forward() {
        forward_->ask();
        const auto content_free =
            scores_->ask_content_free(depth_ - 1, expert_of(state_.current.back(), 0));
        for (std::size_t g = 0; g < groups_.size(); ++g) {
            std::vector<TaskId> needs{forward_->tasks()[g]};
            if (forward_->needs_whole_batch()) needs = forward_->tasks();
            if (content_free) needs.push_back(*content_free);
            forward_read_.push_back(when(std::move(needs), [this, g, content_free] {
                forward_->read(g, content_free);
                forward_done(g);
            }));
        }
    }

    void ask_known() {
        if (needs_terms()) {
            scores_->ask_experts(depth_ - 1, state_.current.back());
            for (std::size_t l = 0; values_->counts_prior() && l + 1 < depth_; ++l) {
                scores_->ask_experts(l, state_.current[l]);
            }
            if (posterior().mutual_information) {
                scores_->ask_experts(scores_->without_residual(), state_.current.back());
            }
        }
        for (const MixtureRecord& mixture : record_.mixtures) {
            scores_->ask_experts(mixture.layer, state_.current[mixture.layer]);
        }
        for (LayerSearch& search : searches_) search.ask_known();
    }

    // One layer: candidates are scored beside the forward pass, which is the incumbent's score where both
    // measure the same.
    void begin_without_latents() {
        record_.latents.is_drawn.assign(record_.latents.is_drawn.size(), true);
        record_.latents.has_forward.assign(record_.latents.has_forward.size(), true);
        for (std::size_t g = 0; g < groups_.size(); ++g) {
            if (groups_[g].ranked && forward_->is_score() && record_.mixtures.empty()) {
                scores_->take_over(g, forward_->tasks()[g]);
            }
            scores_->add_group(g);
        }
        values_->weigh();
        start_searches(0);
    }

    // The searches of a layer may compare what is known, as soon as it is scored and, in a mixture layer, shared out.
    // Pre: samples are weighted.
    void start_searches(std::size_t layer) {
        std::vector<TaskId> shared;
        if (mixture_of(record_, layer) != nullptr) {
            std::vector<TaskId> needs = scores_->expert_tasks(layer, state_.current[layer]);
            needs.insert(needs.end(), forward_read_.begin(), forward_read_.end());
            shared.push_back(when(std::move(needs), [this, layer] { share_out_layer(layer); }));
        }
        for (std::size_t s = 0; s < searches_.size(); ++s) {
            if (record_.layers[s].layer != layer) continue;
            std::vector<TaskId> needs = searches_[s].known_tasks();
            needs.insert(needs.end(), shared.begin(), shared.end());
            when(std::move(needs), [this, s] { searches_[s].known_are_scored(); });
        }
    }

    // Each expert learns from the examples that are its own; one that has none stays as it is.
    void share_out_layer(std::size_t layer) {
        const auto mixture = std::ranges::find(record_.mixtures, layer, &MixtureRecord::layer);
        share_out(context_, values_->expert_values(layer), *mixture);
        for (std::size_t s = 0; s < searches_.size(); ++s) {
            if (record_.layers[s].layer != layer) continue;
            const std::size_t expert = record_.layers[s].expert;
            const bool owns_any = std::ranges::any_of(
                record_.ranked_on, [&](std::size_t i) { return mixture->owns(expert, i); });
            if (!owns_any) {
                searches_[s].keep_incumbent();
            } else if (!record_.nothing_to_learn) {
                propose(s);
            }
        }
    }

    void propose(std::size_t s) {
        const std::size_t layer = record_.layers[s].layer;
        const std::vector<std::size_t> shown =
            shown_positions(record_, shown_count_, layer, record_.layers[s].expert);
        searches_[s].propose(layer + 1 < depth_
                                 ? hidden_layer_input(context_, record_, shown, layer)
                                 : last_layer_input(context_, record_, shown, forward_->outputs()));
    }

    void forward_done(std::size_t g) {
        if (++forward_count_ == groups_.size()) all_forward_done();
        if (depth_ == 1) return;
        // A batch without an error changes nothing; one error is enough to go on.
        unreleased_.push_back(g);
        has_error_ = has_error_ || std::ranges::any_of(groups_[g].positions, [this](std::size_t i) {
                         return record_.latents.is_wrong[i];
                     });
        if (!has_error_) return;
        for (const std::size_t released : unreleased_) release(released);
        unreleased_.clear();
    }

    void all_forward_done() {
        const bool all_right = std::ranges::all_of(
            record_.forward,
            [](const ExampleOutcome& outcome) { return !outcome.measured || outcome.right; });
        // A batch without any error teaches one layer nothing where only accuracy counts.
        record_.nothing_to_learn = all_right && (depth_ > 1 || !counts_log_probs(context_));
        if (record_.nothing_to_learn || record_.layers.empty()) return;
        // Those of a mixture layer wait for what tells its experts' examples apart.
        const bool is_last = record_.layers.back().layer + 1 == depth_;
        if (is_last && mixture_of(record_, depth_ - 1) == nullptr) propose(searches_.size() - 1);
    }

    // ---- latents -------------------------------------------------------------------------------

    void release(std::size_t g) {
        is_released_[g] = true;
        if (!posterior().speculate) return sample(g);
        if (is_sampled_[g] && !scores_before_forward()) latents_done(g);
    }

    void sample(std::size_t g) {
        const bool right_too = posterior().speculate || !posterior().rewrite_loss_only;
        sampler_->sample(groups_[g], right_too, [this, g] {
            is_sampled_[g] = true;
            if (is_released_[g] || scores_before_forward()) latents_done(g);
        });
    }

    // Samples drawn beside the forward pass are scored beside it, too, unless what is scored depends on it.
    [[nodiscard]] bool scores_before_forward() const {
        return posterior().speculate && !posterior().rewrite_loss_only &&
               job().trust_factor == 0.0 && job().logp_penalty == 0.0;
    }

    void latents_done(std::size_t g) {
        if (!scores_before_forward()) apply_forward(g);
        scores_->add_group(g);
        if (posterior().log_q && needs_terms()) {
            const std::vector<TaskId> tasks = sampler_->score_samples(groups_[g]);
            log_q_tasks_.insert(log_q_tasks_.end(), tasks.begin(), tasks.end());
        }
        if (++latents_count_ < groups_.size()) return;
        std::vector<TaskId> needs = term_tasks();
        needs.insert(needs.end(), forward_read_.begin(), forward_read_.end());
        when(std::move(needs), [this] { terms_are_scored(); });
    }

    // Right examples keep what the forward pass said where the job asks so, and an example without a forward
    // pass has no samples.
    void apply_forward(std::size_t g) {
        BatchLatents& latents = record_.latents;
        for (const std::size_t i : groups_[g].positions) {
            const bool keeps_forward = posterior().rewrite_loss_only && !latents.is_wrong[i];
            if (latents.has_forward[i] && !keeps_forward) continue;
            for (std::size_t k = 0; k < latents.samples; ++k) {
                const std::size_t sample = i * latents.samples + k;
                latents.sampled[sample] = latents.forward[i];
                latents.is_drawn[sample] = latents.has_forward[i];
            }
        }
    }

    [[nodiscard]] std::vector<TaskId> term_tasks() const {
        std::vector<TaskId> tasks = log_q_tasks_;
        const auto add = [&](std::size_t layer, const LayerParameters& incumbent) {
            const std::vector<TaskId> more = scores_->expert_tasks(layer, incumbent);
            tasks.insert(tasks.end(), more.begin(), more.end());
        };
        if (!needs_terms()) return tasks;
        add(depth_ - 1, state_.current.back());
        add(scores_->without_residual(), state_.current.back());
        for (std::size_t l = 0; values_->counts_prior() && l + 1 < depth_; ++l)
            add(l, state_.current[l]);
        return tasks;
    }

    void terms_are_scored() {
        // Known only now, where samples were scored beside the forward pass.
        if (record_.nothing_to_learn) return;
        for (std::size_t g = 0; g < groups_.size() && scores_before_forward(); ++g) {
            apply_forward(g);
        }
        values_->weigh();
        if (!record_.weights.any()) return;
        for (std::size_t s = 0; s < searches_.size(); ++s) {
            const std::size_t layer = record_.layers[s].layer;
            if (layer + 1 < depth_ && mixture_of(record_, layer) == nullptr) propose(s);
        }
        for (std::size_t layer = 0; layer < depth_; ++layer) start_searches(layer);
    }

    // ---- the end -------------------------------------------------------------------------------

    void finish() {
        record_.empty_samples = sampler_->empty();
        if (depth_ > 1 && record_.nothing_to_learn) return keep_incumbents();
        if (!record_.weights.any()) {
            throw BackendError(
                fmt::format("no posterior sample of {} examples has a weight: {} came back empty; "
                            "the first failed "
                            "request: {}",
                            record_.batch.size(), record_.empty_samples,
                            record_.first_failure.empty() ? "none" : record_.first_failure));
        }
        for (std::size_t s = 0; s < searches_.size(); ++s) {
            searches_[s].finish();
            values_->fill_in(record_.layers[s]);
        }
    }

    void keep_incumbents() {
        for (LayerRecord& layer : record_.layers) {
            layer.candidates = {
                {expert_of(state_.current[layer.layer], layer.expert), "incumbent"}};
            layer.tables = {ScoreTable(record_.batch.size(), record_.latents.samples)};
            layer.scores = {CandidateScore{}};
        }
    }

    void count_usage() {
        std::vector<TaskId> tasks = sampler_->all_tasks();
        const auto add = [&tasks](const std::vector<TaskId>& more) {
            tasks.insert(tasks.end(), more.begin(), more.end());
        };
        for (const LayerSearch& search : searches_) add(search.proposal_tasks());
        if (context_.job.backward_backend) {
            record_.backward_usage.emplace();
            for (const TaskId task : tasks) *record_.backward_usage += graph_.result(task).usage;
        }
        add(forward_->tasks());
        add(scores_->all_tasks());
        add_usage(graph_, tasks, record_);
    }

    const TrainContext& context_;
    const TrainState& state_;
    std::size_t depth_;
    StepRecord record_;
    std::size_t shown_count_ = 0;
    std::vector<PositionGroup> groups_;
    TaskGraph graph_;
    std::optional<ForwardPass> forward_;
    std::vector<TaskId> forward_read_;  // by group: its answers are in the record
    std::size_t forward_count_ = 0;
    bool has_error_ = false;
    std::vector<std::size_t> unreleased_;  // groups whose samples wait for an error elsewhere
    std::vector<bool> is_sampled_;
    std::vector<bool> is_released_;
    std::size_t latents_count_ = 0;
    std::vector<TaskId> log_q_tasks_;
    std::optional<LatentSampler> sampler_;
    std::optional<StepScores> scores_;
    std::optional<StepValues> values_;
    std::deque<LayerSearch> searches_;
};

}  // namespace

StepRecord run_step(const TrainContext& context, const TrainState& state) {
    return Step(context, state).run();
}

}  // namespace dln
