// What a trial of a sweep pays to know the replies of all trials before it: opening a journal that many processes
// have written, and looking at it again.

#include "dln/store/journal.hpp"

#include <fstream>

#include <malloc.h>

#include "dln/error.hpp"

#include "bench/measure.hpp"
#include "store/journal_line.hpp"
#include "support/temporary_directory.hpp"

namespace dln::bench {
namespace {

constexpr std::size_t kReplyBytes = 800;

// One file a process, as a trial of one rank leaves it.
void write_files(const testing::TemporaryDirectory& directory, int files, int replies) {
    for (int file = 0; file < files; ++file) {
        const std::string name = file == 0 ? "rank-0.jsonl" : fmt::format("rank-0-{}.jsonl", file);
        std::ofstream out(directory / name, std::ios::binary);
        for (int i = 0; i < replies; ++i) {
            const std::string body = fmt::format("{} {}", file, i);
            const PaidRequest request{"model", "/v1/completions", body};
            out << journal_line(journal_key(request), request, std::string(kReplyBytes, 'x'));
        }
    }
}

void measure(int files, int replies) {
    const testing::TemporaryDirectory directory;
    write_files(directory, files, replies);
    const std::size_t used = ::mallinfo2().uordblks;
    double begin = wall_seconds();
    Journal journal = Journal::read_write(directory.path(), 1);
    const std::string what = fmt::format("journal of {} files, {} replies", files, files * replies);
    print_figure("opening a " + what, wall_seconds() - begin, " s");
    begin = wall_seconds();
    journal.refresh();
    print_figure("looking again at a " + what, wall_seconds() - begin, " s");
    print_figure("memory of a rank for a " + what,
                 static_cast<double>(::mallinfo2().uordblks - used) / 1e6, " MB");
    if (journal.counts().held != static_cast<std::int64_t>(files) * replies) {
        throw Error(ExitCode::internal_error, "replies are missing");
    }
}

}  // namespace
}  // namespace dln::bench

int main(int count, char** arguments) {
    const bool quick = count > 1 && std::string_view(arguments[1]) == "--quick";
    return dln::bench::run_main("bench_journal", [&] {
        for (const int files : quick ? std::vector{250, 500} : std::vector{500, 1000, 2000}) {
            dln::bench::measure(files, 200);
        }
        return 0;
    });
}
