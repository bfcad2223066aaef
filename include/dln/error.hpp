#pragma once
// What the program throws and what its process then returns. Expected failures of single requests
// (a context that is too long, a reply with NaN) are values in results and never come this way.

#include <cstdlib>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

namespace dln {

/// Process exit codes, part of the command line's contract (README, "Exit codes").
enum class ExitCode : int {
    complete = 0,
    internal_error = 1,
    usage = 2,
    backend = 3,
    budget = 4,
    checkpoint = 5,
    submit_again = 75,
};

/// Base of all errors with a meaning for the user; `what()` is a complete message.
class Error : public std::runtime_error {
  public:
    Error(ExitCode exit_code, const std::string& message)
        : std::runtime_error(message), exit_code_(exit_code) {}
    [[nodiscard]] ExitCode exit_code() const noexcept { return exit_code_; }

  private:
    ExitCode exit_code_;
};

/// Wrong command line, job file, data file or run directory. Thrown before anything is written or paid.
class UsageError : public Error {
  public:
    explicit UsageError(const std::string& message) : Error(ExitCode::usage, message) {}
};

/// The backend cannot be used at all: model missing or damaged, server unreachable, scoring refused.
class BackendError : public Error {
  public:
    explicit BackendError(const std::string& message) : Error(ExitCode::backend, message) {}
};

/// A run directory holds no step file that can be used.
class CheckpointError : public Error {
  public:
    explicit CheckpointError(const std::string& message) : Error(ExitCode::checkpoint, message) {}
};

/// MPI failed. The other ranks cannot be assumed reachable: the program aborts.
class CommError : public Error {
  public:
    explicit CommError(const std::string& message) : Error(ExitCode::internal_error, message) {}
};

/// A broken promise between parts of the program. Never the user's fault.
class InternalError : public Error {
  public:
    explicit InternalError(const std::string& message) : Error(ExitCode::internal_error, message) {}
};

}  // namespace dln

/// Checks an invariant in every build; throws InternalError with the place, expression and values.
#define DLN_ASSERT(condition, ...)                                                             \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            throw ::dln::InternalError(fmt::format("{}:{}: broken invariant {}: {}", __FILE__, \
                                                   __LINE__, #condition,                       \
                                                   fmt::format(__VA_ARGS__)));                 \
        }                                                                                      \
    } while (false)
