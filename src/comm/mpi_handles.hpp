#pragma once
// RAII over the MPI objects that the communicator uses: the library itself, a duplicated
// communicator, a request together with the buffer that MPI reads or writes meanwhile. MPI's return
// codes become CommError here and nowhere else. Private to src/comm.

#include <cstdint>
#include <string>
#include <vector>

#include <mpi.h>

namespace dln {

/// Throws CommError with `what` and MPI's own text when `code` is not MPI_SUCCESS.
void check_mpi(int code, const char* what);

/// Initialised MPI, finalised by the destructor. Collective. The owner must not destroy it while an
/// exception is in flight: other ranks may be in another collective and finalising would hang.
class MpiLibrary {
  public:
    MpiLibrary();
    ~MpiLibrary();
    MpiLibrary(const MpiLibrary&) = delete;
    MpiLibrary& operator=(const MpiLibrary&) = delete;
};

/// A communicator made for one owner, that returns error codes. Collective to construct and to destroy.
class MpiOwnComm {
  public:
    /// A duplicate of MPI_COMM_WORLD.
    MpiOwnComm();
    /// The ranks of `all` that pass the same `group`, in their order there.
    MpiOwnComm(const MpiOwnComm& all, int group);
    ~MpiOwnComm();
    MpiOwnComm(const MpiOwnComm&) = delete;
    MpiOwnComm& operator=(const MpiOwnComm&) = delete;
    [[nodiscard]] MPI_Comm get() const noexcept { return comm_; }
    [[nodiscard]] int rank() const noexcept { return rank_; }
    [[nodiscard]] int size() const noexcept { return size_; }
    /// Do not free: the program is unwinding and the peers will not take part.
    void abandon() noexcept { comm_ = MPI_COMM_NULL; }

  private:
    void set_up();

    MPI_Comm comm_ = MPI_COMM_NULL;
    int rank_ = 0;
    int size_ = 1;
};

/// An operation under way. The owner keeps the buffers alive until test() was true.
class MpiRequest {
  public:
    MpiRequest() = default;
    MpiRequest(const MpiRequest&) = delete;
    MpiRequest& operator=(const MpiRequest&) = delete;
    /// Where to start an operation.
    [[nodiscard]] MPI_Request* out() noexcept { return &request_; }
    /// True once complete (or never started); makes progress.
    [[nodiscard]] bool test(const char* what);

  private:
    MPI_Request request_ = MPI_REQUEST_NULL;
};

/// A piece of a message on its way out or in.
struct MpiTransfer {
    MpiRequest request;
    std::string bytes;
    int source = 0;
    bool last_piece = true;
};

/// An Ireduce with its buffers.
struct MpiSum {
    MpiRequest request;
    std::vector<std::int64_t> values;
    std::vector<std::int64_t> result;
};

}  // namespace dln
