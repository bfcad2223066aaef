// Writes the sample step to the directory given: what read_with_h5py.py then reads.

#include "dln/store/checkpoint_store.hpp"

#include "sample_step.hpp"

int main(int argc, char** argv) {
    if (argc != 2) {
        return 2;
    }
    dln::make_hdf5_store(argv[1], "cafe")
        ->save(dln::testing::sample_header(12), dln::testing::sample_document(12));
    return 0;
}
