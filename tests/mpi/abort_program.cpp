// One rank fails alone while the others wait for it in a collective: the whole job must end at once. The
// failing rank unwinds past its communicator first, as main does.

#include <exception>
#include <memory>

#include "dln/comm/communicator.hpp"
#include "dln/error.hpp"

int main() {
    try {
        const std::unique_ptr<dln::Communicator> comm = dln::make_mpi_communicator();
        if (comm->rank() == comm->size() - 1) {
            if (comm->rank() > 0) {
                comm->send(0, std::string(5'000'000, 'x'));  // still under way when it fails
            }
            throw dln::InternalError("this rank alone");
        }
        return comm->all_of(true) ? 0 : 2;
    } catch (const dln::Error& error) {
        dln::abort_all_ranks(3);
    }
}
