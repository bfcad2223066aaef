// The engine over ranks: what rank 0 gets is what one rank without MPI gets, to the last bit.

#include "dln/engine/engine.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/engine/network_runner.hpp"
#include "dln/error.hpp"

#include "support/mpi_world.hpp"
#include "support/small_job.hpp"
#include "unit/engine/fake_runner.hpp"
#include "unit/engine/replies.hpp"

namespace dln {
namespace {

using namespace std::chrono_literals;
using testing::class_job;
using testing::fake_table;
using testing::fake_text;
using testing::fake_unit;
using testing::fake_units;
using testing::FakeRunner;
using testing::layer_of;
using testing::world;

/// Rank 0 does `body` while the others serve.
template <class Body>
void on_root(Engine& engine, const Body& body) {
    if (world().rank() == 0) {
        body();
        engine.stop_serving();
    } else {
        engine.serve();
    }
}

/// A backend that fails on one rank, after it has counted some calls. Others finish nothing, so that no
/// result is left over for the next test.
class FailingRunner : public FakeRunner {
  public:
    explicit FailingRunner(int rank) : rank_(rank) {}
    std::vector<Finished> advance(std::chrono::milliseconds /*longest*/) override {
        counts_.sent += 1;
        if (world().rank() == rank_) throw BackendError("the server is gone");
        return {};
    }
    [[nodiscard]] BackendCounts counts() const override { return counts_; }

  private:
    int rank_;
    BackendCounts counts_;
};

/// Counts that tell the ranks apart: 1, 10, 100, ... calls.
class CountingRunner : public FakeRunner {
  public:
    [[nodiscard]] BackendCounts counts() const override {
        BackendCounts counts{.sent = 1};
        for (int rank = 0; rank < world().rank(); ++rank) counts.sent *= 10;
        return counts;
    }
};

Task task_of(std::vector<Unit> units, std::size_t cells, std::vector<TaskId> needs = {}) {
    return {.needs = std::move(needs),
            .expand = [units = std::move(units)] { return units; },
            .cells = cells};
}

TEST(EngineOverRanks, GivesTheTablesAndTextsOfOneRank) {
    FakeRunner runner;
    Engine engine(world(), runner);
    on_root(engine, [&] {
        TaskGraph graph;
        const TaskId task = graph.add(task_of(fake_units(50, 3), 150));
        engine.run(graph);
        EXPECT_EQ(graph.result(task).table, fake_table(50, 3));
        for (int i = 0; i < 50; ++i) {
            EXPECT_EQ(graph.result(task).texts.at(static_cast<std::size_t>(i)),
                      std::vector{fake_text(i)});
        }
        EXPECT_EQ(graph.result(task).failures, 12);  // 2, 6, ... 46
        EXPECT_EQ(graph.result(task).first_failure, "unit 2");
        EXPECT_EQ(graph.result(task).usage, (Usage{.calls = 50, .standalone_tokens = 1225}));
    });
}

TEST(EngineOverRanks, ManyTablesAreSummedWhileTheGraphGrows) {
    FakeRunner runner;
    Engine engine(world(), runner);
    on_root(engine, [&] {
        TaskGraph graph;
        std::vector<TaskId> grown;
        for (int i = 0; i < 6; ++i) {
            const TaskId seed = graph.add(task_of(fake_units(4, 2), 8));
            graph.add({.needs = {seed},
                       .expand = [&, i, seed]() -> std::vector<Unit> {
                           grown.push_back(graph.add(task_of(fake_units(i + 1, 1), 10, {seed})));
                           return {};
                       },
                       .cells = 0});
        }
        engine.run(graph);
        ASSERT_EQ(grown.size(), 6U);
        for (const TaskId task : grown) {
            const TaskResult& result = graph.result(task);
            auto wanted = fake_table(static_cast<int>(result.texts.size()), 1);
            wanted.resize(10);
            EXPECT_EQ(result.table, wanted);
        }
    });
}

TEST(EngineOverRanks, TablesOfOneGraphDoNotEnterTheNext) {
    FakeRunner runner;
    Engine engine(world(), runner);
    on_root(engine, [&] {
        for (int count = 12; count > 0; count -= 4) {
            TaskGraph graph;
            const TaskId task = graph.add(task_of(fake_units(count, 2), 24));
            engine.run(graph);
            auto wanted = fake_table(count, 2);
            wanted.resize(24);
            EXPECT_EQ(graph.result(task).table, wanted);
        }
    });
}

TEST(EngineOverRanks, HaltCountsAllRanksAndLeavesNoUnitUnderWay) {
    FakeRunner runner;
    Engine engine(world(), runner);
    on_root(engine, [&] {
        TaskGraph graph;
        for (int i = 0; i < 20; ++i) graph.add(task_of(fake_units(10, 2), 20));
        engine.halt_when([](const EngineProgress& progress) {
            return progress.usage.calls >= 50 ? Halt::after_units : Halt::no;
        });
        try {
            engine.run(graph);
            FAIL() << "not halted";
        } catch (const EngineHalted& halted) {
            const auto window =
                static_cast<std::int64_t>(runner.wanted_units(ModelRole::forward) + 1);
            EXPECT_GE(halted.progress().usage.calls, 50);
            EXPECT_LE(halted.progress().usage.calls, 50 + world().size() * window);
        }
        engine.halt_when({});
        TaskGraph next;
        const TaskId task = next.add(task_of(fake_units(12, 2), 24));
        engine.run(next);
        EXPECT_EQ(next.result(task).table, fake_table(12, 2));
    });
}

TEST(EngineOverRanks, WishOfOneRankHaltsAllThoughTheirUnitsNeverEnd) {
    if (world().size() == 1) GTEST_SKIP() << "rank 0 asks itself";
    testing::StuckRunner runner;
    Engine engine(world(), runner);
    const bool is_last = world().rank() == world().size() - 1;
    engine.ask_to_halt_when([is_last] { return std::string(is_last ? "SIGUSR1" : ""); });
    on_root(engine, [&] {
        TaskGraph graph;
        graph.add(task_of(fake_units(20, 1), 20));
        std::string asked;
        engine.halt_when([&asked](const EngineProgress& progress) {
            asked = progress.halt_asked;
            return asked.empty() ? Halt::no : Halt::at_once;
        });
        EXPECT_THROW(engine.run(graph), EngineHalted);
        EXPECT_EQ(asked, "rank " + std::to_string(world().size() - 1) + ": SIGUSR1");
        EXPECT_EQ(engine.total_counts(), runner.counts()) << "ranks still serve";
    });
}

TEST(EngineOverRanks, EveryRankGetsWorkWhenThereIsEnough) {
    FakeRunner runner(200us);
    Engine engine(world(), runner);
    on_root(engine, [&] {
        TaskGraph graph;
        graph.add(task_of(fake_units(60, 1), 60));
        engine.run(graph);
    });
    EXPECT_FALSE(runner.order().empty()) << "rank " << world().rank() << " had nothing to do";
}

TEST(EngineOverRanks, LargeAndOddTextsArrive) {
    class OddRunner : public FakeRunner {
      public:
        std::vector<Finished> advance(std::chrono::milliseconds wait) override {
            auto finished = FakeRunner::advance(wait);
            for (Finished& unit : finished) {
                unit.result.texts.push_back(std::string("\0\xff", 2) + std::string(1 << 20, 'x'));
            }
            return finished;
        }
    } runner;
    Engine engine(world(), runner);
    on_root(engine, [&] {
        TaskGraph graph;
        const TaskId task = graph.add(task_of(fake_units(8, 0), 0));
        engine.run(graph);
        for (const auto& texts : graph.result(task).texts) {
            EXPECT_TRUE(texts.at(1) == std::string("\0\xff", 2) + std::string(1 << 20, 'x'));
        }
    });
}

TEST(EngineOverRanks, StopServingEndsAllRanksThoughNothingWasRun) {
    FakeRunner runner;
    Engine engine(world(), runner);
    on_root(engine, [] {});
    EXPECT_TRUE(world().all_of(true));
}

Job two_layers() {
    Job job = class_job("L1 {{prompt}} {{input}}");
    job.network.layers.insert(job.network.layers.begin(), layer_of("H", "L0 {{prompt}} {{input}}"));
    job.network.layers[0].residual = "{{input}}\n{{output}}";
    job.network.layers[0].temperature = 0.7;
    return job;
}

Dataset numbers(int count) {
    Dataset data;
    for (int i = 0; i < count; ++i) {
        // Some are too long for the backend: failures are part of a result.
        data.add("number " + std::to_string(i) + std::string(i % 7 == 3 ? 400 : 0, 'x'),
                 i % 2 == 0 ? "yes" : "no");
    }
    return data;
}

/// What an evaluation of three prompts gives: tables, then texts, then failures.
struct Evaluated {
    std::vector<TaskResult> results;
};

Evaluated evaluate_three(Engine& engine) {
    TaskGraph graph;
    Evaluated evaluated;
    for (const std::string prompt : {"P", "Q", "R"}) {
        EvaluateUnit what{.parameters = {{"H", 0}, {prompt, 0}},
                          .measure = Measure::classes,
                          .split = 0,
                          .examples = {},
                          .step = 3,
                          .want_texts = true};
        for (std::uint64_t i = 0; i < 23; ++i) what.examples.push_back(22 - i);
        graph.add({.needs = {},
                   .expand = [what] { return make_evaluate_units(what, 4, 2); },
                   .cells = 23 * 3});
    }
    engine.run(graph);
    for (TaskId task = 0; task < graph.size(); ++task) {
        evaluated.results.push_back(graph.result(task));
    }
    return evaluated;
}

TEST(EngineOverRanks, CountsOfAllRanksAreSummed) {
    CountingRunner runner;
    Engine engine(world(), runner);
    on_root(engine, [&] {
        std::int64_t wanted = 0;
        for (int rank = 0; rank < world().size(); ++rank) wanted = 10 * wanted + 1;
        EXPECT_EQ(engine.total_counts().sent, wanted);
        TaskGraph graph;
        const TaskId task = graph.add(task_of(fake_units(20, 1), 20));
        engine.run(graph);
        EXPECT_EQ(graph.result(task).table, fake_table(20, 1));
        EXPECT_EQ(engine.total_counts().sent, wanted);
    });
}

TEST(EngineOverRanks, BackendThatFailsOnOneRankEndsTheGraphAndCountsAreStillThere) {
    const int last = world().size() - 1;
    FailingRunner runner(last);
    Engine engine(world(), runner);
    on_root(engine, [&] {
        TaskGraph graph;
        graph.add(task_of(fake_units(20, 1), 20));
        graph.add(task_of(fake_units(60, 1), 60));
        try {
            engine.run(graph);
            ADD_FAILURE() << "the graph is complete";
        } catch (const BackendError& error) {
            const std::string who = last == 0 ? "" : "rank " + std::to_string(last) + ": ";
            EXPECT_EQ(error.what(), who + "the server is gone");
        }
        EXPECT_GE(engine.total_counts().sent, 1);
    });
}

TEST(EngineOverRanks, EvaluationOfANetworkIsEqualOnAnyNumberOfRanks) {
    const std::vector<Dataset> splits{numbers(23)};
    const Network network(two_layers(), {});
    const auto backend = make_scripted_backend({.context_tokens = 90, .latency_polls = 4});
    NetworkRunner runner(network, splits, *backend, 11);
    Engine engine(world(), runner);
    on_root(engine, [&] {
        const Evaluated over_ranks = evaluate_three(engine);
        const auto other = make_scripted_backend({.context_tokens = 90});
        NetworkRunner alone(network, splits, *other, 11);
        const auto local = make_local_communicator();
        Engine one(*local, alone);
        const Evaluated wanted = evaluate_three(one);
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(over_ranks.results[i].table, wanted.results[i].table);
            EXPECT_EQ(over_ranks.results[i].texts, wanted.results[i].texts);
            EXPECT_EQ(over_ranks.results[i].usage, wanted.results[i].usage);
            EXPECT_EQ(over_ranks.results[i].failures, 3);
            EXPECT_EQ(over_ranks.results[i].first_failure, wanted.results[i].first_failure);
        }
        EXPECT_NE(wanted.results[0].table, wanted.results[1].table);
    });
}

/// An evaluation by the forward model beside texts and their scores by the backward one, which the texts go on to.
std::vector<TaskResult> two_models_at_work(Engine& engine) {
    TaskGraph graph;
    const EvaluateUnit what{.parameters = {{"H", 0}, {"P", 0}},
                            .measure = Measure::classes,
                            .split = 0,
                            .examples = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
                            .step = 3,
                            .want_texts = true};
    graph.add({.needs = {},
               .expand = [what] { return make_evaluate_units(what, 2, 2); },
               .cells = what.examples.size() * 3});
    GenerateRequest asked{.items = {}, .max_tokens = 8, .temperature = 1.0};
    for (std::uint64_t i = 0; i < 9; ++i) asked.items.push_back({{.text = "Write it"}, i});
    const TaskId write = graph.add(
        {.needs = {},
         .expand =
             [asked] { return make_generate_units({.request = asked}, 2, ModelRole::backward); },
         .cells = 0});
    graph.add({.needs = {write},
               .expand =
                   [&graph, write] {
                       TextUnit texts;
                       for (const auto& unit : graph.result(write).texts) {
                           for (const auto& text : unit) {
                               texts.items.push_back({{.text = "Write it"}, text});
                           }
                       }
                       return make_text_units(texts, 2, ModelRole::backward);
                   },
               .cells = 9 * 2});
    engine.run(graph);
    std::vector<TaskResult> results;
    for (TaskId task = 0; task < graph.size(); ++task) results.push_back(graph.result(task));
    return results;
}

TEST(EngineOverRanks, TwoModelsGiveTheSameOnAnyNumberOfRanks) {
    const std::vector<Dataset> splits{numbers(11)};
    const Network network(two_layers(), {});
    const std::vector<std::string> written{testing::says("Write it", "the backward model's text")};
    const auto forward = make_scripted_backend({.context_tokens = 90, .latency_polls = 4});
    const auto backward = testing::scripted(written, {.latency_polls = 7});
    NetworkRunner runner(network, splits, *forward, 11, backward.get());
    Engine engine(world(), runner);
    on_root(engine, [&] {
        EngineProgress last;
        engine.on_turn([&last](const EngineProgress& progress) { last = progress; });
        const std::vector<TaskResult> over_ranks = two_models_at_work(engine);
        engine.on_turn({});
        const auto one_forward = make_scripted_backend({.context_tokens = 90});
        const auto one_backward = testing::scripted(written);
        NetworkRunner alone(network, splits, *one_forward, 11, one_backward.get());
        const auto local = make_local_communicator();
        Engine one(*local, alone);
        const std::vector<TaskResult> wanted = two_models_at_work(one);
        Usage backward_usage;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            EXPECT_EQ(over_ranks[i].table, wanted[i].table);
            EXPECT_EQ(over_ranks[i].texts, wanted[i].texts);
            EXPECT_EQ(over_ranks[i].usage, wanted[i].usage);
            if (i > 0) backward_usage += wanted[i].usage;
        }
        EXPECT_EQ(wanted[1].texts.at(0).at(0), "the backward model's text");
        EXPECT_GT(last.backward_usage.calls, 0);
        EXPECT_LE(last.backward_usage.calls, backward_usage.calls);
    });
}

/// Loses its backend at its first unit.
class LosingRunner : public FakeRunner {
  public:
    std::vector<Finished> advance(std::chrono::milliseconds /*longest_wait*/) override {
        throw BackendError("no endpoint");
    }
};

// The last test: what the other ranks had sent by then stays unread.
TEST(EngineOverRanks, LossOfOneRanksBackendReachesRank0) {
    FakeRunner good(200us);
    LosingRunner bad;
    const bool loses = world().rank() == world().size() - 1;
    Engine engine(world(), loses ? static_cast<UnitRunner&>(bad) : good);
    on_root(engine, [&] {
        TaskGraph graph;
        graph.add(task_of(fake_units(200, 1), 200));
        EXPECT_THROW(engine.run(graph), BackendError);
    });
}

}  // namespace
}  // namespace dln
