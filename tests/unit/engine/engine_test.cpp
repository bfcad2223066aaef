// The engine on one rank, with a runner that completes units in any order.

#include "dln/engine/engine.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

#include "unit/engine/fake_runner.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::fake_table;
using testing::fake_text;
using testing::fake_unit;
using testing::fake_units;
using testing::FakeRunner;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

Task task_of(std::vector<Unit> units, std::size_t cells, std::vector<TaskId> needs = {}) {
    return {.needs = std::move(needs),
            .expand = [units = std::move(units)] { return units; },
            .cells = cells};
}

class EngineTest : public ::testing::Test {
  protected:
    void run() { engine_.run(graph_); }
    TaskGraph& graph() { return graph_; }
    const testing::FakeRunner& runner() const { return runner_; }
    Engine& engine() { return engine_; }

  private:
    std::unique_ptr<Communicator> comm_ = make_local_communicator();
    testing::FakeRunner runner_;
    Engine engine_{*comm_, runner_};
    TaskGraph graph_;
};

TEST_F(EngineTest, ResultsAreByIndexWhateverTheOrderOfCompletion) {
    const TaskId task = graph().add(task_of(fake_units(20, 3), 60));
    run();
    EXPECT_FALSE(std::ranges::is_sorted(runner().order()));
    EXPECT_EQ(graph().result(task).table, fake_table(20, 3));
    ASSERT_THAT(graph().result(task).texts, SizeIs(20));
    for (int i = 0; i < 20; ++i) {
        EXPECT_THAT(graph().result(task).texts[static_cast<std::size_t>(i)],
                    ElementsAre(fake_text(i)));
    }
}

TEST_F(EngineTest, FailuresAreCountedAndTheFirstIsTheFirstByIndex) {
    // Units 2, 6, 10 fail; 2 is completed after 10.
    const TaskId task = graph().add(task_of(fake_units(12, 1), 12));
    run();
    EXPECT_EQ(graph().result(task).failures, 3);
    EXPECT_EQ(graph().result(task).first_failure, "unit 2");
    EXPECT_EQ(graph().result(task).usage, (Usage{.calls = 12, .standalone_tokens = 66}));
}

TEST_F(EngineTest, CellsThatNoUnitFillsAreZero) {
    const TaskId task = graph().add(task_of({fake_unit(1, 2, 1)}, 5));
    const TaskId none = graph().add(task_of({}, 2));
    run();
    EXPECT_THAT(graph().result(task).table, ElementsAre(0, 0, 100, 0, 0));
    EXPECT_THAT(graph().result(none).table, ElementsAre(0, 0));
}

TEST_F(EngineTest, TaskWithoutATableStillHasTexts) {
    const TaskId task = graph().add(task_of({fake_unit(4, 0, 0)}, 0));
    run();
    EXPECT_THAT(graph().result(task).table, IsEmpty());
    EXPECT_THAT(graph().result(task).texts, ElementsAre(ElementsAre(fake_text(4))));
}

TEST_F(EngineTest, TaskSeesTheResultsOfWhatItNeeds) {
    const TaskId first = graph().add(task_of({fake_unit(3, 0, 1)}, 1));
    const TaskId second =
        graph().add({.needs = {first},
                     .expand =
                         [this, first] {
                             const auto cell = graph().result(first).table.at(0);
                             return std::vector{fake_unit(static_cast<int>(cell) + 1, 0, 1)};
                         },
                     .cells = 1});
    run();
    EXPECT_THAT(graph().result(second).table, ElementsAre(30100));
}

TEST_F(EngineTest, GraphMayGrowWhileItRuns) {
    std::vector<TaskId> grown;
    const TaskId seed = graph().add(task_of(fake_units(3, 1), 3));
    graph().add({.needs = {seed},
                 .expand = [&, this]() -> std::vector<Unit> {
                     for (int i = 0; i < 5; ++i) {
                         grown.push_back(graph().add(task_of({fake_unit(i, 0, 2)}, 2, {seed})));
                     }
                     return {};
                 },
                 .cells = 0});
    run();
    ASSERT_THAT(grown, SizeIs(5));
    for (std::size_t i = 0; i < 5; ++i) {
        const auto n = static_cast<std::int64_t>(i) * 100;
        EXPECT_THAT(graph().result(grown[i]).table, ElementsAre(n, n + 1));
    }
}

TEST_F(EngineTest, EachUnitIsComputedOnceOverSeveralGraphs) {
    for (int round = 0; round < 3; ++round) {
        TaskGraph graph;
        const TaskId task = graph.add(task_of(fake_units(5, 2), 10));
        engine().run(graph);
        EXPECT_EQ(graph.result(task).table, fake_table(5, 2));
    }
    std::vector<std::uint64_t> ids = runner().order();
    std::ranges::sort(ids);
    EXPECT_THAT(ids, SizeIs(15));
    EXPECT_TRUE(std::ranges::adjacent_find(ids) == ids.end());
}

TEST_F(EngineTest, HaltedRunEndsWhatIsUnderWayAndGivesOutNothingMore) {
    graph().add(task_of(fake_units(50, 1), 50));
    engine().halt_when([](const EngineProgress& progress) {
        return progress.usage.calls >= 10 ? Halt::after_units : Halt::no;
    });
    try {
        run();
        FAIL() << "not halted";
    } catch (const EngineHalted& halted) {
        const auto done = static_cast<std::size_t>(halted.progress().usage.calls);
        EXPECT_THAT(runner().order(), SizeIs(done)) << "all that was begun has ended";
        EXPECT_GE(done, 10U);
        EXPECT_LE(done, 10 + runner().wanted_units(ModelRole::forward) + 1);
    }
    EXPECT_FALSE(graph().complete());
}

TEST_F(EngineTest, HaltAtTheLastUnitLetsTheGraphComplete) {
    const TaskId task = graph().add(task_of(fake_units(20, 3), 60));
    const TaskId after = graph().add(task_of({}, 1, {task}));
    engine().halt_when([](const EngineProgress& progress) {
        return progress.units_done == 20 ? Halt::after_units : Halt::no;
    });
    run();
    EXPECT_EQ(graph().result(task).table, fake_table(20, 3));
    EXPECT_THAT(graph().result(after).table, ElementsAre(0));
}

TEST_F(EngineTest, HaltedFromTheBeginningComputesNothing) {
    graph().add(task_of(fake_units(5, 1), 5));
    engine().halt_when([](const EngineProgress&) { return Halt::after_units; });
    EXPECT_THROW(run(), EngineHalted);
    EXPECT_THAT(runner().order(), IsEmpty());
}

/// Units from number 1000 on are the backward model's, which has a backend of its own.
class TwoSidedRunner : public FakeRunner {
  public:
    void start(std::uint64_t id, const std::string& payload) override {
        const bool is_backward = payload.find(' ') >= 4;
        (is_backward ? backward_ : forward_).push_back(id);
        if (is_backward) forward_before_.push_back(forward_.size());
        FakeRunner::start(id, payload);
    }
    [[nodiscard]] std::size_t wanted_units(ModelRole model) const override {
        return model == ModelRole::forward ? 3 : 6;
    }
    [[nodiscard]] bool has_backward() const override { return true; }
    /// For each unit of the backward model: how many of the forward one had been started by then.
    [[nodiscard]] const std::vector<std::size_t>& forward_before() const { return forward_before_; }

  private:
    std::vector<std::uint64_t> forward_;
    std::vector<std::uint64_t> backward_;
    std::vector<std::size_t> forward_before_;
};

TEST(EngineWithTwoModels, NoUnitWaitsBehindThoseOfTheOtherModel) {
    const auto comm = make_local_communicator();
    TwoSidedRunner runner;
    Engine engine(*comm, runner);
    TaskGraph graph;
    const TaskId first = graph.add(task_of(fake_units(60, 1), 60));
    std::vector<Unit> units;
    for (int i = 0; i < 5; ++i) {
        units.push_back(fake_unit(1000 + i, static_cast<std::size_t>(i), 1));
        units.back().model = ModelRole::backward;
    }
    const TaskId second = graph.add(task_of(units, 5));
    Usage seen;
    engine.on_turn([&seen](const EngineProgress& progress) { seen = progress.backward_usage; });
    engine.run(graph);
    EXPECT_EQ(graph.result(first).table, fake_table(60, 1));
    EXPECT_THAT(graph.result(second).table, ElementsAre(100000, 100100, 100200, 100300, 100400));
    // All at once, beside the four units that the forward model may hold; their task is a turn later.
    EXPECT_THAT(runner.forward_before(), AllOf(SizeIs(5), Each(Le(5U))));
    EXPECT_EQ(seen, graph.result(second).usage);
}

TEST_F(EngineTest, AnotherGraphRunsAfterAHalt) {
    graph().add(task_of(fake_units(20, 1), 20));
    engine().halt_when([](const EngineProgress& progress) {
        return progress.units_done >= 3 ? Halt::after_units : Halt::no;
    });
    EXPECT_THROW(run(), EngineHalted);
    engine().halt_when({});
    TaskGraph graph;
    const TaskId task = graph.add(task_of(fake_units(5, 2), 10));
    engine().run(graph);
    EXPECT_EQ(graph.result(task).table, fake_table(5, 2));
}

TEST_F(EngineTest, HaltIsNotTakenBack) {
    graph().add(task_of(fake_units(20, 1), 20));
    int asked = 0;
    engine().halt_when(
        [&asked](const EngineProgress&) { return ++asked == 2 ? Halt::after_units : Halt::no; });
    EXPECT_THROW(run(), EngineHalted);
    EXPECT_GT(asked, 2);
}

TEST(HaltedEngine, DoesNotWaitForUnitsUnderWayWhenHaltedAtOnce) {
    const auto comm = make_local_communicator();
    testing::StuckRunner runner;
    Engine engine(*comm, runner);
    TaskGraph graph;
    graph.add(task_of(fake_units(5, 1), 5));
    int turns = 0;
    engine.halt_when([&turns](const EngineProgress&) {
        ++turns;
        return turns < 3 ? Halt::no : turns < 6 ? Halt::after_units : Halt::at_once;
    });
    EXPECT_THROW(engine.run(graph), EngineHalted);
    EXPECT_EQ(turns, 6);
    TaskGraph next;
    EXPECT_THROW(engine.run(next), InternalError) << "its units would get the old ones' results";
}

TEST_F(EngineTest, EmptyGraphEndsAtOnce) {
    run();
    EXPECT_THAT(runner().order(), IsEmpty());
}

TEST_F(EngineTest, Rank0DoesNotServe) { EXPECT_THROW(engine().serve(), InternalError); }

}  // namespace
}  // namespace dln
