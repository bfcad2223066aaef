// What working together costs: an evaluation over ranks against ranks that compute their halves on their
// own, in turns in the same processes, and what a second rank costs in memory.
//
//   mpirun -n 2 bench_ranks [--quick]

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "dln/comm/communicator.hpp"
#include "dln/engine/engine.hpp"
#include "dln/engine/network_runner.hpp"
#include "dln/job/job.hpp"
#include "dln/llm/embedded.hpp"
#include "dln/train/evaluate.hpp"

#include "bench/measure.hpp"

namespace dln::bench {
namespace {

constexpr std::size_t kPrompts = 4;
constexpr std::size_t kSplit = kDevSplit;

Job make_job() {
    return job_from_json(R"({
        "data": {"train": "unused.jsonl"}, "classes": ["positive", "negative"], "run_dir": "/unused",
        "network": {"layers": [{"prompt": "?", "template": "{{prompt}}\n{{input}}"}]}})");
}

std::vector<Dataset> make_splits(std::size_t examples) {
    std::vector<Dataset> splits(3);
    for (std::size_t i = 0; i < examples; ++i) {
        splits[kSplit].add(sentence(i, 6), i % 2 == 0 ? "positive" : "negative");
    }
    return splits;
}

EvaluateUnit evaluation(std::size_t prompt, const Dataset& split) {
    static constexpr std::string_view kTexts[kPrompts] = {
        "Is the following positive or negative?", "What mood does this text have?",
        "Say whether the words below are kind.", "Choose positive or negative for the input."};
    return {.parameters = {{std::string(kTexts[prompt]), 0}},
            .measure = Measure::classes,
            .split = kSplit,
            .examples = all_examples(split)};
}

/// Resident memory of this process in kB, all of it and without the pages of the model's file.
struct Memory {
    long all_kb = 0;
    long beyond_model_kb = 0;
};

Memory read_memory() {
    Memory memory;
    std::ifstream maps("/proc/self/smaps");
    bool is_model = false;
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        std::string first;
        words >> first;
        if (!first.empty() && first.back() != ':') {
            is_model = line.ends_with(".gguf");
        } else if (first == "Rss:") {
            long kb = 0;
            words >> kb;
            memory.all_kb += kb;
            if (!is_model) memory.beyond_model_kb += kb;
        }
    }
    return memory;
}

struct Seconds {
    double wall = 0.0;
    double cpu = 0.0;
};

/// What processes on their own do together.
struct Bare {
    double items_a_second = 0.0;
    double cpu = 0.0;
};

// One rank's part in the benchmark.
class Player {
  public:
    Player(Communicator& comm, std::size_t examples)
        : comm_(comm),
          splits_(make_splits(examples)),
          network_(job_, splits_[kTrainSplit]),
          backend_(make_embedded_backend(
              {.model = job_.backend.model, .context_tokens = job_.backend.context_tokens})),
          runner_(network_, splits_, *backend_, 0),
          engine_(comm, runner_) {}

    // Ranks other than 0: does what rank 0 says until it says stop.
    void follow() {
        for (;;) {
            const std::string order = next_message();
            if (order == "stop") return;
            if (order == "engine") {
                const double start = cpu_seconds();
                engine_.serve();
                comm_.send(0, std::to_string(cpu_seconds() - start));
            }
            if (order == "bare") {
                const Seconds bare = bare_seconds(comm_.rank());
                comm_.send(0, fmt::format("{} {}", bare.wall, bare.cpu));
            }
            if (order == "memory") {
                const Memory memory = read_memory();
                comm_.send(0, fmt::format("{} {}", memory.all_kb, memory.beyond_model_kb));
            }
        }
    }

    // Rank 0: tells the others what to do and reports.
    void lead(int rounds) {
        (void)evaluate(true);  // warms up
        std::vector<double> against_bare;
        std::vector<double> against_bare_cpu;
        std::vector<double> against_one;
        std::vector<double> throughput;
        for (int round = 0; round < rounds; ++round) {
            const Seconds together = evaluate(true);
            const Bare bare = bare_throughput();
            const Seconds one = evaluate(false);
            throughput.push_back(items() / together.wall);
            against_bare.push_back(items() / together.wall / bare.items_a_second);
            against_bare_cpu.push_back(bare.cpu / together.cpu);
            against_one.push_back(one.wall / together.wall);
        }
        const int ranks = comm_.size();
        const std::string what = fmt::format("{} ranks / {} processes on their own", ranks, ranks);
        print_figure(what, median(against_bare), "", {.at_least = 0.95, .at_most = {}});
        print_figure(what + ", by processor time", median(against_bare_cpu), "",
                     {.at_least = 0.95, .at_most = {}});
        print_figure(fmt::format("{} ranks / 1 rank", ranks), median(against_one), "");
        print_figure(fmt::format("{} ranks", ranks), median(throughput), " examples/s");
        report_memory();
        tell("stop");
    }

  private:
    [[nodiscard]] double items() const {
        return static_cast<double>(kPrompts * splits_[kSplit].size());
    }

    void tell(const std::string& order) {
        for (int rank = 1; rank < comm_.size(); ++rank) comm_.send(rank, order);
    }

    std::string next_message() {
        for (;;) {
            if (auto message = comm_.receive()) return std::move(message->bytes);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    // Rank 0: evaluates all prompts through the engine, on all ranks or on this one alone. Processor time
    // is that of all ranks.
    Seconds evaluate(bool on_all) {
        Engine alone(*local_, runner_);
        Engine& engine = on_all ? engine_ : alone;
        if (on_all) tell("engine");
        const double wall = wall_seconds();
        const double cpu = cpu_seconds();
        TaskGraph graph;
        for (std::size_t p = 0; p < kPrompts; ++p) {
            (void)add_evaluation(graph, network_, evaluation(p, splits_[kSplit]));
        }
        engine.run(graph);
        Seconds seconds{.wall = wall_seconds() - wall, .cpu = cpu_seconds() - cpu};
        if (on_all) {
            engine.stop_serving();
            for (int rank = 1; rank < comm_.size(); ++rank)
                seconds.cpu += std::stod(next_message());
        }
        return seconds;
    }

    // The processes, each with a share of the prompts and nobody to talk to: the sum of their speeds.
    Bare bare_throughput() {
        tell("bare");
        const Seconds own = bare_seconds(0);
        Bare sum{.items_a_second = items_of(0) / own.wall, .cpu = own.cpu};
        for (int rank = 1; rank < comm_.size(); ++rank) {
            Seconds other;
            std::istringstream(next_message()) >> other.wall >> other.cpu;
            sum.items_a_second += items_of(rank) / other.wall;
            sum.cpu += other.cpu;
        }
        return sum;
    }

    [[nodiscard]] double items_of(int rank) const {
        double count = 0.0;
        for (std::size_t p = 0; p < kPrompts; ++p) {
            if (is_mine(p, rank)) count += static_cast<double>(splits_[kSplit].size());
        }
        return count;
    }

    [[nodiscard]] bool is_mine(std::size_t prompt, int rank) const {
        return prompt % static_cast<std::size_t>(comm_.size()) == static_cast<std::size_t>(rank);
    }

    Seconds bare_seconds(int rank) {
        const double wall = wall_seconds();
        const double cpu = cpu_seconds();
        const Dataset& split = splits_[kSplit];
        const std::size_t block = network_.scoring().block;
        for (std::size_t p = 0; p < kPrompts; ++p) {
            if (!is_mine(p, rank)) continue;
            const LayerParameters parameters = evaluation(p, split).parameters.front();
            for (std::size_t first = 0; first < split.size(); first += block) {
                ScoreRequest request;
                for (std::size_t i = first; i < std::min(first + block, split.size()); ++i) {
                    request.items.push_back({network_.context(0, parameters, split[i].input),
                                             network_.class_forms(0).targets});
                }
                (void)run_request(*backend_, std::move(request));
            }
        }
        return {.wall = wall_seconds() - wall, .cpu = cpu_seconds() - cpu};
    }

    void report_memory() {
        tell("memory");
        for (int rank = 1; rank < comm_.size(); ++rank) {
            std::istringstream words(next_message());
            double all = 0.0;
            double beyond = 0.0;
            words >> all >> beyond;
            print_figure("memory of another rank beyond the shared model file", beyond / 1024.0,
                         " MB", {.at_least = {}, .at_most = 600.0});
            print_figure("memory of another rank, model file included", all / 1024.0, " MB");
        }
    }

    Communicator& comm_;
    std::unique_ptr<Communicator> local_ = make_local_communicator();
    Job job_ = make_job();
    std::vector<Dataset> splits_;
    Network network_;
    std::unique_ptr<Backend> backend_;
    NetworkRunner runner_;
    Engine engine_;
};

int main_of(const std::vector<std::string>& options) {
    const bool quick = std::ranges::find(options, "--quick") != options.end();
    const auto comm = make_mpi_communicator();
    Player player(*comm, quick ? 96 : 192);
    if (comm->rank() == 0) {
        player.lead(quick ? 2 : 4);
    } else {
        player.follow();
    }
    (void)comm->all_of(true);
    return 0;
}

}  // namespace
}  // namespace dln::bench

int main(int count, char** values) {
    return dln::bench::run_main("bench_ranks", [&] {
        return dln::bench::main_of({values + 1, values + count});
    });
}
