// The engine on one rank, with a runner that completes units in any order.

#include "dln/engine/engine.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

#include "unit/engine/fake_runner.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using testing::fake_table;
using testing::fake_text;
using testing::fake_unit;
using testing::fake_units;
using ::testing::IsEmpty;
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
    engine().halt_when([](const EngineProgress& progress) { return progress.usage.calls >= 10; });
    try {
        run();
        FAIL() << "not halted";
    } catch (const EngineHalted& halted) {
        const auto done = static_cast<std::size_t>(halted.progress().usage.calls);
        EXPECT_THAT(runner().order(), SizeIs(done)) << "all that was begun has ended";
        EXPECT_GE(done, 10U);
        EXPECT_LE(done, 10 + runner().wanted_units() + 1);
    }
    EXPECT_FALSE(graph().complete());
}

TEST_F(EngineTest, HaltAtTheLastUnitLetsTheGraphComplete) {
    const TaskId task = graph().add(task_of(fake_units(20, 3), 60));
    const TaskId after = graph().add(task_of({}, 1, {task}));
    engine().halt_when([](const EngineProgress& progress) { return progress.units_done == 20; });
    run();
    EXPECT_EQ(graph().result(task).table, fake_table(20, 3));
    EXPECT_THAT(graph().result(after).table, ElementsAre(0));
}

TEST_F(EngineTest, HaltedFromTheBeginningComputesNothing) {
    graph().add(task_of(fake_units(5, 1), 5));
    engine().halt_when([](const EngineProgress&) { return true; });
    EXPECT_THROW(run(), EngineHalted);
    EXPECT_THAT(runner().order(), IsEmpty());
}

TEST_F(EngineTest, AnotherGraphRunsAfterAHalt) {
    graph().add(task_of(fake_units(20, 1), 20));
    engine().halt_when([](const EngineProgress& progress) { return progress.units_done >= 3; });
    EXPECT_THROW(run(), EngineHalted);
    engine().halt_when({});
    TaskGraph graph;
    const TaskId task = graph.add(task_of(fake_units(5, 2), 10));
    engine().run(graph);
    EXPECT_EQ(graph.result(task).table, fake_table(5, 2));
}

TEST_F(EngineTest, EmptyGraphEndsAtOnce) {
    run();
    EXPECT_THAT(runner().order(), IsEmpty());
}

TEST_F(EngineTest, Rank0DoesNotServe) { EXPECT_THROW(engine().serve(), InternalError); }

}  // namespace
}  // namespace dln
