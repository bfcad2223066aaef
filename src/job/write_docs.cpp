// Writes what is generated from the table of fields: dln_job_docs <source directory>.

#include <fstream>
#include <iostream>
#include <string>

#include "dln/job/job_docs.hpp"

namespace {

bool write(const std::string& path, const std::string& text) {
    std::ofstream out(path, std::ios::binary);
    out << text;
    out.close();
    std::cerr << (out ? "wrote " : "could not write ") << path << "\n";
    return static_cast<bool>(out);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string root = argc > 1 ? argv[1] : ".";
    const bool has_schema = write(root + "/jobs/job.schema.json", dln::job_schema());
    const bool has_page = write(root + "/docs/job-format.md", dln::job_format_markdown());
    const bool has_sweep_schema =
        write(root + "/jobs/sweeps/sweep.schema.json", dln::sweep_schema());
    const bool has_sweep_page = write(root + "/docs/sweep-format.md", dln::sweep_format_markdown());
    const bool has_mop = write(root + "/jobs/mop.schema.json", dln::mop_schema()) &&
                         write(root + "/docs/mop-format.md", dln::mop_format_markdown());
    return has_mop && has_schema && has_page && has_sweep_schema && has_sweep_page ? 0 : 1;
}
