// A runner over two backends: which model gets what, and that neither holds up the other.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/engine/network_runner.hpp"

#include "support/small_job.hpp"

namespace dln {
namespace {

using testing::class_job;
using testing::dataset_of;
using ::testing::ElementsAre;
using testing::layer_of;
using ::testing::SizeIs;

/// Answers a request after so many polls of its own, and tells how long it was waited for.
class SlowBackend : public Backend {
  public:
    SlowBackend(std::string name, int polls, bool computes)
        : name_(std::move(name)), polls_(polls), computes_(computes) {}
    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }
    void submit(std::uint64_t id, Request request) override {
        const auto* generate = std::get_if<GenerateRequest>(&request);
        asked_.push_back(generate != nullptr ? "text" : "score");
        pending_.push_back({id, std::move(request), polls_});
    }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds timeout) override {
        EXPECT_FALSE(pending_.empty()) << name_ << " is polled with nothing to do";
        waited_ += timeout;
        std::vector<Completion> completed;
        if (--pending_.front().polls == 0) {
            completed.push_back(answer(pending_.front()));
            pending_.erase(pending_.begin());
        }
        return completed;
    }
    [[nodiscard]] bool computes_in_poll() const noexcept override { return computes_; }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override {
        return static_cast<std::size_t>(polls_);
    }
    [[nodiscard]] int count_tokens(const Context& context) override {
        return static_cast<int>(context.text.size());
    }
    [[nodiscard]] BackendCounts counts() const override { return {.sent = polls_}; }
    [[nodiscard]] std::chrono::milliseconds waited() const { return waited_; }
    [[nodiscard]] const std::vector<std::string>& asked() const { return asked_; }

  private:
    struct Pending {
        std::uint64_t id = 0;
        Request request;
        int polls = 1;
    };
    [[nodiscard]] Completion answer(const Pending& pending) const {
        Completion completion{.id = pending.id, .reply = {}, .usage = {.calls = 1}};
        if (const auto* score = std::get_if<ScoreRequest>(&pending.request)) {
            ScoreReply reply;
            for (const ScoreItem& item : score->items) {
                reply.scores.emplace_back(item.targets.size(), TargetScore{{-1.0}, {}});
            }
            completion.reply = reply;
        } else {
            const auto& items = std::get<GenerateRequest>(pending.request).items;
            completion.reply = GenerateReply{
                std::vector<GeneratedText>(items.size(), {.text = name_, .tokens = 1})};
        }
        return completion;
    }

    std::string name_;
    int polls_;
    bool computes_;
    BackendInfo info_;
    std::vector<Pending> pending_;
    std::vector<std::string> asked_;
    std::chrono::milliseconds waited_{0};
};

class TwoModels : public ::testing::Test {
  protected:
    void use(SlowBackend& forward, SlowBackend& backward) {
        job_ = class_job("L1 {{prompt}} [{{input}}]");
        job_.network.layers.insert(job_.network.layers.begin(),
                                   layer_of("H", "L0 {{prompt}} [{{input}}]"));
        splits_ = {dataset_of({{"a", "no"}})};
        network_.emplace(job_, splits_[0]);
        runner_.emplace(*network_, splits_, forward, 1, &backward);
    }
    void start_text(std::uint64_t id) {
        const GenerateRequest request{.items = {{{.text = "write"}, 1}}};
        runner_->start(id, make_generate_unit({.request = request}, ModelRole::backward).payload);
    }
    void start_scores(std::uint64_t id, ModelRole model) {
        runner_->start(
            id, make_text_units({.items = {{{.text = "c"}, "\nt"}}}, 1, model).at(0).payload);
    }
    void start_evaluation(std::uint64_t id) {
        const EvaluateUnit unit{.parameters = network_->initial_parameters(), .examples = {0}};
        runner_->start(id, make_evaluate_units(unit, 1, 2).at(0).payload);
    }
    /// Ids in the order of their ends.
    std::vector<std::uint64_t> finish(std::size_t count) {
        std::vector<std::uint64_t> ids;
        for (int turn = 0; ids.size() < count && turn < 1000; ++turn) {
            for (const auto& done : runner_->advance(std::chrono::milliseconds(40))) {
                ids.push_back(done.id);
            }
        }
        return ids;
    }
    NetworkRunner& runner() { return *runner_; }

  private:
    Job job_;
    std::vector<Dataset> splits_;
    std::optional<Network> network_;
    std::optional<NetworkRunner> runner_;
};

TEST_F(TwoModels, EachUnitGoesToItsModel) {
    SlowBackend forward("forward", 1, true);
    SlowBackend backward("backward", 1, true);
    use(forward, backward);
    EXPECT_TRUE(runner().has_backward());
    start_evaluation(1);
    start_text(2);
    start_scores(3, ModelRole::backward);
    start_scores(4, ModelRole::forward);
    EXPECT_THAT(finish(4), SizeIs(4));
    EXPECT_THAT(forward.asked(), ElementsAre("text", "score", "score"));
    EXPECT_THAT(backward.asked(), ElementsAre("text", "score"));
}

TEST_F(TwoModels, WantedUnitsAndCountsAreThoseOfEachBackend) {
    SlowBackend forward("forward", 2, true);
    SlowBackend backward("backward", 7, false);
    use(forward, backward);
    EXPECT_EQ(runner().wanted_units(ModelRole::forward), 2U);
    EXPECT_EQ(runner().wanted_units(ModelRole::backward), 7U);
    EXPECT_EQ(runner().counts().sent, 9);
}

TEST_F(TwoModels, OneThatComputesIsNotHeldUpByOneThatWaits) {
    SlowBackend forward("embedded", 5, true);
    SlowBackend backward("server", 100, false);
    use(forward, backward);
    start_text(1);
    for (std::uint64_t id = 2; id < 6; ++id) start_scores(id, ModelRole::forward);
    EXPECT_THAT(finish(4), ElementsAre(2, 3, 4, 5));
    EXPECT_EQ(backward.waited().count(), 0) << "the other one had work to do";
    EXPECT_THAT(finish(1), ElementsAre(1));
    EXPECT_EQ(backward.waited().count(), (100 - 20) * 40) << "then there was nothing else to do";
}

TEST_F(TwoModels, BothThatComputeTakeTurns) {
    SlowBackend forward("one", 5, true);
    SlowBackend backward("other", 2, true);
    use(forward, backward);
    start_scores(10, ModelRole::forward);
    for (std::uint64_t id = 20; id < 23; ++id) start_text(id);
    EXPECT_THAT(finish(4), ElementsAre(20, 21, 10, 22));
}

TEST_F(TwoModels, TwoServersAreWaitedForInTurnAndNeverWithoutAPause) {
    SlowBackend forward("one", 50, false);
    SlowBackend backward("other", 30, false);
    use(forward, backward);
    start_scores(1, ModelRole::forward);
    start_text(2);
    EXPECT_THAT(finish(1), ElementsAre(2));
    // A millisecond at least in each of 30 turns, half of them each; the last one may have ended at once.
    EXPECT_GE(forward.waited().count(), 14);
    EXPECT_GE(backward.waited().count(), 14);
    EXPECT_THAT(finish(1), ElementsAre(1));
}

}  // namespace
}  // namespace dln
