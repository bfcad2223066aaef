// How long a job over a million examples takes to start, and what it costs each rank in memory: `dln train`
// of one tiny step with the scripted backend, launch, reading, sharing and writing included.
//
//   bench_start DLN [--quick]             the benchmark; DLN is the program
//   bench_start --watch FILE COMMAND...   runs COMMAND, adds its peak memory (kB) and processor time (s) to FILE

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.hpp"
#include "support/temporary_directory.hpp"

namespace dln::bench {
namespace {

namespace fs = std::filesystem;

struct Ended {
    int status = 0;
    long peak_kb = 0;
    double cpu = 0.0;  // seconds, user and system
};

Ended run_command(const std::vector<std::string>& command, const std::string& log) {
    std::vector<char*> arguments;
    for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        if (!log.empty()) {
            const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
            dup2(out, STDOUT_FILENO);
            dup2(out, STDERR_FILENO);
        }
        execvp(arguments[0], arguments.data());
        std::perror(arguments[0]);
        _exit(127);
    }
    Ended ended;
    rusage usage{};
    if (child < 0 || wait4(child, &ended.status, 0, &usage) != child) return {.status = -1};
    ended.peak_kb = usage.ru_maxrss;
    for (const timeval& part : {usage.ru_utime, usage.ru_stime}) {
        ended.cpu += static_cast<double>(part.tv_sec) + 1e-6 * static_cast<double>(part.tv_usec);
    }
    return ended;
}

int watch(const std::string& file, const std::vector<std::string>& command) {
    const Ended ended = run_command(command, "");
    std::ofstream(file, std::ios::app) << fmt::format("{} {}\n", ended.peak_kb, ended.cpu);
    return ended.status == 0 ? 0 : 1;
}

void write_inputs(const fs::path& folder, std::size_t examples) {
    std::ofstream data(folder / "train.jsonl");
    for (std::size_t i = 0; i < examples; ++i) {
        data << "{\"input\": \"" << sentence(i, 25) << "\", \"target\": \""
             << (i % 2 == 0 ? "positive" : "negative") << "\"}\n";
    }
    std::ofstream(folder / "job.json") << R"({
        "data": {"train": "train.jsonl"}, "classes": ["positive", "negative"], "run_dir": "run",
        "network": {"layers": [{"prompt": "Is it positive or negative?"}]},
        "train": {"steps": 1, "batch_size": 4, "candidates": 2,
                  "proposals": {"templates": ["paraphrase"]}},
        "backend": {"kind": "scripted"}})";
}

bool start_once(const fs::path& folder,
                const std::string& self,
                const std::string& dln,
                int ranks,
                std::size_t examples) {
    const std::string peaks = (folder / "peaks").string();
    const std::string log = (folder / "log").string();
    fs::remove_all(folder / "run");
    fs::remove(peaks);
    std::vector<std::string> command;
    if (ranks > 1) command = {"mpirun", "-n", std::to_string(ranks)};
    for (const std::string& part : {self, std::string("--watch"), peaks, dln, std::string("train"),
                                    (folder / "job.json").string()}) {
        command.push_back(part);
    }
    const double start = wall_seconds();
    const int status = run_command(command, log).status;
    const double seconds = wall_seconds() - start;
    if (status != 0) {
        std::ifstream said(log);
        fmt::print(stderr, "bench_start: {} ranks failed:\n{}\n", ranks,
                   std::string(std::istreambuf_iterator<char>(said), {}));
        return false;
    }
    long most = 0;
    double most_cpu = 0.0;
    std::ifstream in(peaks);
    long peak = 0;
    for (double cpu = 0.0; in >> peak >> cpu;) {
        most = std::max(most, peak);
        most_cpu = std::max(most_cpu, cpu);
    }
    const std::string what =
        fmt::format("{} examples, {} rank{}", examples, ranks, ranks == 1 ? "" : "s");
    print_figure(what + ": start to end of one tiny step", seconds, " s",
                 {.at_least = {}, .at_most = 5.0});
    print_figure(what + ": processor time of a rank", most_cpu, " s");
    print_figure(what + ": peak memory of a rank", static_cast<double>(most) / 1e6, " GB",
                 {.at_least = {}, .at_most = 1.0});
    return true;
}

int main_of(const std::string& self, const std::vector<std::string>& options) {
    if (options.size() >= 3 && options[0] == "--watch") {
        return watch(options[1], {options.begin() + 2, options.end()});
    }
    if (options.empty()) {
        fmt::print(stderr, "usage: bench_start DLN [--quick]\n");
        return 2;
    }
    const testing::TemporaryDirectory folder;
    constexpr std::size_t kExamples = 1'000'000;
    write_inputs(folder.path(), kExamples);
    bool ok = true;
    for (const int ranks : {1, 2})
        ok = start_once(folder.path(), self, options[0], ranks, kExamples) && ok;
    return ok ? 0 : 1;
}

}  // namespace
}  // namespace dln::bench

int main(int count, char** values) {
    return dln::bench::run_main("bench_start", [&] {
        return dln::bench::main_of(values[0], {values + 1, values + count});
    });
}
