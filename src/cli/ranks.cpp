#include "cli/ranks.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace dln {
namespace {

// A result of rank 0: '+' and the bytes, or '-', the exit code and the message.
constexpr char kGood = '+';
constexpr char kBad = '-';

}  // namespace

std::string from_root(Communicator& comm, const std::function<std::string()>& compute) {
    std::string bytes;
    if (comm.rank() == 0) {
        try {
            bytes = kGood + compute();
        } catch (const Error& error) {
            bytes =
                fmt::format("{}{:03}{}", kBad, static_cast<int>(error.exit_code()), error.what());
        }
    }
    bytes = comm.broadcast(std::move(bytes));
    DLN_ASSERT(!bytes.empty(), "rank 0 broadcast nothing");
    if (bytes.front() == kGood) return bytes.substr(1);
    throw SharedError(static_cast<ExitCode>(std::stoi(bytes.substr(1, 3))), bytes.substr(4));
}

void on_all_ranks(Communicator& comm, const std::function<void()>& work) {
    std::string message;
    ExitCode code = ExitCode::internal_error;
    bool ok = true;
    try {
        work();
    } catch (const Error& error) {
        ok = false;
        message = error.what();
        code = error.exit_code();
    }
    if (comm.all_of(ok)) return;
    // Rank 0's own error is the one to show; one that only others saw they print themselves.
    (void)from_root(comm, [&]() -> std::string {
        if (!ok) throw Error(code, message);
        return {};
    });
    if (!ok) fmt::print(stderr, "dln: rank {}: {}\n", comm.rank(), message);
    throw SharedError(ok ? ExitCode::backend : code, "another rank failed; see its message");
}

int run_on_root(const std::function<int()>& body) {
    return run_on_ranks([&body](Communicator& comm) {
        int code = 0;
        (void)from_root(comm, [&]() -> std::string {
            code = body();
            return {};
        });
        return code;
    });
}

int run_on_ranks(const std::function<int(Communicator&)>& body) {
    const std::unique_ptr<Communicator> comm =
        launched_by_mpi() ? make_mpi_communicator() : make_local_communicator();
    const bool is_alone = comm->size() == 1;
    int code = 0;
    try {
        code = body(*comm);
    } catch (const SharedError& error) {
        if (comm->rank() == 0) fmt::print(stderr, "dln: {}\n", error.what());
        return static_cast<int>(error.exit_code());
    } catch (const Error& error) {
        if (is_alone) throw;
        fmt::print(stderr, "dln: rank {}: {}\n", comm->rank(), error.what());
        std::fflush(nullptr);
        abort_all_ranks(static_cast<int>(error.exit_code()));
    } catch (const std::exception& error) {
        if (is_alone) throw;
        fmt::print(stderr, "dln: rank {}: internal error: {}\n", comm->rank(), error.what());
        std::fflush(nullptr);
        abort_all_ranks(static_cast<int>(ExitCode::internal_error));
    }
    return std::stoi(comm->broadcast(std::to_string(code)));
}

}  // namespace dln
