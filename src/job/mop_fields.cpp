#include "job/mop_fields.hpp"

#include "job/fields.hpp"
#include "job/file_codecs.hpp"
#include "job/object_codec.hpp"

namespace dln::job {
namespace {

constexpr std::int64_t kMostSteps = 1'000'000;
constexpr std::size_t kMostVectors = 4096;

Codec<TemplateSpec> task_text() {
    ObjectCodec<TemplateSpec> spec(
        "text",
        "The words around an input, with the variable `{{input}}`, and the answer's place.");
    spec.shorthand(text_shorthand("template", "a text, which is its `template`"))
        .field("template", &TemplateSpec::text, non_empty_text(), "The template.",
               {.required = true})
        .field("chat", &TemplateSpec::chat, boolean(),
               "One user message of the model's own chat template; the answer is the reply.")
        .field("separator", &TemplateSpec::separator, nullable(text()),
               "What stands before the answer, as a part of it.",
               {.default_text = "a space, or `\"\"` with `chat`"});
    return spec.build([](Reader&, const Json& json, TemplateSpec& read) {
        if (!json.contains("separator") || json["separator"].is_null()) {
            read.separator = read.chat ? "" : " ";
        }
    });
}

Codec<MopTaskSpec> task() {
    ObjectCodec<MopTaskSpec> spec("task", "Examples that ask for the same skill.");
    spec.field("name", &MopTaskSpec::name, non_empty_text(),
               "For reports, and the label that the gate may be taught.", {.required = true})
        .field("data", &MopTaskSpec::data, data_fields(), "The examples.", {.required = true})
        .field("text", &MopTaskSpec::text, task_text(), "The words around an input.",
               {.default_text = "`{{input}}`"})
        .field("classes", &MopTaskSpec::classes, list(non_empty_text()),
               "The answers that `dln predict` chooses from; empty: it generates. Of no matter to "
               "training.");
    return spec.build([](Reader& reader, const Json& json, MopTaskSpec& read) {
        if (!json.contains("text")) read.text = {.name = {}, .text = "{{input}}", .separator = " "};
        check_template(reader, "text", read.text.text,
                       {.texts = {"input"}, .lists = {}, .inside = {}}, "input");
    });
}

Codec<Compression> compression() {
    ObjectCodec<Compression> spec(
        "compression",
        "How the linear layers of all blocks are made smaller: pruned, then rounded.");
    spec.field("pruning", &Compression::pruning,
               choice<Pruning>({{Pruning::none, "none"},
                                {Pruning::magnitude, "magnitude"},
                                {Pruning::wanda, "wanda"}}),
               "Which weights become 0: the smallest of a matrix, or those of each row that count "
               "least for what comes in (Wanda).")
        .field("sparsity", &Compression::sparsity,
               number({.high = 1.0, .low_open = true, .high_open = true}),
               "Share of the weights that pruning sets to 0.")
        .field("storage", &Compression::storage,
               choice<StorageType>({{StorageType::f32, "f32"},
                                    {StorageType::q8_0, "q8_0"},
                                    {StorageType::q4_1, "q4_1"}}),
               "The type that weights are rounded through; they are computed with in fp32.");
    return spec.build();
}

Codec<MopModelSpec> model() {
    ObjectCodec<MopModelSpec> spec("model", "The frozen model, of the Llama family.");
    spec.field("model", &MopModelSpec::model, model_reference(),
               "A name in the model cache, or the path of a GGUF file.")
        .field("compression", &MopModelSpec::compression, compression(),
               "How its weights are made smaller; the result is kept in the model cache.")
        .field("calibration_texts", &MopModelSpec::calibration_texts,
               integer<std::size_t>(1, 100'000), "Training texts that Wanda looks at.")
        .field("longest_text", &MopModelSpec::longest_text, integer<std::size_t>(2, kMostTokens),
               "Most tokens of a text with its answer; a longer one is refused.");
    return spec.build();
}

Codec<GateSpec> gate() {
    ObjectCodec<GateSpec> spec("gate", "How much a text heeds each expert.");
    spec.field(
            "kind", &GateSpec::kind,
            choice<GateKind>({{GateKind::learned, "learned"},
                              {GateKind::frozen, "frozen"},
                              {GateKind::uniform, "uniform"}}),
            "`learned`: trained with the prompts; `frozen`: as pretraining leaves it; `uniform`: "
            "no gate, all experts alike.")
        .field("hidden", &GateSpec::hidden, integer<std::size_t>(1, 65536),
               "Units of its hidden layer.")
        .field("pretrain", &GateSpec::pretrain, boolean(),
               "Teach it the tasks' labels before the first step.")
        .field("pretrain_steps", &GateSpec::pretrain_steps, integer<std::size_t>(1, 1'000'000),
               "Steps of that, each on all training texts.")
        .field("pretrain_rate", &GateSpec::pretrain_rate, number({.low_open = true}),
               "Learning rate of that.");
    return spec.build();
}

Codec<MixtureSpec> mixture() {
    ObjectCodec<MixtureSpec> spec("mixture", "The prompt vectors.");
    spec.field("experts", &MixtureSpec::experts, integer<std::size_t>(1, kMostVectors),
               "Groups of prompt vectors; 1 is prompt tuning.")
        .field("vectors", &MixtureSpec::vectors, integer<std::size_t>(1, kMostVectors),
               "Prompt vectors of each expert.")
        .field("injection_block", &MixtureSpec::injection_block, integer<std::size_t>(0, 10'000),
               "The first block that sees them; those before it see the text alone.")
        .field("gate", &MixtureSpec::gate, gate(), "How much a text heeds each expert.");
    return spec.build();
}

Codec<MopTrainSpec> training() {
    ObjectCodec<MopTrainSpec> spec("training", "The loop.");
    spec.field("steps", &MopTrainSpec::steps, integer<std::int64_t>(0, kMostSteps),
               "Steps of the optimiser, or rounds with `federated`.")
        .field("batch_size", &MopTrainSpec::batch_size, integer<std::size_t>(1, 100'000),
               "Texts of a step.")
        .field("micro_batch", &MopTrainSpec::micro_batch, integer<std::size_t>(1, 10'000),
               "Texts that a rank takes together: results may depend on it in their last digits, "
               "never on ranks.")
        .field("prompts_rate", &MopTrainSpec::prompts_rate, number({.low_open = true}),
               "Adam's learning rate of the prompts.")
        .field("gate_rate", &MopTrainSpec::gate_rate, number(), "Adam's learning rate of the gate.")
        .field("clip", &MopTrainSpec::clip, number(),
               "A longer gradient is scaled to this length; 0: none is.")
        .field("eval_every", &MopTrainSpec::eval_every, integer<std::int64_t>(1, kMostSteps),
               "Steps between dev evaluations.");
    return spec.build();
}

Codec<FederatedSpec> federated() {
    ObjectCodec<FederatedSpec> spec("federated",
                                    "Clients that keep their examples and send parameters only.");
    spec.field("clients", &FederatedSpec::clients, integer<std::size_t>(1, 100'000),
               "How many; ranks simulate them.")
        .field("skew", &FederatedSpec::skew,
               choice<ClientSkew>(
                   {{ClientSkew::tasks, "tasks"}, {ClientSkew::dirichlet, "dirichlet"}}),
               "`tasks`: each client has examples of one or two tasks; `dirichlet`: each task's "
               "examples are split by shares from a Dirichlet distribution.")
        .field("alpha", &FederatedSpec::alpha, number({.low_open = true}),
               "Of that distribution: the smaller, the more do clients differ.")
        .field("local_steps", &FederatedSpec::local_steps, integer<std::size_t>(1, 100'000),
               "Steps of a client in a round.")
        .field("participation", &FederatedSpec::participation,
               number({.high = 1.0, .low_open = true}), "Share of the clients asked in a round.")
        .field("drop_out", &FederatedSpec::drop_out, number({.high = 1.0, .high_open = true}),
               "Probability that a client that was asked does not answer.")
        .field("averaging", &FederatedSpec::averaging,
               choice<Averaging>(
                   {{Averaging::examples, "examples"}, {Averaging::gate_mass, "gate_mass"}}),
               "Weight of a client: its examples (FedAvg), or, for each expert, its examples times "
               "the mean weight that its gate gives the expert.");
    return spec.build();
}

void finish_mop(Reader& reader, const Json& json, MopJob& job) {
    if (!json.contains("name")) job.name = reader.stem();
    if (!json.contains("run_dir")) job.run_dir = default_run_dir(job.name);
    std::vector<std::string> names;
    for (const MopTaskSpec& entry : job.tasks) names.push_back(entry.name);
    check_unique(reader, names, "tasks", "task");
    if (!reader.has_failed()) check_mop_job(reader, job);
}

Codec<MopJob> whole_job() {
    ObjectCodec<MopJob> spec("job", "The top level of the file.");
    spec.field("system", &MopJob::system, choice_text({"mop"}), "A mixture of prompts.",
               {.required = true})
        .field("name", &MopJob::name, file_name(), "Name of the run, for reports and directories.",
               {.default_text = "the file's name without its extension"})
        .field("seed", &MopJob::seed, integer<std::uint64_t>(0),
               "Key of all random numbers; the same job and seed give the same run on any number "
               "of ranks.")
        .field("run_dir", &MopJob::run_dir, output_path(),
               "Directory of the run; a relative one is relative to the job file.",
               {.default_text = "`runs/<name>` in the current directory"})
        .field("keep", &MopJob::keep, all_or_count(),
               "Newest step files that stay, beside the best; one has all prompt vectors.")
        .field("tasks", &MopJob::tasks, list(task(), Brackets::needed, 1),
               "What the mixture is to learn, all together.", {.required = true})
        .field("model", &MopJob::model, model(), "The frozen model.")
        .field("mixture", &MopJob::mixture, mixture(), "The prompt vectors.")
        .field("train", &MopJob::train, training(), "The loop.")
        .field("federated", &MopJob::federated, nullable(federated()),
               "Clients that keep their examples.", {.default_text = "none: training is central"});
    return spec.build(finish_mop);
}

}  // namespace

const Codec<MopJob>& mop_codec() {
    static const Codec<MopJob> codec = whole_job();
    return codec;
}

void check_mop_job(Reader& reader, const MopJob& job) {
    const std::size_t tasks = job.tasks.size();
    const MixtureSpec& mixture = job.mixture;
    if (mixture.gate.pretrain && mixture.gate.kind != GateKind::uniform && mixture.experts > 1 &&
        tasks > mixture.experts) {
        reader.fail(
            fmt::format("{} experts for {} tasks: pretraining gives each task an expert of its "
                        "own. Expected at least {}, or \"pretrain\": false in \"gate\".",
                        mixture.experts, tasks, tasks),
            {"mixture", "experts"});
    }
    if (mixture.experts * mixture.vectors > kMostVectors) {
        reader.fail(fmt::format("{} experts of {} vectors are {}. Expected at most {} in all.",
                                mixture.experts, mixture.vectors, mixture.experts * mixture.vectors,
                                kMostVectors),
                    {"mixture", "vectors"});
    }
    if (job.federated && job.federated->skew == ClientSkew::tasks &&
        2 * job.federated->clients < tasks) {
        reader.fail(fmt::format("{} clients of at most two tasks each cannot have {} tasks. "
                                "Expected at least {}, or \"skew\": \"dirichlet\".",
                                job.federated->clients, tasks, (tasks + 1) / 2),
                    {"federated", "clients"});
    }
}

}  // namespace dln::job
