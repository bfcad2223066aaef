// How this process was started, told by the environment that launchers leave. No MPI call.

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "dln/comm/communicator.hpp"

namespace dln {
namespace {

bool is_set(const char* variable) { return std::getenv(variable) != nullptr; }

/// Under srun without an MPI plugin no PMI variable is set. Several tasks in one step are still
/// meant as ranks: MPI_Init then fails with Open MPI's own explanation, which is better than as
/// many trainers that each think to be alone. The batch shell and the programs that it starts are
/// in no step.
bool has_several_tasks_in_step() {
    const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
    if (tasks == nullptr || !is_set("SLURM_PROCID")) {
        return false;
    }
    const std::string_view text(tasks);
    int count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return count > 1;
}

}  // namespace

bool launched_by_mpi() {
    // mpirun of Open MPI; srun --mpi=pmix and prterun; hydra, PALS and srun --mpi=pmi2.
    return is_set("OMPI_COMM_WORLD_SIZE") || is_set("PMIX_RANK") || is_set("PMI_SIZE") ||
           is_set("PMI_RANK") || has_several_tasks_in_step();
}

}  // namespace dln
