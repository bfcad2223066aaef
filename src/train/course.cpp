#include "train/course.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <optional>
#include <set>

namespace dln {
namespace {

double normal(CounterRng& random) {
    const double u = 1.0 - random.uniform();
    const double v = random.uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

struct Candidate {
    std::size_t prompt = 0;
    std::size_t template_index = 0;
    friend auto operator<=>(const Candidate&, const Candidate&) = default;
};

/// What is known of a candidate. Qualities and scores are in units of a batch's noise, or shares of right
/// answers.
struct Known {
    double quality = 0.0;
    std::optional<double> dev;
    std::set<std::uint64_t> asked;  // training examples, in earlier steps
};

class Simulation {
  public:
    Simulation(const CourseSpec& spec, double spread, CounterRng& random)
        : spec_(spec),
          spread_(spread),
          random_(random),
          batch_(spec.steps.empty() ? 1.0 : std::max(spec.steps.front().ranked.count, 1.0)),
          prompts_(spec.initial) {}

    Course run() {
        if (spec_.train.eval_initial) evaluate_dev({current_});
        for (std::size_t s = 0; s < spec_.steps.size(); ++s) {
            const std::vector<Scored> ranked = step(s);
            const bool is_last = s + 1 == spec_.steps.size();
            const auto every = static_cast<std::size_t>(spec_.train.eval_every);
            if ((s + 1) % every == 0 || is_last) evaluate_dev(worth_evaluating(ranked));
        }
        evaluate_test();
        return course_;
    }

  private:
    struct Scored {
        Candidate candidate;
        double score = 0.0;
    };

    std::vector<Scored> step(std::size_t s) {
        const CourseStep& step = spec_.steps[s];
        std::vector<Scored> scored;
        if (!spec_.forward_is_score) {
            course_.steps += spec_.cost(PlannedMeasure::forward, prompts_[current_.prompt],
                                        current_.template_index, step.batch);
        }
        for (const Candidate& candidate : known_candidates(s == 0)) add(candidate, step, scored);
        const std::size_t template_index = best(scored).template_index;
        if (!nothing_to_learn(step)) {
            course_.steps.texts += step.proposals;
            for (std::size_t i = 1; i < spec_.train.candidates; ++i) {
                const auto made = proposed(s, i - 1);
                if (!made) continue;
                prompts_.push_back(spec_.proposed[*made]);
                add({prompts_.size() - 1, template_index}, step, scored);
            }
        }
        tried_in_templates_ = current_.prompt;
        const Candidate winner = best(scored);
        course_.wins += winner == current_ ? 0.0 : 1.0;
        course_.candidates += static_cast<double>(scored.size());
        current_ = winner;
        return scored;
    }

    // What becomes of a proposal; none: no candidate.
    std::optional<std::size_t> proposed(std::size_t step, std::size_t index) {
        if (step == 0 && index < spec_.first_step.size()) return spec_.first_step[index];
        if (random_.uniform() >= spec_.usable) return std::nullopt;
        return random_.below(spec_.proposed.size());
    }

    [[nodiscard]] std::vector<Candidate> known_candidates(bool is_first) const {
        std::vector<Candidate> known{current_};
        known.insert(known.end(), memory_.begin(), memory_.end());
        if (is_first) {
            for (std::size_t p = 0; p < spec_.initial.size(); ++p) {
                known.push_back({p, current_.template_index});
            }
        }
        if (tried_in_templates_ != current_.prompt) {
            for (std::size_t t = 0; t < spec_.templates; ++t) known.push_back({current_.prompt, t});
        }
        return known;
    }

    void add(const Candidate& candidate, const CourseStep& step, std::vector<Scored>& scored) {
        const auto is_same = [&](const Scored& other) { return other.candidate == candidate; };
        if (std::ranges::any_of(scored, is_same)) return;
        Known& known = know(candidate);
        const PlannedWork work = spec_.cost(PlannedMeasure::score, prompts_[candidate.prompt],
                                            candidate.template_index, step.ranked);
        const double to_pay = share_to_pay(known, step);
        course_.steps += work * to_pay;
        course_.recalled += work * (1.0 - to_pay);
        calibrate(candidate, course_.steps);
        const bool is_first = &step == &spec_.steps.front();
        const auto measured = is_first ? measured_score(candidate) : std::nullopt;
        scored.push_back({candidate, measured ? draw_rest(known, *measured)
                                              : draw_score(known, step.ranked.count)});
    }

    // Known content-free scores are recalled where a candidate's known examples are, or where it was evaluated.
    void calibrate(const Candidate& candidate, PlannedWork& part) {
        if (spec_.content_free.count == 0.0) return;
        const bool is_known = !calibrated_.insert(candidate).second && spec_.recalls_calibration;
        (is_known ? course_.recalled : part) +=
            spec_.cost(PlannedMeasure::calibration, prompts_[candidate.prompt],
                       candidate.template_index, spec_.content_free);
    }

    [[nodiscard]] std::optional<double> measured_score(const Candidate& candidate) const {
        if (spec_.counts_right || candidate.template_index != 0) return std::nullopt;
        return prompts_[candidate.prompt].measured;
    }

    // The score on a batch some of whose examples were measured before.
    [[nodiscard]] double draw_rest(const Known& known, double measured) {
        const double share = std::min(spec_.measured_on / batch_, 1.0);
        return share * measured + (1.0 - share) * known.quality +
               std::sqrt(1.0 - share) * normal(random_);
    }

    double share_to_pay(Known& known, const CourseStep& step) const {
        if (!spec_.recalls_scores || step.ranked_on.empty()) return 1.0;
        std::size_t fresh = 0;
        for (const std::uint64_t example : step.ranked_on) {
            fresh += known.asked.insert(example).second ? 1U : 0U;
        }
        return static_cast<double>(fresh) / static_cast<double>(step.ranked_on.size());
    }

    // Noise is 1 on as many examples as the first step ranks on; larger sets of examples have less.
    [[nodiscard]] double draw_score(const Known& known, double examples) {
        if (!spec_.counts_right) {
            return known.quality + normal(random_) * std::sqrt(batch_ / std::max(examples, 1.0));
        }
        const double share = std::clamp(known.quality, 0.0, 1.0);
        const double noise = std::sqrt(share * (1.0 - share) / std::max(examples, 1.0));
        const double drawn = std::clamp(share + normal(random_) * noise, 0.0, 1.0);
        return std::round(drawn * examples) / std::max(examples, 1.0);
    }

    [[nodiscard]] bool nothing_to_learn(const CourseStep& step) {
        if (!spec_.counts_right) return false;
        const double share = std::clamp(know(current_).quality, 0.0, 1.0);
        return random_.uniform() < std::pow(share, step.batch.count);
    }

    Known& know(const Candidate& candidate) {
        const auto [place, is_new] = known_.try_emplace(candidate);
        Known& known = place->second;
        if (!is_new) return known;
        const double drawn = draw_quality(measured_score(candidate));
        const double unit = std::sqrt(spec_.right * (1.0 - spec_.right) / batch_);
        known.quality = spec_.counts_right ? spec_.right + drawn * unit : drawn;
        return known;
    }

    // Around 0, or around what was measured, as far as prompts differ more than chance has it.
    double draw_quality(const std::optional<double>& measured) {
        if (!measured) return spread_ * normal(random_);
        const double chance = batch_ / std::max(spec_.measured_on, 1.0);
        const double share = spread_ * spread_ / (spread_ * spread_ + chance);
        return share * *measured + std::sqrt(share * chance) * normal(random_);
    }

    // The incumbent comes first and wins ties.
    [[nodiscard]] static Candidate best(const std::vector<Scored>& scored) {
        return std::ranges::max_element(scored, {}, &Scored::score)->candidate;
    }

    [[nodiscard]] std::vector<Candidate> worth_evaluating(std::vector<Scored> scored) const {
        std::ranges::stable_sort(scored, std::greater(), &Scored::score);
        std::vector<Candidate> worth{current_};
        for (const Scored& next : scored) {
            if (worth.size() >= spec_.train.eval_candidates) break;
            if (next.candidate != current_) worth.push_back(next.candidate);
        }
        return worth;
    }

    void evaluate_dev(const std::vector<Candidate>& worth) {
        if (spec_.dev.count == 0.0) return;
        bool gained = false;
        for (const Candidate& candidate : worth) {
            const double result = dev_result(candidate);
            remember(candidate, result);
            if (best_ && result <= best_->score) continue;
            best_ = Scored{candidate, result};
            gained = true;
        }
        without_gain_ = gained ? 0 : without_gain_ + 1;
        if (spec_.train.tolerance == 0 || without_gain_ < spec_.train.tolerance) return;
        current_ = best_->candidate;
        without_gain_ = 0;
    }

    double dev_result(const Candidate& candidate) {
        Known& known = know(candidate);
        const bool is_held = (best_ && best_->candidate == candidate) ||
                             std::ranges::find(memory_, candidate) != memory_.end();
        if (!is_held) {
            const bool is_recalled = known.dev && spec_.recalls_evaluations;
            (is_recalled ? course_.recalled : course_.dev) +=
                spec_.cost(PlannedMeasure::evaluation, prompts_[candidate.prompt],
                           candidate.template_index, spec_.dev);
            course_.dev_evaluations += is_recalled ? 0.0 : 1.0;
            calibrate(candidate, course_.dev);
        }
        if (!known.dev) known.dev = draw_score(known, spec_.dev.count);
        return *known.dev;
    }

    void remember(const Candidate& candidate, double result) {
        std::erase(memory_, candidate);
        const auto place = std::ranges::find_if(
            memory_, [&](const Candidate& entry) { return result > *know(entry).dev; });
        memory_.insert(place, candidate);
        if (memory_.size() > spec_.train.memory) memory_.resize(spec_.train.memory);
    }

    void evaluate_test() {
        if (spec_.test.count == 0.0) return;
        const Candidate trained = best_ ? best_->candidate : current_;
        course_.test += spec_.cost(PlannedMeasure::evaluation, prompts_[trained.prompt],
                                   trained.template_index, spec_.test);
        calibrate(trained, course_.test);
        if (trained == Candidate{}) return;
        course_.test +=
            spec_.cost(PlannedMeasure::evaluation, spec_.initial.front(), 0, spec_.test);
        calibrate({}, course_.test);
    }

    const CourseSpec& spec_;
    double spread_;
    CounterRng& random_;
    Course course_;
    double batch_;  // examples that candidates of the first step are scored on
    std::vector<PlannedPrompt> prompts_;  // the initial ones, then those that were proposed
    std::map<Candidate, Known> known_;
    std::set<Candidate> calibrated_;  // content-free inputs were scored
    Candidate current_;
    std::optional<Scored> best_;  // on dev
    std::vector<Candidate> memory_;
    std::optional<std::size_t> tried_in_templates_;
    std::size_t without_gain_ = 0;
};

// The dearest of all prompts and templates.
PlannedWork dearest(const CourseSpec& spec, PlannedMeasure measure, const ExampleSums& examples) {
    std::vector<PlannedPrompt> prompts = spec.initial;
    prompts.insert(prompts.end(), spec.proposed.begin(), spec.proposed.end());
    PlannedWork most;
    for (const PlannedPrompt& prompt : prompts) {
        for (std::size_t t = 0; t < spec.templates; ++t) {
            raise(most, spec.cost(measure, prompt, t, examples));
        }
    }
    return most;
}

void raise(RequestCost& most, const RequestCost& one) {
    for (const auto number : kRequestCostNumbers) {
        most.*number = std::max(most.*number, one.*number);
    }
}

}  // namespace

void raise(PlannedWork& most, const PlannedWork& one) {
    raise(most.scores, one.scores);
    raise(most.texts, one.texts);
}

Course simulate_course(const CourseSpec& spec, double spread, CounterRng& random) {
    return Simulation(spec, spread, random).run();
}

Course most_of_course(const CourseSpec& spec) {
    Course course;
    const PlannedWork calibration =
        spec.content_free.count > 0.0
            ? dearest(spec, PlannedMeasure::calibration, spec.content_free)
            : PlannedWork();
    const double known = 1.0 + static_cast<double>(spec.train.memory + spec.templates - 1);
    for (std::size_t s = 0; s < spec.steps.size(); ++s) {
        const CourseStep& step = spec.steps[s];
        const double candidates = known + static_cast<double>(spec.train.candidates - 1) +
                                  (s == 0 ? static_cast<double>(spec.initial.size() - 1) : 0.0);
        if (!spec.forward_is_score) {
            course.steps += dearest(spec, PlannedMeasure::forward, step.batch);
        }
        course.steps += dearest(spec, PlannedMeasure::score, step.ranked) * candidates;
        course.steps += calibration * candidates;
        course.steps.texts += step.proposals;
        course.candidates += candidates;
    }
    if (spec.dev.count > 0.0) {
        const auto steps = static_cast<std::int64_t>(spec.steps.size());
        const std::int64_t rounds = (steps + spec.train.eval_every - 1) / spec.train.eval_every;
        course.dev_evaluations =
            static_cast<double>(rounds) *
                static_cast<double>(std::max<std::size_t>(spec.train.eval_candidates, 1)) +
            (spec.train.eval_initial ? 1.0 : 0.0);
        course.dev = dearest(spec, PlannedMeasure::evaluation, spec.dev) * course.dev_evaluations;
        course.dev += calibration * course.dev_evaluations;
    }
    if (spec.test.count > 0.0) {
        const double evaluations = spec.steps.empty() ? 1.0 : 2.0;
        course.test = dearest(spec, PlannedMeasure::evaluation, spec.test) * evaluations;
        course.test += calibration * evaluations;
    }
    return course;
}

}  // namespace dln
