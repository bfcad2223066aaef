// Writes a journal of two ranks to the directory given: what read_journal.py then reads.

#include <string>

#include "dln/store/journal.hpp"

int main(int argc, char** argv) {
    if (argc != 2) {
        return 2;
    }
    auto first = dln::Journal::read_write(argv[1], 0);
    first.put({"sample", "/v1/completions", "{\"prompt\": \"polite\"}"}, "{\"text\": \"höflich\"}");
    first.put({"sample", "/v1/completions", "bytes"}, std::string("nul\0\xff", 5));
    auto second = dln::Journal::read_write(argv[1], 1);
    second.put({"sample", "/v1/completions", "empty"}, "");
    first.sync();
    second.sync();
    return 0;
}
