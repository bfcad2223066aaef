// The log of an adaptive sweep's decisions, and that it replays them.
#include "dln/sweep/decisions.hpp"

#include <gmock/gmock.h>

#include "sweep_fixture.hpp"

namespace dln {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::read_bytes;
using ::testing::SizeIs;
using testing::write_bytes;

class DecisionsTest : public SweepFixture {
  protected:
    void SetUp() override {
        SweepFixture::SetUp();
        std::filesystem::create_directories(directory_ / "runs");
    }
    [[nodiscard]] SweepSpec asha(int configurations = 9) const {
        return sweep({{"space", kSpace},
                      {"method", "asha"},
                      {"configurations", configurations},
                      {"halving", {{"most_steps", 9}}}});
    }
    [[nodiscard]] SweepSpec tpe(int configurations = 14) const {
        return sweep({{"space", kSpace}, {"method", "tpe"}, {"configurations", configurations}});
    }
    [[nodiscard]] Decisions decisions(const SweepSpec& spec) const {
        return {spec, SweepDirectory(directory_ / "runs")};
    }
    /// Takes and observes until nothing is left, two at a time; the metric is the value of /a.
    static void run(Decisions& decisions, std::size_t most = 1000) {
        decisions.take();
        for (std::size_t i = 0; i < most; ++i) {
            while (decisions.under_way().size() < 2 && decisions.next()) {
            }
            if (decisions.under_way().empty()) return;
            const SearchWork work = decisions.under_way().back();
            decisions.observe(work, work.settings[0].value.get<double>());
        }
    }
    [[nodiscard]] std::string log() const {
        return read_bytes(directory_ / "runs/decisions.jsonl");
    }
    void write_log(const std::string& bytes) const {
        write_bytes(directory_ / "runs/decisions.jsonl", bytes);
    }

    const Json kSpace = Json::parse(R"([{"pointer": "/a", "min": 0, "max": 1}])");
};

TEST_F(DecisionsTest, OfASweepThatWasKilledAnywhereGoOnToTheSameEnd) {
    for (const SweepSpec& spec : {asha(), tpe()}) {
        {
            Decisions whole = decisions(spec);
            run(whole);
        }
        const std::string all = log();
        for (std::size_t length = 0; length <= all.size(); length += 211) {
            write_log(all.substr(0, length));
            Decisions again = decisions(spec);
            run(again);
            ASSERT_EQ(log(), all) << "killed after " << length << " bytes";
        }
        std::filesystem::remove(directory_ / "runs/decisions.jsonl");
    }
}

TEST_F(DecisionsTest, ReadingTellsWhatIsUnderWayAndWritesNothing) {
    {
        Decisions writer = decisions(asha());
        run(writer, 5);
        static_cast<void>(writer.next());
    }
    const std::string before = log();
    const Decisions reader = decisions(asha());
    EXPECT_THAT(reader.under_way(), SizeIs(2));
    EXPECT_EQ(reader.search().brackets()[0][0].observed + reader.search().brackets()[0][1].observed,
              5U);
    EXPECT_EQ(log(), before);
    EXPECT_FALSE(std::filesystem::exists(directory_ / "runs/lock"));
}

TEST_F(DecisionsTest, MoreConfigurationsGoOnFromThoseThatThereWere) {
    {
        Decisions few = decisions(tpe(12));
        run(few);
    }
    const std::string before = log();
    Decisions more = decisions(tpe(15));
    run(more);
    EXPECT_THAT(more.taken(), SizeIs(15));
    EXPECT_THAT(log(), ::testing::StartsWith(before));
}

TEST_F(DecisionsTest, LogOfAnotherSweepIsRefusedWithWhatDiffers) {
    {
        Decisions ours = decisions(asha());
        run(ours, 2);
    }
    SweepSpec other = asha();
    other.seed = 7;
    EXPECT_THAT(fault_of([&] { static_cast<void>(decisions(other)); }),
                AllOf(HasSubstr("runs/decisions.jsonl: line 1: configuration 0 (/a="),
                      HasSubstr(") to 1 steps was taken, where this program takes configuration 0"),
                      HasSubstr("move the file away")));
}

TEST_F(DecisionsTest, LogOfAnotherTpeSweepIsRefusedByWhoeverWouldWrite) {
    {
        Decisions ours = decisions(tpe());
        run(ours, 12);
    }
    SweepSpec other = tpe();
    other.metric.goal = SweepGoal::min;
    Decisions reader = decisions(other);
    EXPECT_THAT(reader.taken(), SizeIs(13));
    EXPECT_THAT(fault_of([&] { reader.take(); }), HasSubstr("where this program takes"));
}

TEST_F(DecisionsTest, DamagedLineIsToldAndWhatCameBehindIsDecidedAnew) {
    {
        Decisions whole = decisions(asha());
        run(whole);
    }
    const std::string all = log();
    std::string damaged = all;
    const std::size_t third = damaged.find('\n', damaged.find('\n') + 1) + 1;
    damaged[damaged.find("configuration", third)] = 'C';
    write_log(damaged);
    Decisions again = decisions(asha());
    EXPECT_THAT(again.fault(), HasSubstr("decisions.jsonl: line 3 is damaged"));
    EXPECT_THAT(again.taken(), SizeIs(2));
    run(again);
    EXPECT_EQ(log(), all);
    EXPECT_EQ(read_bytes(directory_ / "runs/decisions.jsonl.damaged"), damaged);
}

TEST_F(DecisionsTest, OneProcessAtATimeDecides) {
    Decisions first = decisions(asha());
    first.take();
    Decisions second = decisions(asha());
    EXPECT_THAT(fault_of([&] { second.take(); }), HasSubstr("runs is being written by process"));
}

TEST_F(DecisionsTest, MetricThatIsNoNumberReplaysToTheSame) {
    const auto decide = [&](Decisions& decisions) {
        decisions.take();
        for (int i = 0; i < 3; ++i) static_cast<void>(decisions.next());
        const std::vector<SearchWork> works = decisions.under_way();
        decisions.observe(works[0], std::numeric_limits<double>::infinity());
        decisions.observe(works[1], std::nullopt);
        decisions.observe(works[2], 0.5);
    };
    Decisions live = decisions(asha());
    decide(live);
    const Decisions replayed = decisions(asha());
    const auto next = live.next();
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(next->place.configuration, 2U) << "the only one with a metric goes on";
    EXPECT_THAT(replayed.under_way(), IsEmpty());
    EXPECT_EQ(replayed.observed().at(1).metric, std::nullopt);
    EXPECT_EQ(replayed.observed().at(2).metric, 0.5);
    EXPECT_EQ(replayed.observed().at(2).steps, 1);
    EXPECT_EQ(replayed.search().brackets()[0][0].observed, 3U);
}

}  // namespace
}  // namespace dln
