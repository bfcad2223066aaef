#pragma once
// The MPI communicator's inner factory, for make_mpi_communicator and for the tests of long
// messages.

#include <cstddef>
#include <memory>

#include "dln/comm/communicator.hpp"

namespace dln {

/// A communicator over MPI_COMM_WORLD whose messages travel in pieces of at most `piece_bytes`.
/// Pre: MPI is initialised and stays so while the result lives; 0 < piece_bytes <= INT_MAX.
/// Collective.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator_in_pieces(std::size_t piece_bytes);

}  // namespace dln
