// The program: flags -> command -> exit code.

#include "dln/cli/commands.hpp"

int main(int argc, char** argv) { return dln::run_command_line(argc, argv); }
