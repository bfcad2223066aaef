// The command line: global flags, the subcommands, and the only catch-all of the program.

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "dln/cli/commands.hpp"
#include "dln/error.hpp"
#include "dln/llm/embedded.hpp"
#include "dln/text/utf8.hpp"

#include "cli/ranks.hpp"
#include "cli/version.hpp"

namespace dln {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 complete, 1 internal error, 2 wrong usage or job file, 3 backend unusable,\n"
    "4 budget spent, 5 no usable checkpoint, 75 stopped cleanly: submit again.\n"
    "\n"
    "Start with:  mpirun -n 2 dln train jobs/quickstart.json";

std::string version_text() {
    return fmt::format("dln {} (git {})\ncompiler {}\nMPI {}\nHDF5 {}\nbackends: scripted, http{}",
                       kVersion, kGitRevision, kCompiler, kMpiVersion, kHdf5Version,
                       embedded_backend_available() ? ", embedded (llama.cpp)" : "");
}

// Results go to standard output, everything said about them to standard error.
void set_up_log(const std::string& level) {
    auto logger =
        std::make_shared<spdlog::logger>("dln", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("dln: %v");
    logger->set_level(spdlog::level::from_str(level));
    spdlog::set_default_logger(logger);
}

// "dln trian": which commands there are; nothing when the mistake is another one.
std::string unknown_command(CLI::App& app) {
    const std::vector<std::string> rest = app.remaining();
    if (!app.get_subcommands().empty() || rest.empty() || rest.front().starts_with("-")) return "";
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
    }
    const auto near = near_miss(rest.front(), names);
    return fmt::format("no command \"{}\". Expected one of {}.{}", printable(rest.front(), 60),
                       fmt::join(names, ", "),
                       near ? fmt::format(" Did you mean \"{}\"?", *near) : std::string());
}

// Results that could not be written are no success.
int checked_output(int code) {
    errno = 0;
    const bool is_flushed = std::fflush(stdout) == 0;
    if (is_flushed && std::ferror(stdout) == 0) return code;
    fmt::print(stderr, "dln: standard output could not be written completely: {}\n",
               errno != 0 ? std::strerror(errno) : "an earlier write failed");
    return code != 0 ? code : static_cast<int>(ExitCode::internal_error);
}

}  // namespace

int run_command_line(int argc, char** argv) {
    CLI::App app{
        "dln trains Deep Language Networks: stacks of language-model calls whose parameters are "
        "their prompts.",
        "dln"};
    app.footer(kFooter);
    app.require_subcommand(1);
    app.set_version_flag("--version", version_text());
    app.fallthrough();
    std::string level = "info";
    app.add_option("--log-level", level, "How much is said on standard error")
        ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
        ->capture_default_str();
    Chosen chosen;
    add_train_command(app, chosen);
    add_eval_command(app, chosen);
    add_predict_command(app, chosen);
    add_plan_command(app, chosen);
    add_probe_command(app, chosen);
    add_inspect_command(app, chosen);
    add_compare_command(app, chosen);
    add_sweep_command(app, chosen);
    add_data_command(app, chosen);
    try {
        app.parse(argc, argv);
        set_up_log(level);
        const bool is_for_one = app.got_subcommand("inspect") || app.got_subcommand("probe") ||
                                app.got_subcommand("compare") || app.got_subcommand("data");
        return checked_output(is_for_one ? run_on_root(chosen) : chosen());
    } catch (const CLI::ParseError& error) {
        const std::string unknown = error.get_exit_code() == 0 ? "" : unknown_command(app);
        if (!unknown.empty()) {
            fmt::print(stderr, "dln: {}\n", unknown);
            return static_cast<int>(ExitCode::usage);
        }
        return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
    } catch (const Error& error) {
        fmt::print(stderr, "dln: {}\n", error.what());
        return static_cast<int>(error.exit_code());
    } catch (const std::exception& error) {
        fmt::print(stderr, "dln: internal error: {}\n", error.what());
        return static_cast<int>(ExitCode::internal_error);
    }
}

}  // namespace dln
