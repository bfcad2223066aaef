// How fast a backend answers a job's requests, and what that makes of a plan's time.

#include <algorithm>
#include <chrono>
#include <cmath>

#include "dln/train/evaluate.hpp"
#include "dln/train/plan.hpp"
#include "dln/train/propose.hpp"

#include "train/plan_texts.hpp"

namespace dln {
namespace {

// More than this is not asked for, however many the job allows in flight.
constexpr std::size_t kMostRequests = 128;
constexpr std::size_t kMostTexts = 16;

struct Timed {
    double seconds = 0.0;
    Usage usage;
};

Timed timed(Backend& backend, std::vector<Request> requests) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    Timed result;
    for (const Completion& completion : run_requests(backend, std::move(requests))) {
        result.usage += completion.usage;
    }
    result.seconds = std::max(std::chrono::duration<double>(Clock::now() - start).count(), 1e-9);
    return result;
}

class SpeedTest {
  public:
    SpeedTest(const Job& job,
              const Network& network,
              const std::vector<Dataset>& splits,
              Backend& backend,
              const PlanBasis& basis,
              int ranks)
        : job_(job),
          network_(network),
          splits_(splits),
          backend_(backend),
          proposed_(basis.prompts),
          requests_(basis.requests),
          ranks_(ranks) {
        if (!is_http()) return;
        std::size_t all = 0;
        for (const EndpointSpec& endpoint : job.backend.endpoints) all += endpoint.in_flight;
        // Rank 0 measures alone, with its share of what the job allows.
        in_flight_ = std::max<std::size_t>(all / static_cast<std::size_t>(ranks), 1);
    }

    PlanSpeed run() {
        PlanSpeed speed{.in_flight = in_flight_};
        if (splits_[kTrainSplit].empty()) return speed;
        measure_scores(speed);
        measure_texts(speed);
        if (!is_http()) {
            speed.scores_per_second *= ranks_;
            speed.texts_per_second *= ranks_;
        }
        add_limits(speed);
        return speed;
    }

  private:
    [[nodiscard]] bool is_http() const { return job_.backend.kind == BackendKind::http; }

    [[nodiscard]] ScoreItem score_item(std::size_t i) const {
        const Dataset& train = splits_[kTrainSplit];
        const Example example = train[i % train.size()];
        const std::size_t last = network_.depth() - 1;
        LayerParameters parameters = network_.initial_parameters().back();
        // Most candidates of a run are proposals, one is not, and so is what dev and test compare them with.
        const std::size_t every = std::max<std::size_t>(job_.train.candidates, 2);
        if (!proposed_.empty() && i % every != 0) {
            parameters.prompt = proposed_[i % proposed_.size()];
        }
        ScoreItem item{network_.context(last, parameters, example.input), {}};
        if (network_.has_classes()) {
            item.targets = network_.class_forms(parameters.template_index).targets;
        } else {
            item.targets.push_back(network_.separator(last, parameters.template_index) +
                                   std::string(example.target));
        }
        return item;
    }

    void measure_scores(PlanSpeed& speed) {
        if (!scores_texts()) return;
        const Timed alone = timed(backend_, {ScoreRequest{{first_score()}}});
        speed.sent += alone.usage;
        speed.score_seconds = alone.seconds;
        // Twice what may be in flight, so that beginning and end do not count for much.
        const std::size_t each = std::max<std::size_t>(score_item(0).targets.size(), 1);
        const std::size_t items = std::clamp<std::size_t>(
            2 * in_flight_ / each, 2, std::max<std::size_t>(kMostRequests / each, 2));
        const std::size_t block = network_.scoring().block;
        std::vector<Request> units = sampled_scores(items);
        for (std::size_t first = 0; units.empty() && first < items; first += block) {
            ScoreRequest unit;
            for (std::size_t i = first; i < std::min(first + block, items); ++i) {
                unit.items.push_back(score_item(i + 2));
            }
            units.emplace_back(std::move(unit));
        }
        const Timed many = timed(backend_, std::move(units));
        speed.sent += many.usage;
        speed.scores_per_second = static_cast<double>(many.usage.requests) / many.seconds;
    }

    // With a rehearsed run's requests at hand; a part of them.
    [[nodiscard]] bool is_sampled() const {
        return !requests_.scores.empty() || !requests_.texts.empty();
    }

    [[nodiscard]] bool scores_texts() const {
        return is_sampled() ? !requests_.scores.empty() : measure_for(network_) != Measure::correct;
    }

    [[nodiscard]] ScoreItem first_score() const {
        return is_sampled() ? requests_.scores.front().items.front() : score_item(1);
    }

    // Evenly over the run, of at least `items` items where there are so many.
    [[nodiscard]] std::vector<Request> sampled_scores(std::size_t items) const {
        std::vector<Request> units;
        const std::size_t count = requests_.scores.size();
        const std::size_t each = std::max<std::size_t>(network_.scoring().block, 1);
        const std::size_t wanted = std::min((items + each - 1) / each, count);
        for (std::size_t i = 0; i < wanted; ++i) {
            units.emplace_back(requests_.scores[i * count / wanted]);
        }
        return units;
    }

    [[nodiscard]] std::vector<Request> sampled_texts(std::size_t first, std::size_t count) const {
        std::vector<Request> units;
        for (std::size_t i = 0; i < std::min(count, requests_.texts.size()); ++i) {
            units.emplace_back(requests_.texts[(first + i) % requests_.texts.size()]);
        }
        return units;
    }

    [[nodiscard]] std::vector<Request> text_requests(std::size_t first, std::size_t count) const {
        if (is_sampled()) return sampled_texts(first, count);
        const Proposer proposer(job_.train.proposals);
        const ProposalInput input =
            expected_proposal_input(job_, network_, splits_[kTrainSplit], 0, 0.5, {});
        std::vector<Request> requests;
        for (std::size_t i = 0; proposer.asks_model() && requests.size() < count; ++i) {
            if (!proposer.asks_model(i)) continue;
            if (first > 0) {
                --first;
                continue;
            }
            auto item = proposer.item(input, i, [](const Context&) { return true; });
            const ProposalTemplateSpec& asked =
                job_.train.proposals.templates[proposer.template_index(i)];
            GenerateRequest request = proposer.without_items(asked.prompts_a_reply);
            request.items.push_back(std::move(*item));
            requests.emplace_back(std::move(request));
        }
        return requests;
    }

    void measure_texts(PlanSpeed& speed) {
        if (!is_sampled() && job_.train.candidates < 2) return;
        std::vector<Request> first = text_requests(0, 1);
        if (first.empty()) return;
        const Timed alone = timed(backend_, std::move(first));
        speed.sent += alone.usage;
        speed.text_seconds = alone.seconds;
        const std::size_t count = std::clamp<std::size_t>(2 * in_flight_, 2, kMostTexts);
        const Timed many = timed(backend_, text_requests(1, count));
        speed.sent += many.usage;
        speed.texts_per_second = static_cast<double>(many.usage.requests) / many.seconds;
    }

    void add_limits(PlanSpeed& speed) const {
        if (!is_http()) return;
        const auto all = [&](std::int64_t EndpointSpec::*limit) {
            double sum = 0.0;
            for (const EndpointSpec& endpoint : job_.backend.endpoints) {
                if (endpoint.*limit == 0) return 0.0;
                sum += static_cast<double>(endpoint.*limit);
            }
            return sum;
        };
        speed.requests_per_minute = all(&EndpointSpec::requests_per_minute);
        speed.tokens_per_minute = all(&EndpointSpec::tokens_per_minute);
    }

    const Job& job_;
    const Network& network_;
    const std::vector<Dataset>& splits_;
    Backend& backend_;
    const std::vector<std::string>& proposed_;
    const SampledRequests& requests_;
    int ranks_;
    std::size_t in_flight_ = 1;
};

double divided(double amount, double rate) { return rate > 0.0 ? amount / rate : 0.0; }

}  // namespace

PlanSpeed measure_speed(const Job& job,
                        const Network& network,
                        const std::vector<Dataset>& splits,
                        Backend& backend,
                        const PlanBasis& basis,
                        int ranks) {
    return SpeedTest(job, network, splits, backend, basis, ranks).run();
}

PlanTime time_of(const Plan& plan, const PlanSpeed& speed) {
    PlanTime time;
    const auto add = [&](const PlannedWork& work, const RequestChain& chain, std::int64_t times) {
        if (times == 0) return;
        const auto count = static_cast<double>(times);
        const double chained = count * (static_cast<double>(chain.scores) * speed.score_seconds +
                                        static_cast<double>(chain.texts) * speed.text_seconds);
        const RequestCost sum = work.sum();
        const double worked = std::max(
            {divided(work.scores.requests, speed.scores_per_second) +
                 divided(work.texts.requests, speed.texts_per_second),
             60.0 * divided(sum.requests, speed.requests_per_minute),
             60.0 * divided(sum.input_tokens + sum.output_tokens, speed.tokens_per_minute)});
        time.chain_seconds += chained;
        time.seconds += std::max(chained, worked);
    };
    add(plan.training.expected, plan.training_chain, plan.steps > 0 ? 1 : 0);
    add(plan.dev.expected, plan.dev_chain, plan.dev_rounds);
    add(plan.test.expected, plan.test_chain, plan.test_chain.length() > 0 ? 1 : 0);
    return time;
}

}  // namespace dln
