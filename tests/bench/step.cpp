// A training step of the quick start's job: what of it is not the model, and how fast its proposals are
// decoded against llama.cpp with the same batches and nothing else.
//
//   bench_step JOB [--quick]

#include <nlohmann/json.hpp>

#include "dln/data/read.hpp"
#include "dln/engine/network_runner.hpp"
#include "dln/llm/embedded.hpp"
#include "dln/llm/logits.hpp"
#include "dln/train/trainer.hpp"

#include "bench/measure.hpp"
#include "llm/embedded/embedded_backend.hpp"
#include "support/temporary_directory.hpp"

namespace dln::bench {
namespace {

// A generation as the step asked for it, and what came of it.
struct Generation {
    GenerateRequest request;
    GenerateReply reply;
    Usage usage;
};

/// A backend in front of another: measures the time inside it and keeps its generations.
class Recorder : public Backend {
  public:
    explicit Recorder(Backend& inner) : inner_(inner) {}
    [[nodiscard]] const BackendInfo& info() const noexcept override { return inner_.info(); }
    void submit(std::uint64_t id, Request request) override {
        if (const auto* generate = std::get_if<GenerateRequest>(&request)) asked_[id] = *generate;
        inner_.submit(id, std::move(request));
    }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds timeout) override {
        const double wall = wall_seconds();
        const double cpu = cpu_seconds();
        std::vector<Completion> completed = inner_.poll(timeout);
        wall_ += wall_seconds() - wall;
        cpu_ += cpu_seconds() - cpu;
        for (const Completion& completion : completed) {
            const auto found = asked_.find(completion.id);
            if (found == asked_.end()) continue;
            generations_.push_back({std::move(found->second),
                                    std::get<GenerateReply>(completion.reply), completion.usage});
            asked_.erase(found);
        }
        return completed;
    }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override {
        return inner_.wanted_requests();
    }
    [[nodiscard]] int count_tokens(const Context& context) override {
        return inner_.count_tokens(context);
    }
    [[nodiscard]] double wall() const noexcept { return wall_; }
    [[nodiscard]] double cpu() const noexcept { return cpu_; }
    [[nodiscard]] const std::vector<Generation>& generations() const noexcept {
        return generations_;
    }

  private:
    Backend& inner_;
    std::map<std::uint64_t, GenerateRequest> asked_;
    std::vector<Generation> generations_;
    double wall_ = 0.0;
    double cpu_ = 0.0;
};

/// The HDF5 store, with the time that saving takes.
class TimedStore : public CheckpointStore {
  public:
    explicit TimedStore(const std::string& folder) : inner_(make_hdf5_store(folder, "")) {}
    void save(const StepHeader& header, const StepDocument& document) override {
        const double start = wall_seconds();
        inner_->save(header, document);
        seconds_.push_back(wall_seconds() - start);
    }
    [[nodiscard]] std::optional<LoadedStep> load_newest() override { return inner_->load_newest(); }
    [[nodiscard]] StepFile load(std::int64_t step) override { return inner_->load(step); }
    [[nodiscard]] std::vector<std::int64_t> steps() const override { return inner_->steps(); }
    void prune(const KeepRule& rule) override { inner_->prune(rule); }
    [[nodiscard]] const std::vector<double>& seconds() const noexcept { return seconds_; }

  private:
    std::unique_ptr<CheckpointStore> inner_;
    std::vector<double> seconds_;
};

class Quiet : public TrainObserver {
  public:
    void resumed(const TrainState&, const std::vector<std::string>&) override {}
    void evaluated_dev(const TrainState&, const DevResult&, bool) override {}
    void stepped(const StepRecord&, const TrainState&, double) override {}
    void progressed(const TrainState&, const EngineProgress&) override {}
    void warned(const std::string& message) override {
        fmt::print(stderr, "bench_step: {}\n", message);
    }
};

// Trains as `dln train` does on one rank and prints what was not the model.
void measure_step(const Job& job, Recorder& backend) {
    std::vector<std::string> classes;
    for (const ClassSpec& known : job.classes) classes.push_back(known.name);
    std::vector<Dataset> splits{
        read_split(job.data.train, classes), read_split(*job.data.dev, classes), {}};
    const Network network(job, splits[kTrainSplit]);
    NetworkRunner runner(network, splits, backend, job.seed);
    const auto comm = make_local_communicator();
    Engine engine(*comm, runner);
    RunDirectory run(job.run_dir);
    TimedStore store(run.steps_path());
    const BatchSampler batches = make_batches(job, network, splits[kTrainSplit]);
    const Proposer proposer(job.train.proposals);
    const PosteriorSampler posterior(job.train.posterior);
    Quiet observer;
    const double wall = wall_seconds();
    const double cpu = cpu_seconds();
    run.create(job_to_json(job).dump(2) + "\n", "bench", {.forward = "bench"});
    (void)train({.job = job,
                 .network = network,
                 .splits = splits,
                 .engine = engine,
                 .backward = backend,
                 .batches = batches,
                 .proposer = proposer,
                 .posterior = posterior},
                run, store, {.program_version = "bench", .job_hash = "bench"}, {}, observer);
    const double wall_all = wall_seconds() - wall;
    const double cpu_all = cpu_seconds() - cpu;
    const double steps = static_cast<double>(job.train.steps);
    print_figure("step: wall time outside the model", 100.0 * (1.0 - backend.wall() / wall_all),
                 " %", {.at_least = {}, .at_most = 2.0});
    print_figure("step: processor time outside the model", 100.0 * (1.0 - backend.cpu() / cpu_all),
                 " %", {.at_least = {}, .at_most = 2.0});
    print_figure("step: whole", wall_all / steps, " s");
    print_figure("step: saving its file", 1000.0 * median(store.seconds()), " ms");
}

// llama.cpp with the batches of `generation` and the cheapest choice of tokens; returns the tokens decoded.
std::int64_t replay_bare(EmbeddedBackend& backend, const Generation& generation) {
    Decoder& decoder = backend.decoder();
    const auto most = static_cast<std::size_t>(decoder.options().tokens_a_decode);
    struct Sequence {
        int id;
        int position;
        int left;  // tokens still to decode
        Token next;
    };
    TokenTree tree;
    std::vector<Sequence> sequences;
    for (std::size_t i = 0; i < generation.request.items.size(); ++i) {
        const GeneratedText& text = generation.reply.texts[i];
        if (!text.ok()) continue;
        const auto tokens = backend.tokenizer().encode(generation.request.items[i].context);
        const int node = tree.add_path(tokens).back();
        tree.add_sequence_through(node);
        tree.nodes()[static_cast<std::size_t>(node)].wants_logits = true;
        const int id = static_cast<int>(sequences.size());
        sequences.push_back({id, static_cast<int>(tokens.size()),
                             text.cut ? text.tokens - 1 : text.tokens, tokens.back()});
    }
    decoder.begin({});
    std::vector<DecodeToken> batch;
    std::int64_t decoded = 0;
    const auto decode = [&] {
        decoder.decode(batch);
        decoded += static_cast<std::int64_t>(batch.size());
        batch.clear();
    };
    for (const TokenNode& node : tree.nodes()) {
        batch.push_back({node.token, node.depth, node.sequences, node.wants_logits});
        if (batch.size() == most) decode();
    }
    if (!batch.empty()) decode();
    for (;;) {
        std::erase_if(sequences, [](const Sequence& sequence) { return sequence.left <= 0; });
        if (sequences.empty()) return decoded;
        for (const Sequence& sequence : sequences) {
            batch.push_back({sequence.next, sequence.position, std::span(&sequence.id, 1), true});
        }
        decode();
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            sequences[i].next = argmax_token(decoder.logits_of(i));
            ++sequences[i].position;
            --sequences[i].left;
        }
    }
}

// The step's own generations again, in turns with the same batches bare.
void measure_decoding(EmbeddedBackend& backend, const std::vector<Generation>& generations) {
    std::vector<double> ratios;
    std::vector<double> rates;
    for (const Generation& generation : generations) {
        double start = cpu_seconds();
        const Completion again = run_request(backend, generation.request);
        const double through =
            static_cast<double>(again.usage.evaluated_tokens) / (cpu_seconds() - start);
        start = cpu_seconds();
        const auto decoded = static_cast<double>(replay_bare(backend, generation));
        ratios.push_back(through / (decoded / (cpu_seconds() - start)));
        rates.push_back(through);
    }
    print_figure("proposals: tokens a second / the same batches bare", median(ratios), "",
                 {.at_least = 0.9, .at_most = {}});
    print_figure("proposals: prompt and output tokens", median(rates), " tokens/s");
    // Decoding alone: as many sequences as a unit has, one short context, no prompts to read.
    const GenerateRequest& first = generations.front().request;
    const Context context{.text = "A list of short instructions, one a line:\n-"};
    GenerateRequest request{
        .items = {}, .max_tokens = first.max_tokens, .temperature = first.temperature};
    for (std::size_t i = 0; i < first.items.size(); ++i) request.items.push_back({context, i});
    ratios.clear();
    rates.clear();
    for (std::size_t round = 0; round < std::max<std::size_t>(generations.size(), 3); ++round) {
        double start = cpu_seconds();
        const Completion drawn = run_request(backend, request);
        const double through =
            static_cast<double>(drawn.usage.generated_tokens) / (cpu_seconds() - start);
        start = cpu_seconds();
        const auto decoded = static_cast<double>(decode_bare(
            backend, context, static_cast<int>(request.items.size()), request.max_tokens));
        ratios.push_back(through / (decoded / (cpu_seconds() - start)));
        rates.push_back(through);
    }
    print_figure("outputs: tokens a second / llama.cpp bare", median(ratios), "",
                 {.at_least = 0.9, .at_most = {}});
    print_figure("outputs", median(rates), " tokens/s");
}

int main_of(const std::vector<std::string>& options) {
    if (options.empty()) {
        fmt::print(stderr, "usage: bench_step JOB [--quick]\n");
        return 2;
    }
    const bool quick = std::ranges::find(options, "--quick") != options.end();
    const testing::TemporaryDirectory folder;
    Job job = read_job(options[0], {{"/data/dev/limit", "20"}, {"/data/test", "null"}});
    job.run_dir = folder / "run";
    job.train.steps = quick ? 1 : 3;
    EmbeddedBackend backend(
        EmbeddedOptions{.model = job.backend.model, .context_tokens = job.backend.context_tokens});
    Recorder recorder(backend);
    measure_step(job, recorder);
    if (!recorder.generations().empty()) measure_decoding(backend, recorder.generations());
    return 0;
}

}  // namespace
}  // namespace dln::bench

int main(int count, char** values) {
    return dln::bench::run_main("bench_step", [&] {
        return dln::bench::main_of({values + 1, values + count});
    });
}
