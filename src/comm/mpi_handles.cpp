#include "comm/mpi_handles.hpp"

#include <array>

#include "dln/error.hpp"

namespace dln {

void check_mpi(int code, const char* what) {
    if (code == MPI_SUCCESS) {
        return;
    }
    std::array<char, MPI_MAX_ERROR_STRING + 1> text{};
    int length = 0;
    if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) {
        throw CommError(fmt::format("{} failed with MPI error {}", what, code));
    }
    throw CommError(fmt::format("{} failed: {}", what, text.data()));
}

MpiLibrary::MpiLibrary() {
    int initialised = 0;
    check_mpi(MPI_Initialized(&initialised), "MPI_Initialized");
    if (initialised != 0) {
        throw InternalError("MPI is initialised already: one MPI communicator a process");
    }
    // Threads of a backend never call MPI.
    int provided = MPI_THREAD_SINGLE;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init");
    check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
              "MPI_Comm_set_errhandler");
}

MpiLibrary::~MpiLibrary() { MPI_Finalize(); }

MpiOwnComm::MpiOwnComm() {
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
    set_up();
}

MpiOwnComm::MpiOwnComm(const MpiOwnComm& all, int group) {
    check_mpi(MPI_Comm_split(all.get(), group, all.rank(), &comm_), "MPI_Comm_split");
    set_up();
}

void MpiOwnComm::set_up() {
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
}

MpiOwnComm::~MpiOwnComm() {
    if (comm_ != MPI_COMM_NULL) {
        MPI_Comm_free(&comm_);
    }
}

bool MpiRequest::test(const char* what) {
    int done = 0;
    check_mpi(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), what);
    return done != 0;
}

}  // namespace dln
