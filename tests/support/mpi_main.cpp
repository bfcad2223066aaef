// main of the tests over ranks: every rank runs all tests, rank 0 reports as usual, the others only
// what failed, and the exit code is the maximum over ranks.

#include <cstdio>
#include <memory>

#include <gtest/gtest.h>

#include "dln/comm/communicator.hpp"

#include "support/mpi_world.hpp"

namespace dln::testing {
namespace {

Communicator* world_of_this_program = nullptr;

/// Prints the failures of a rank whose successes nobody wants to read.
class FailurePrinter : public ::testing::EmptyTestEventListener {
  public:
    explicit FailurePrinter(int rank) : rank_(rank) {}
    void OnTestPartResult(const ::testing::TestPartResult& result) override {
        if (result.failed()) {
            const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
            std::fprintf(stderr, "[rank %d] %s.%s %s:%d: %s\n", rank_,
                         test == nullptr ? "-" : test->test_suite_name(),
                         test == nullptr ? "-" : test->name(),
                         result.file_name() == nullptr ? "-" : result.file_name(),
                         result.line_number(), result.message());
        }
    }

  private:
    int rank_;
};

}  // namespace

Communicator& world() { return *world_of_this_program; }

}  // namespace dln::testing

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    const std::unique_ptr<dln::Communicator> world = dln::make_mpi_communicator();
    dln::testing::world_of_this_program = world.get();
    if (world->rank() != 0) {
        ::testing::TestEventListeners& listeners = ::testing::UnitTest::GetInstance()->listeners();
        delete listeners.Release(listeners.default_result_printer());
        listeners.Append(new dln::testing::FailurePrinter(world->rank()));
    }
    const int failed = RUN_ALL_TESTS();
    return world->all_of(failed == 0) ? 0 : 1;
}
