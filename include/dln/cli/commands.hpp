#pragma once
// The subcommands of dln. Each add_* registers one with its options and help; when the user named it,
// parsing sets `chosen` to what runs it and returns the process's exit code.

#include <functional>

namespace CLI {
class App;
}

namespace dln {

using Chosen = std::function<int()>;

void add_train_command(CLI::App& app, Chosen& chosen);
void add_eval_command(CLI::App& app, Chosen& chosen);
void add_predict_command(CLI::App& app, Chosen& chosen);
void add_plan_command(CLI::App& app, Chosen& chosen);
void add_probe_command(CLI::App& app, Chosen& chosen);
void add_inspect_command(CLI::App& app, Chosen& chosen);
void add_compare_command(CLI::App& app, Chosen& chosen);
void add_sweep_command(CLI::App& app, Chosen& chosen);
void add_data_command(CLI::App& app, Chosen& chosen);

/// Parses the command line, runs the command, reports what escapes it; returns the exit code.
[[nodiscard]] int run_command_line(int argc, char** argv);

}  // namespace dln
