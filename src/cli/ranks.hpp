#pragma once
// Running a command on one rank or on several, and ending it the same way on all of them.

#include <functional>
#include <string>

#include "dln/comm/communicator.hpp"
#include "dln/error.hpp"

namespace dln {

/// An error that every rank knows of: rank 0 prints it, all return its exit code.
class SharedError : public Error {
  public:
    using Error::Error;
};

/// Runs `body` with the communicator of this process (MPI when mpirun or srun started it, else one rank
/// without MPI) and returns rank 0's exit code on all ranks. An error that only one rank saw ends all
/// ranks at once.
[[nodiscard]] int run_on_ranks(const std::function<int(Communicator&)>& body);

/// Runs `body` on rank 0 alone, for commands that have nothing to share; the other ranks return its code.
[[nodiscard]] int run_on_root(const std::function<int()>& body);

/// Runs `compute` on rank 0 and returns its bytes on every rank. When it throws Error, every rank throws
/// SharedError. Collective.
[[nodiscard]] std::string from_root(Communicator& comm,
                                    const std::function<std::string()>& compute);

/// Runs `work` on every rank; when it throws Error on any, all throw SharedError. Collective.
void on_all_ranks(Communicator& comm, const std::function<void()>& work);

}  // namespace dln
