#include "dln/engine/task_graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/error.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Task task_needing(std::vector<TaskId> needs) {
    return {.needs = std::move(needs), .expand = {}, .cells = 0};
}

/// Expands all that is ready and returns the ids in their order.
std::vector<TaskId> expand_all(TaskGraph& graph) {
    std::vector<TaskId> ids;
    while (graph.has_ready()) ids.push_back(graph.expand_next().id);
    return ids;
}

TEST(TaskGraph, EmptyGraphIsComplete) {
    const TaskGraph graph;
    EXPECT_TRUE(graph.complete());
    EXPECT_FALSE(graph.has_ready());
}

TEST(TaskGraph, TaskIsReadyOnceAllThatItNeedsIsComplete) {
    TaskGraph graph;
    const TaskId a = graph.add(task_needing({}));
    const TaskId b = graph.add(task_needing({}));
    const TaskId c = graph.add(task_needing({a, b}));
    EXPECT_THAT(expand_all(graph), ElementsAre(a, b));
    graph.complete(b, {});
    EXPECT_THAT(expand_all(graph), IsEmpty());
    graph.complete(a, {});
    EXPECT_THAT(expand_all(graph), ElementsAre(c));
    EXPECT_FALSE(graph.complete());
    graph.complete(c, {});
    EXPECT_TRUE(graph.complete());
}

TEST(TaskGraph, TasksComeInTheOrderInWhichTheyBecameReady) {
    TaskGraph graph;
    const TaskId a = graph.add(task_needing({}));
    const TaskId b = graph.add(task_needing({}));
    const TaskId after_a = graph.add(task_needing({a}));
    const TaskId after_b = graph.add(task_needing({b}));
    expand_all(graph);
    graph.complete(b, {});
    graph.complete(a, {});
    EXPECT_THAT(expand_all(graph), ElementsAre(after_b, after_a));
}

TEST(TaskGraph, TasksThatCanWaitComeLast) {
    TaskGraph graph;
    Task patient = task_needing({});
    patient.can_wait = true;
    const TaskId a = graph.add(patient);
    const TaskId b = graph.add(task_needing({}));
    patient.needs = {b};
    const TaskId c = graph.add(patient);
    const TaskId d = graph.add(task_needing({b}));
    EXPECT_FALSE(graph.expand_next().can_wait);
    graph.complete(b, {});
    EXPECT_THAT(expand_all(graph), ElementsAre(d, a, c));
}

TEST(TaskGraph, NeedThatIsCompleteAlreadyHoldsNothingUp) {
    TaskGraph graph;
    const TaskId a = graph.add(task_needing({}));
    expand_all(graph);
    graph.complete(a, {});
    const TaskId b = graph.add(task_needing({a, a}));
    EXPECT_THAT(expand_all(graph), ElementsAre(b));
}

TEST(TaskGraph, SameNeedTwiceCountsOnce) {
    TaskGraph graph;
    const TaskId a = graph.add(task_needing({}));
    const TaskId b = graph.add(task_needing({a, a}));
    expand_all(graph);
    graph.complete(a, {});
    EXPECT_THAT(expand_all(graph), ElementsAre(b));
}

TEST(TaskGraph, GrowsWhileATaskSaysItsUnits) {
    TaskGraph graph;
    graph.add({.needs = {},
               .expand = [&graph]() -> std::vector<Unit> {
                   for (int i = 0; i < 100; ++i) graph.add(task_needing({0}));
                   return {Unit{.payload = "unit"}};
               },
               .cells = 0});
    EXPECT_EQ(graph.expand_next().units.at(0).payload, "unit");
    EXPECT_EQ(graph.size(), 101U);
    EXPECT_FALSE(graph.has_ready());
    graph.complete(0, {});
    EXPECT_TRUE(graph.has_ready());
    EXPECT_FALSE(graph.complete());
}

TEST(TaskGraph, KeepsResultsAndCells) {
    TaskGraph graph;
    const TaskId a = graph.add({.needs = {}, .expand = {}, .cells = 2});
    EXPECT_EQ(graph.cells(a), 2U);
    (void)graph.expand_next();
    graph.complete(
        a, {.table = {3, 4}, .texts = {{"t"}}, .usage = {}, .failures = 1, .first_failure = "why"});
    graph.add(task_needing({a}));
    EXPECT_THAT(graph.result(a).table, ElementsAre(3, 4));
    EXPECT_EQ(graph.result(a).first_failure, "why");
}

TEST(TaskGraph, WrongUseIsABug) {
    TaskGraph graph;
    EXPECT_THROW(graph.add(task_needing({0})), InternalError);
    TaskGraph sound;
    const TaskId a = sound.add(task_needing({}));
    EXPECT_THROW((void)sound.result(a), InternalError);
    EXPECT_THROW((void)sound.result(7), InternalError);
    expand_all(sound);
    EXPECT_THROW((void)sound.expand_next(), InternalError);
    sound.complete(a, {});
    EXPECT_THROW(sound.complete(a, {}), InternalError);
}

}  // namespace
}  // namespace dln
