#include "train/plan_rehearsed.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dln/train/evaluate.hpp"
#include "dln/train/trainer.hpp"

#include "train/plan_assembly.hpp"
#include "train/plan_spread.hpp"
#include "train/rehearsal.hpp"

namespace dln {
namespace {

constexpr double kFewestRuns = 16.0;
constexpr double kMostRuns = 48.0;
constexpr std::int64_t kFewestSteps = 4;
// The first rehearsal, in which the model writes texts.
constexpr std::int64_t kStepsToLearn = 3;
// Texts of a kind.
constexpr double kFewestTexts = 12.0;
constexpr double kMostTexts = 96.0;
constexpr double kShareOfRun = 1.0 / 40.0;
// Examples that the network is asked about for its share of right answers.
constexpr std::size_t kAnswers = 48;

class RehearsedPlanner {
  public:
    RehearsedPlanner(const Job& job,
                     const Network& network,
                     const std::vector<Dataset>& splits,
                     const PlannedModels& models,
                     const PlanOptions& options)
        : job_(job),
          network_(network),
          splits_(splits),
          models_(models),
          options_(options),
          texts_(job, models, options.samples_texts ? texts_to_sample() : 0),
          spreads_(expected_spreads()) {}

    Plan run() {
        Plan plan{.steps = job_.train.steps};
        plan.dev_rounds = dev_rounds(job_.train, !splits_[kDevSplit].empty());
        learn(plan);
        measure(plan);
        expect(plan);
        bound(plan);
        tell_basis(plan);
        add_probe(job_.backend, models_.forward, options_.samples_texts, texts_.mean_density(),
                  texts_.begin_bytes(), plan);
        return plan;
    }

  private:
    [[nodiscard]] double scores_a_step() const {
        const TrainSpec& train = job_.train;
        const double samples =
            network_.depth() == 1 ? 1.0 : static_cast<double>(train.posterior.samples);
        const double candidates = static_cast<double>(train.candidates + train.memory) *
                                  static_cast<double>(train.hidden_steps);
        return static_cast<double>(train.batch_size) * samples * candidates *
               static_cast<double>(network_.depth());
    }

    [[nodiscard]] std::size_t texts_to_sample() const {
        const double scores = scores_a_step() * static_cast<double>(job_.train.steps);
        return static_cast<std::size_t>(std::clamp(kShareOfRun * scores, kFewestTexts, kMostTexts));
    }

    [[nodiscard]] Rehearsed rehearsed(const RehearsalMood& mood, std::int64_t steps) {
        return rehearse(job_, network_, splits_, models_, texts_, mood, steps);
    }

    // Texts of all kinds are written: some answers are wrong.
    void learn(Plan& plan) {
        Rehearsed seen = rehearsed({.right = 0.5}, std::min(job_.train.steps, kStepsToLearn));
        texts_.close();
        plan.basis.prompts = std::move(seen.prompts);
        plan.basis.requests = std::move(seen.requests);
        last_prompts_ = std::move(seen.last_prompts);
        plan.basis.right = static_cast<double>(texts_.right());
        plan.basis.answers = texts_.answers();
    }

    void measure(Plan& plan) {
        plan.basis.is_chance_measured = options_.engine != nullptr;
        if (options_.engine == nullptr || splits_[kTrainSplit].empty()) return;
        if (network_.layer(network_.depth() - 1).train) {
            spreads_ = measured_spreads(job_, network_, splits_, *options_.engine, last_prompts_);
        }
        plan.basis.sent += spreads_.sent;
        ask_for_answers(plan);
    }

    void ask_for_answers(Plan& plan) {
        const Dataset& train = splits_[kTrainSplit];
        std::vector<std::uint64_t> examples;
        const std::size_t count = std::min(kAnswers, train.size());
        for (std::size_t i = 0; i < count; ++i) examples.push_back(i * train.size() / count);
        const Measure measure = network_.has_classes() ? Measure::classes : Measure::correct;
        TaskGraph graph;
        const EvaluationTasks tasks =
            add_calibrated_evaluation(graph, network_,
                                      {.parameters = network_.initial_parameters(),
                                       .measure = measure,
                                       .split = kTrainSplit,
                                       .examples = examples,
                                       .step = 0,
                                       .want_texts = false});
        options_.engine->run(graph);
        const EvaluationReading reading =
            read_evaluation(network_, graph, tasks, measure, train, examples);
        plan.basis.sent += reading.usage;
        for (const ExampleOutcome& outcome : reading.outcomes) {
            plan.basis.answers += outcome.measured ? 1U : 0U;
            plan.basis.right += outcome.measured && outcome.right ? 1.0 : 0.0;
        }
    }

    void expect(Plan& plan) {
        const auto all = std::max<std::int64_t>(job_.train.steps, 0);
        const double a_step = std::max(scores_a_step(), 1.0);
        const auto fit = static_cast<std::int64_t>(options_.drawn_scores / kFewestRuns / a_step);
        const std::int64_t steps = std::min(all, std::max(fit, kFewestSteps));
        const double in_a_run = a_step * static_cast<double>(std::max<std::int64_t>(steps, 1));
        const auto runs = static_cast<std::size_t>(
            std::clamp(options_.drawn_scores / in_a_run, kFewestRuns, kMostRuns));
        std::vector<Course> courses;
        RequestChain chains;
        for (std::size_t run = 0; run < runs; ++run) {
            Rehearsed seen = rehearsed(mood_of(run, runs, plan.basis), steps);
            stretch(seen, steps, plan);
            chains += seen.training_chain;
            raise(plan.step_chain, seen.step_chain);
            raise(plan.dev_chain, seen.dev_chain);
            raise(plan.test_chain, seen.test_chain);
            usable_ += seen.usable / static_cast<double>(runs);
            raise(seen_most_.steps, seen.course.steps);
            raise(seen_most_.dev, seen.course.dev);
            raise(seen_most_.test, seen.course.test);
            courses.push_back(seen.course);
        }
        sum_up(courses, plan);
        const auto mean = [&](std::int64_t sum) {
            return std::llround(static_cast<double>(sum) / static_cast<double>(runs));
        };
        plan.training_chain = {.scores = mean(chains.scores), .texts = mean(chains.texts)};
    }

    // Spread and share of right answers take all their values in all runs together.
    [[nodiscard]] RehearsalMood mood_of(std::size_t run,
                                        std::size_t runs,
                                        const PlanBasis& basis) const {
        constexpr double kGolden = 0.6180339887498949;
        const double place = (static_cast<double>(run) + 0.5) / static_cast<double>(runs);
        double whole = 0.0;
        const double other = std::modf(place + kGolden * static_cast<double>(run), &whole);
        const double chance =
            network_.has_classes() ? 1.0 / static_cast<double>(network_.classes().size()) : 0.0;
        constexpr double kMostNoise = 8.0;
        RehearsalMood mood{.number = run + 1,
                           .right = share_of_right(chance, basis.right, basis.answers, other),
                           .spread = spreads_.at(place)};
        mood.own_noise = std::min(spreads_.own_noise.value_or(mood.own_noise), kMostNoise);
        return mood;
    }

    // A long run's later steps are as those that were rehearsed.
    void stretch(Rehearsed& seen, std::int64_t steps, const Plan& plan) const {
        if (steps >= plan.steps || steps == 0) return;
        const double factor = static_cast<double>(plan.steps) / static_cast<double>(steps);
        TrainSpec rehearsed = job_.train;
        rehearsed.steps = steps;
        const auto rounds = dev_rounds(rehearsed, plan.dev_rounds > 0);
        const double dev_factor =
            rounds == 0 ? 0.0 : static_cast<double>(plan.dev_rounds) / static_cast<double>(rounds);
        Course& course = seen.course;
        // By then the memory is full, and prompts are proposed ones.
        const std::size_t half = seen.by_step.size() / 2;
        const double later = static_cast<double>(plan.steps - steps) /
                             static_cast<double>(seen.by_step.size() - half);
        for (std::size_t s = half; s < seen.by_step.size(); ++s) {
            course.steps += seen.by_step[s] * later;
        }
        course.recalled = course.recalled * factor;
        course.candidates *= factor;
        course.wins *= factor;
        course.dev = course.dev * dev_factor;
        course.dev_evaluations *= dev_factor;
        for (std::int64_t* links : {&seen.training_chain.scores, &seen.training_chain.texts}) {
            *links = std::llround(static_cast<double>(*links) * factor);
        }
    }

    void bound(Plan& plan) {
        const auto fit =
            static_cast<std::int64_t>(options_.drawn_scores / std::max(scores_a_step(), 1.0));
        const std::int64_t steps = std::min(plan.steps, std::max(fit, kFewestSteps));
        Rehearsed most = rehearsed({.right = 0.0, .is_most = true}, steps);
        stretch(most, steps, plan);
        plan.training.most = most.course.steps;
        plan.dev.most = most.course.dev;
        plan.test.most = most.course.test;
        // Nothing says that the worst of the rehearsals is worse than all others.
        raise(plan.training.most, seen_most_.steps);
        raise(plan.dev.most, seen_most_.dev);
        raise(plan.test.most, seen_most_.test);
    }

    void tell_basis(Plan& plan) const {
        PlanBasis& basis = plan.basis;
        const std::size_t last = network_.depth() - 1;
        basis.replies = texts_.length(TextPurpose::proposal, std::nullopt);
        basis.outputs = texts_.length(TextPurpose::other, last);
        for (std::size_t l = 0; l < last; ++l) {
            basis.latents.push_back(texts_.length(TextPurpose::other, l));
            basis.samples.push_back(texts_.length(TextPurpose::sample, l));
        }
        basis.usable = usable_;
        basis.is_rehearsed = true;
        basis.chance = spreads_.weights.front();
        basis.sent += texts_.sent(ModelRole::forward);
        // One backend is one model, whatever it is asked for.
        (job_.backward_backend ? basis.sent_backward : basis.sent) +=
            texts_.sent(ModelRole::backward);
    }

    const Job& job_;
    const Network& network_;
    const std::vector<Dataset>& splits_;
    PlannedModels models_;
    PlanOptions options_;
    RehearsedTexts texts_;
    Spreads spreads_;
    std::vector<std::string> last_prompts_;
    Course seen_most_;  // of the rehearsals of expect(): each number's greatest
    double usable_ = 0.0;
};

}  // namespace

Plan make_rehearsed_plan(const Job& job,
                         const Network& network,
                         const std::vector<Dataset>& splits,
                         const PlannedModels& models,
                         const PlanOptions& options) {
    return RehearsedPlanner(job, network, splits, models, options).run();
}

}  // namespace dln
