#pragma once
// Work in a child process that a failpoint kills (dln/store/failpoint.hpp).

#include <csignal>
#include <cstdlib>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace dln::testing {

/// Runs `work` in a child that has DLN_FAILPOINT, or another variable of failpoints; returns its wait status.
template <class Work>
int run_with_failpoint(const std::string& failpoint,
                       Work work,
                       const char* variable = "DLN_FAILPOINT") {
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv(variable, failpoint.c_str(), 1);
        work();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

inline bool was_ended_by(int status, int signal) {
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}
inline bool was_killed(int status) { return was_ended_by(status, SIGKILL); }

}  // namespace dln::testing
