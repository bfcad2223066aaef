#pragma once
// What the program may ask of its peers. LocalCommunicator (one rank, no MPI) and MpiCommunicator
// (src/comm/, the only place of mpi.h) implement it.
//
// broadcast, all_of and start_sum are collective: all ranks call them, in the same order. Point-to-point
// messages between two ranks arrive in the order they were sent. Nothing here blocks except broadcast and
// all_of. Everything throws CommError when MPI fails, which ends the job.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dln {

/// A message from another rank.
struct Message {
    int source = 0;
    std::string bytes;
};

/// A sum over ranks under way. Exact: integers, so the order of the ranks does not matter.
class PendingSum {
  public:
    virtual ~PendingSum() = default;
    /// True once the result is there; makes progress. Cheap: call it in a loop.
    [[nodiscard]] virtual bool done() = 0;
    /// The element-wise sum on rank 0, empty elsewhere. Pre: done(). Call once.
    [[nodiscard]] virtual std::vector<std::int64_t> take() = 0;
};

class Communicator {
  public:
    virtual ~Communicator() = default;
    [[nodiscard]] virtual int rank() const noexcept = 0;
    [[nodiscard]] virtual int size() const noexcept = 0;
    /// Returns rank 0's `bytes` on every rank; what other ranks pass is ignored. Collective. Any size.
    [[nodiscard]] virtual std::string broadcast(std::string bytes) = 0;
    /// True on every rank iff `ok` was true on every rank. Collective; call before a step that one rank
    /// could miss.
    [[nodiscard]] virtual bool all_of(bool ok) = 0;
    /// Sends `bytes` to `destination` (not this rank) without waiting; the buffer is kept until sent.
    virtual void send(int destination, std::string bytes) = 0;
    /// Returns the next message that has arrived here from any rank, if one has.
    [[nodiscard]] virtual std::optional<Message> receive() = 0;
    /// Starts the sum of `values` over all ranks to rank 0. Collective in order, not in time.
    [[nodiscard]] virtual std::unique_ptr<PendingSum> start_sum(
        std::vector<std::int64_t> values) = 0;
    /// A communicator of the ranks that pass the same `group`, in their order here. Messages of the two do not mix.
    /// Collective; destroy the new one, on all its ranks, before this one.
    [[nodiscard]] virtual std::unique_ptr<Communicator> split(int group) = 0;
};

/// One rank, no MPI.
[[nodiscard]] std::unique_ptr<Communicator> make_local_communicator();

/// MPI_COMM_WORLD. Initialises MPI (and finalises it when destroyed, unless an exception is in flight).
/// Call at most once in a process.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator();

/// True when this process was started by mpirun or srun as one of several ranks, or as a singleton of
/// them: looks at the launchers' environment variables only.
[[nodiscard]] bool launched_by_mpi();

/// Ends all ranks at once with `exit_code` after an error that only this rank saw.
[[noreturn]] void abort_all_ranks(int exit_code);

}  // namespace dln
