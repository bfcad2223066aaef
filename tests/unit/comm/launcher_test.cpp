// Whether a process is one of several ranks, told by the launchers' variables alone.

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "dln/comm/communicator.hpp"

namespace dln {
namespace {

class LaunchedByMpi : public ::testing::Test {
  protected:
    LaunchedByMpi() {
        for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE", "PMI_RANK",
                                 "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_MPI_TYPE"}) {
            ::unsetenv(name);
        }
    }
    static void set(const char* name, const char* value) { ::setenv(name, value, 1); }
};

TEST_F(LaunchedByMpi, IsFalseInAPlainShell) { EXPECT_FALSE(launched_by_mpi()); }

TEST_F(LaunchedByMpi, IsTrueUnderMpirunEvenWithOneRank) {
    set("OMPI_COMM_WORLD_SIZE", "1");
    EXPECT_TRUE(launched_by_mpi());
}

TEST_F(LaunchedByMpi, IsTrueUnderSrunWithPmix) {
    set("PMIX_RANK", "0");
    EXPECT_TRUE(launched_by_mpi());
}

TEST_F(LaunchedByMpi, IsTrueUnderHydraAndPmi2) {
    set("PMI_SIZE", "4");
    EXPECT_TRUE(launched_by_mpi());
}

TEST_F(LaunchedByMpi, IsFalseInABatchScriptThatChoosesAnMpiTypeForItsSteps) {
    set("SLURM_PROCID", "0");
    set("SLURM_MPI_TYPE", "pmix");
    EXPECT_FALSE(launched_by_mpi());
}

TEST_F(LaunchedByMpi, IsTrueForOneOfSeveralTasksWithoutPluginSoThatMpiCanComplain) {
    set("SLURM_PROCID", "1");
    set("SLURM_STEP_NUM_TASKS", "2");
    EXPECT_TRUE(launched_by_mpi());
}

TEST_F(LaunchedByMpi, IsFalseForASingleTaskWithoutPlugin) {
    set("SLURM_PROCID", "0");
    set("SLURM_STEP_NUM_TASKS", "1");
    EXPECT_FALSE(launched_by_mpi());
}

TEST(LocalCommunicator, WorksWithoutMpi) {
    const auto comm = make_local_communicator();
    EXPECT_EQ(comm->size(), 1);
    EXPECT_EQ(comm->broadcast("a"), "a");
    EXPECT_FALSE(comm->all_of(false));
    EXPECT_EQ(comm->start_sum({4, 5})->take(), (std::vector<std::int64_t>{4, 5}));
    EXPECT_FALSE(comm->receive().has_value());
}

TEST(AbortAllRanks, EndsAProgramWithoutMpiWithTheExitCode) {
    EXPECT_EXIT(abort_all_ranks(5), ::testing::ExitedWithCode(5), "");
}

}  // namespace
}  // namespace dln
