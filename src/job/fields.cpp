#include "job/fields.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "dln/text/utf8.hpp"

#include "job/checks.hpp"
#include "job/file_codecs.hpp"
#include "job/object_codec.hpp"

namespace dln::job {
namespace {

const char* const kDefaultTemplate = "{{prompt}}\n\n{{input}}";

// ---- data and classes --------------------------------------------------------------------------

void finish_split(Reader& reader, const Json& json, SplitSpec& split) {
    if (json.contains("format") || split.path.empty()) {
        return;
    }
    const auto extension = std::filesystem::path(split.path).extension();
    if (extension == ".jsonl" || extension == ".ndjson") {
        split.format = DataFormat::json_lines;
    } else if (extension == ".csv") {
        split.format = DataFormat::csv;
    } else if (extension == ".json") {
        split.format = DataFormat::bbh;
    } else {
        reader.fail(
            fmt::format("the extension \"{}\" does not tell the format. Set \"format\" to one of: "
                        "\"json_lines\", \"csv\", \"bbh\".",
                        printable(extension.string())),
            {"format"});
    }
}

Codec<SplitSpec> split() {
    ObjectCodec<SplitSpec> spec("split", "A file of examples.");
    spec.shorthand(text_shorthand("path", "a text, which is its `path`"))
        .field("path", &SplitSpec::path, input_path(), "The file, read once by rank 0.",
               {.required = true})
        .field(
            "format", &SplitSpec::format,
            choice<DataFormat>({{DataFormat::json_lines, "json_lines"},
                                {DataFormat::csv, "csv"},
                                {DataFormat::bbh, "bbh"}}),
            "`json_lines`: one object a line; `csv`: RFC 4180 with a header line; `bbh`: one JSON "
            "document with a list \"examples\".",
            {.default_text = "by the extension .jsonl, .ndjson, .csv or .json"})
        .field("input_field", &SplitSpec::input_field, non_empty_text(),
               "Name of the field or column with the input.")
        .field("target_field", &SplitSpec::target_field, non_empty_text(),
               "Name of the field or column with the target.")
        .field("task_field", &SplitSpec::task_field, nullable(non_empty_text()),
               "Name of the field or column with the name of the example's task, for data of "
               "several tasks; `dln data mix` writes it as `task`. Absent: examples have no task.")
        .field("labels", &SplitSpec::labels, renamings(),
               "What a target in the file is called in this job, e.g. `{\"0\": \"no\", \"1\": "
               "\"yes\"}`.")
        .field("limit", &SplitSpec::limit, integer<std::size_t>(0),
               "Only the first so many examples; 0 takes all.");
    return spec.build(finish_split);
}

}  // namespace

Codec<DataSpec> data_fields() {
    ObjectCodec<DataSpec> spec("data", "The examples.");
    spec.field("train", &DataSpec::train, split(), "Batches are drawn from it.", {.required = true})
        .field("dev", &DataSpec::dev, nullable(split()),
               "Decides which prompts are the best; without it those of the last step are.")
        .field("test", &DataSpec::test, nullable(split()), "Read for the final evaluation only.");
    return spec.build();
}

std::string default_run_dir(const std::string& name) {
    std::error_code error;
    return std::filesystem::absolute("runs/" + name, error).lexically_normal().string();
}

namespace {

Codec<ClassSpec> class_entry() {
    ObjectCodec<ClassSpec> spec("class", "An answer that the last layer may give.");
    spec.shorthand(text_shorthand("name", "a text, which is its `name` and its verbalizer"))
        .field("name", &ClassSpec::name, non_empty_text(), "What examples have as target.",
               {.required = true})
        .field("verbalizers", &ClassSpec::verbalizers,
               list(non_empty_text(), Brackets::optional, 1),
               "The texts that stand for the class; no two classes share one.",
               {.default_text = "the name"});
    return spec.build([](Reader& reader, const Json& json, ClassSpec& entry) {
        if (!json.contains("verbalizers")) {
            entry.verbalizers = {entry.name};
        }
        for (std::size_t i = 0; i < entry.verbalizers.size(); ++i) {
            if (!entry.verbalizers[i].empty() && trim(entry.verbalizers[i]).empty()) {
                reader.fail("white space only. Expected a text that a model can answer with.",
                            {"verbalizers", std::to_string(i)});
            }
        }
    });
}

// ---- network -----------------------------------------------------------------------------------

Codec<TemplateSpec> layer_template() {
    ObjectCodec<TemplateSpec> spec("template",
                                   "The words around prompt and input, with the variables "
                                   "`{{prompt}}`, `{{input}}` (needed), "
                                   "`{{examples}}` (the few-shot examples) and "
                                   "`{{word.<name>}}` (the layer's `words`).");
    spec.shorthand(text_shorthand("text", "a text, which is its `text`"))
        .field("name", &TemplateSpec::name, non_empty_text(), "For reports; unique in its layer.",
               {.default_text = "`t1`, `t2`, ... by position"})
        .field("text", &TemplateSpec::text, non_empty_text(), "The template.", {.required = true})
        .field("chat", &TemplateSpec::chat, boolean(),
               "Send it as one user message of the model's own chat template.")
        .field("separator", &TemplateSpec::separator, nullable(text()),
               "What stands between the rendered template and the target; scored with the target.",
               {.default_text = "scoring's, or `\"\"` with `chat`"});
    return spec.build();
}

void finish_layer(Reader& reader, const Json& json, LayerSpec& layer) {
    if (!json.contains("templates") && !json.contains("template")) {
        layer.templates = {{.name = "", .text = kDefaultTemplate, .chat = false, .separator = {}}};
    }
    name_entries(reader, "t", layer.templates);
    check_templates(reader, layer);
    if (layer.residual) {
        check_template(reader, "residual", *layer.residual,
                       {.texts = {"input", "output"}, .lists = {}, .inside = {}}, "output");
    }
}

Codec<GateFitSpec> gate() {
    ObjectCodec<GateFitSpec> spec(
        "gate",
        "How the gate of a mixture layer is fitted, after each step, to all "
        "examples seen.");
    spec.field("l2", &GateFitSpec::l2, number({.high = 1e6, .low_open = true}),
               "Weight of the penalty on its weights: the smaller, the surer it may be.")
        .field("iterations", &GateFitSpec::iterations, integer<std::size_t>(1, 100'000),
               "Steps of the descent.");
    return spec.build();
}

Codec<MixtureLayerSpec> mixture() {
    ObjectCodec<MixtureLayerSpec> spec(
        "mixture", "Several prompts in one layer, and a gate that chooses by the input.");
    spec.field(
            "experts", &MixtureLayerSpec::experts, integer<std::size_t>(1, 64),
            "Prompts of the layer, each with a template and words of its own; 1 is a plain layer. "
            "They begin as `prompts`, which are repeated where there are fewer.")
        .field("prediction", &MixtureLayerSpec::prediction,
               choice<MixturePrediction>(
                   {{MixturePrediction::best, "best"}, {MixturePrediction::mixture, "mixture"}}),
               "`best`: the expert answers that the gate finds most probable; `mixture`: class "
               "probabilities are the mean over the experts, by the gate's (last layer, jobs with "
               "classes).")
        .field("gate", &MixtureLayerSpec::gate, gate(), "How the gate is fitted.");
    return spec.build();
}

Codec<LayerSpec> layer() {
    ObjectCodec<LayerSpec> spec(
        "layer", "One language-model call: a template rendered with (prompt, input).");
    spec.field("prompts", &LayerSpec::prompts, list(text_or_file(), Brackets::optional, 1),
               "Initial prompts; the first is the incumbent of the first step.",
               {.required = true, .alias = "prompt"})
        .field("templates", &LayerSpec::templates, list(layer_template(), Brackets::optional, 1),
               "How prompt and input become the context of a call.",
               {.alias = "template", .default_text = "`" + Json(kDefaultTemplate).dump() + "`"})
        .field("words", &LayerSpec::words, word_fields(),
               "Words of the templates: a text or several alternatives for each `{{word.<name>}}`, "
               "e.g. `{\"input\": [\"Text\", \"Review\"]}`. Training begins with the first "
               "and, with "
               "`words` among the proposal templates, tries the others.")
        .field("train", &LayerSpec::train, boolean(),
               "false freezes the layer's prompt, template and words.")
        .field("few_shot", &LayerSpec::few_shot, integer<std::size_t>(0, 1000),
               "Training examples shown in `{{examples}}`, or before the template without it.")
        .field("few_shot_choice", &LayerSpec::few_shot_choice,
               choice<FewShotChoice>({{FewShotChoice::random, "random"},
                                      {FewShotChoice::balanced, "balanced"},
                                      {FewShotChoice::nearest, "nearest"}}),
               "Which examples are shown: any; the classes in equal shares; for each input those "
               "that `embedding` finds nearest to it, the nearest last.")
        .field("max_tokens", &LayerSpec::max_tokens, integer<int>(1, kMostTokens),
               "Most tokens of a generated output.")
        .field("temperature", &LayerSpec::temperature, number({.high = 100.0}),
               "Of the forward pass; 0 takes the most probable token.")
        .field("stop", &LayerSpec::stop, list(non_empty_text(), Brackets::optional),
               "Texts before which generation ends.")
        .field("residual", &LayerSpec::residual, nullable(text()),
               "Template of what the next layer sees, with `{{input}}` and `{{output}}` (needed); "
               "absent: the output alone.")
        .field("mixture", &LayerSpec::mixture, mixture(),
               "Several prompts, and a gate over the input's `embedding` that chooses among them.");
    return spec.build(finish_layer);
}

Codec<NetworkSpec> network() {
    ObjectCodec<NetworkSpec> spec("network", "The stack of layers, first to last.");
    spec.field("layers", &NetworkSpec::layers, list(layer(), Brackets::needed, 1),
               "The layers; the last one answers.", {.required = true})
        .field("strip_options", &NetworkSpec::strip_options, boolean(),
               "Cut a trailing \"Options:\" block from what hidden layers see.");
    return spec.build();
}

// ---- the whole ---------------------------------------------------------------------------------

void finish_job(Reader& reader, const Json& json, Job& job) {
    if (!json.contains("name")) {
        job.name = reader.stem();
    }
    if (!json.contains("run_dir")) {
        job.run_dir = default_run_dir(job.name);
    }
    std::vector<std::string> names;
    for (const auto& entry : job.classes) {
        names.push_back(entry.name);
    }
    check_unique(reader, names, "classes", "class");
    for (auto& entry : job.network.layers) {
        for (auto& layer_template : entry.templates) {
            if (!layer_template.separator) {
                layer_template.separator = layer_template.chat ? "" : job.scoring.separator;
            }
        }
    }
    // One model, loaded once and with one set of limits.
    if (job.backward_backend == job.backend) job.backward_backend.reset();
    if (reader.has_failed()) return;
    if (nearest_shown(job) > 0 && !job.embedding) job.embedding.emplace();
    check_job(reader, job);
}

Codec<Job> whole_job() {
    ObjectCodec<Job> spec("job", "The top level of the file.");
    spec.field("system", &Job::system, choice_text({"dln"}),
               "What is trained: a network. A mixture of prompts is another system "
               "(docs/mop-format.md).")
        .field("name", &Job::name, file_name(), "Name of the run, for reports and directories.",
               {.default_text = "the file's name without its extension"})
        .field(
            "seed", &Job::seed, integer<std::uint64_t>(0),
            "Key of all random numbers; the same job and seed give the same run on any number of "
            "ranks.")
        .field("run_dir", &Job::run_dir, output_path(),
               "Directory of the run; a relative one is relative to the job file.",
               {.default_text = "`runs/<name>` in the current directory"})
        .field("keep", &Job::keep, all_or_count(), "Newest step files that stay, beside the best.")
        .field("data", &Job::data, data_fields(), "The examples.", {.required = true})
        .field("classes", &Job::classes, list(class_entry()),
               "The answers that the last layer may give; empty: it generates free text.")
        .field("network", &Job::network, network(), "The stack of layers.", {.required = true})
        .field("scoring", &Job::scoring, scoring_fields(), "What a prompt is worth on an example.")
        .field("train", &Job::train, train_fields(), "The loop: propose, score, select.")
        .field("backend", &Job::backend, backend_fields(),
               "The language model: the forward model, and without `backward_backend` the backward "
               "one too.")
        .field("backward_backend", &Job::backward_backend, nullable(backend_fields()),
               "The backward model: the one that writes proposals and posterior samples, and that "
               "`log_q` is scored by. It has the fields of `backend`, with defaults of their own.",
               {.default_text = "none: `backend` does both"})
        .field(
            "embedding", &Job::embedding, nullable(embedding_fields()),
            "What `few_shot_choice` `nearest` measures nearness by, and what the gates of mixture "
            "layers see.",
            {.default_text = "none, or n-grams where it is needed"})
        .field("budget", &Job::budget, budget_fields(), "What the run may use in all.");
    return spec.build(finish_job);
}

}  // namespace

const Codec<Job>& job_codec() {
    static const Codec<Job> codec = whole_job();
    return codec;
}

}  // namespace dln::job
