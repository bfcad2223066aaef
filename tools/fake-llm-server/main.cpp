// The fake model server: options -> server -> port on standard output -> serve until told to end.

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dln/error.hpp"

#include "options.hpp"
#include "server.hpp"

namespace {

/// A server that outlives its test would hold a port and a core: it ends with the process that began it.
void end_with_parent() {
    const pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {  // it ended before the kernel was told
        std::raise(SIGTERM);
    }
}

/// As many connections as the system allows.
void allow_many_files() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/// Complete or not there at all, so that who waits for the file can read it at once.
void write_port_file(const std::string& path, int port) {
    const std::string beside = path + ".tmp";
    std::ofstream file(beside);
    file << port << '\n';
    file.close();
    std::error_code error;
    std::filesystem::rename(beside, path, error);
    if (!file || error) {
        throw dln::UsageError(fmt::format("--port-file {}: cannot be written", path));
    }
}

}  // namespace

int main(int argc, char** argv) {
    end_with_parent();
    allow_many_files();
    std::signal(SIGPIPE, SIG_IGN);
    try {
        fake_llm::Options options;
        if (const int code = fake_llm::read_command_line(argc, argv, options); code >= 0) {
            return code;
        }
        fake_llm::Server server(options);
        if (!options.port_file.empty()) {
            write_port_file(options.port_file, server.port());
        }
        fmt::print("listening on 127.0.0.1:{}\n", server.port());
        std::fflush(stdout);
        server.run();
        return 0;
    } catch (const dln::Error& error) {
        fmt::print(stderr, "fake_llm_server: {}\n", error.what());
        return static_cast<int>(error.exit_code());
    } catch (const std::exception& error) {
        fmt::print(stderr, "fake_llm_server: {}\n", error.what());
        return static_cast<int>(dln::ExitCode::internal_error);
    }
}
