#pragma once
// What tests over ranks share (tests/support/mpi_main.cpp).

#include "dln/comm/communicator.hpp"

namespace dln::testing {

/// The communicator over all ranks of the running test program.
[[nodiscard]] Communicator& world();

}  // namespace dln::testing
