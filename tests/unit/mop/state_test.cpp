// The state of a run through a step file.

#include "dln/mop/state.hpp"

#include <filesystem>

#include <gmock/gmock.h>

#include "dln/error.hpp"

#include "support/temporary_directory.hpp"
#include "unit/mop/mop_fixture.hpp"

namespace dln::mop {
namespace {

using ::testing::HasSubstr;
using testing::random_parameters;
using testing::small_shape;
using ::testing::ThrowsMessage;

MopState full_state() {
    MopState state{.steps_done = 7,
                   .parameters = random_parameters(small_shape(), 1),
                   .adam = AdamState{.first = random_parameters(small_shape(), 2),
                                     .second = random_parameters(small_shape(), 3),
                                     .steps = 6},
                   .best = {},
                   .tokens = 123};
    state.best = BestMixture{
        .step = 4,
        .parameters = random_parameters(small_shape(), 4),
        .dev = {.tasks = {{.examples = 3, .tokens = 9, .right = 2, .nll = 1234567890123},
                          {.examples = 1, .tokens = 2, .right = 0, .nll = -5}}}};
    return state;
}

MopState through_a_file(const MopState& state) {
    const dln::testing::TemporaryDirectory directory;
    const std::string steps = directory / "steps";
    std::filesystem::create_directories(steps);
    StepDocument document;
    write_state(state, document);
    make_hdf5_store(steps, "hash")->save({.job_hash = "hash", .step = state.steps_done}, document);
    return read_mop_state(make_hdf5_store(steps, "hash")->load_newest()->file.document);
}

TEST(MopStateTest, ComesBackFromAStepFileBitByBit) {
    const MopState state = full_state();
    EXPECT_EQ(through_a_file(state), state);
}

TEST(MopStateTest, OfAFederationWithoutDevHasNeitherOptimiserNorBest) {
    MopState state = full_state();
    state.adam.reset();
    state.best.reset();
    EXPECT_EQ(through_a_file(state), state);
    EXPECT_EQ(best_parameters(state), state.parameters);
}

TEST(MopStateTest, BestParametersAreThoseThatDevChose) {
    const MopState state = full_state();
    EXPECT_EQ(best_parameters(state), state.best->parameters);
}

TEST(MopStateTest, IsToldFromThatOfANetwork) {
    StepDocument document;
    document.arrays["state/steps_done"] = Array::scalar(std::int64_t{1});
    EXPECT_FALSE(holds_mixture(document));
    write_state(full_state(), document);
    EXPECT_TRUE(holds_mixture(document));
}

TEST(MopStateTest, MissingOrMisshapenPartIsNamed) {
    StepDocument document;
    write_state(full_state(), document);
    StepDocument without = document;
    without.arrays.erase("state/mixture/gate_w2");
    EXPECT_THAT([&] { (void)read_mop_state(without); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/mixture/gate_w2")));
    document.arrays["state/mixture/prompts"].shape = {32};
    EXPECT_THAT([&] { (void)read_mop_state(document); },
                ThrowsMessage<CheckpointError>(HasSubstr("state/mixture/prompts")));
}

}  // namespace
}  // namespace dln::mop
