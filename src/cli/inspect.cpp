// dln inspect: what a step file or a run holds.

#include <algorithm>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/cli/commands.hpp"
#include "dln/error.hpp"
#include "dln/mop/state.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/run_directory.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/state.hpp"

#include "cli/mop_inspect.hpp"
#include "cli/shown_parameters.hpp"
#include "cli/text_file.hpp"

namespace dln {
namespace fs = std::filesystem;
namespace {

struct InspectOptions {
    std::string path;
    bool all = false;
};

// What the job calls template `index` of `layer`; its number where no job.json tells.
std::string template_name(const nlohmann::json& job, std::size_t layer, std::int64_t index) {
    const nlohmann::json::json_pointer place(
        fmt::format("/network/layers/{}/templates/{}/name", layer, index));
    if (job.is_object() && job.contains(place) && job[place].is_string()) {
        return printable(job[place].get<std::string>(), 30);
    }
    return std::to_string(index);
}

std::string shape_text(const Array& array) {
    std::string text;
    for (const std::size_t extent : array.shape) {
        text += (text.empty() ? "" : " x ") + std::to_string(extent);
    }
    return text.empty() ? "scalar" : text;
}

std::string value_text(const Array& array) {
    const auto first = [](const auto& values) -> std::string {
        if (values.empty()) return "";
        using Value = std::decay_t<decltype(values.front())>;
        if constexpr (std::is_same_v<Value, std::string>) {
            return fmt::format("\"{}\"", printable(values.front(), 60));
        } else {
            return fmt::format("{}", values.front());
        }
    };
    return std::visit(first, array.values);
}

void print_arrays(const StepDocument& document) {
    for (const auto& [path, array] : document.arrays) {
        fmt::print("  {:<34} {:>10}  {}{}\n", path, shape_text(array), value_text(array),
                   array.shape.empty() ? "" : " ...");
    }
}

void print_parameters(const char* name,
                      const NetworkParameters& parameters,
                      const nlohmann::json& job) {
    for (std::size_t l = 0; l < parameters.size(); ++l) {
        for (std::size_t e = 0; e < expert_count(parameters[l]); ++e) {
            const LayerParameters expert = expert_of(parameters[l], e);
            const auto index = static_cast<std::int64_t>(expert.template_index);
            fmt::print("{} layer {}{}: {}\n", name, l + 1,
                       parameters[l].others.empty() ? "" : fmt::format(", expert {}", e + 1),
                       shown_parameters(expert, template_name(job, l, index), 200));
        }
    }
}

// Row `row` of a table of words; none where the layer has no words.
std::vector<std::string> words_of(const StepDocument& document,
                                  const std::string& path,
                                  std::size_t row) {
    if (!document.contains(path)) return {};
    const auto width = static_cast<std::ptrdiff_t>(document.at(path).shape.at(1));
    const auto first = document.texts(path).begin() + static_cast<std::ptrdiff_t>(row) * width;
    return {first, first + width};
}

// Of a layer whose arrays are below `at`, or of one of its experts, which `title` names.
void print_candidates(const StepDocument& document,
                      const std::string& at,
                      const std::string& title,
                      std::size_t layer,
                      const nlohmann::json& job) {
    if (!document.contains(at + "/candidates/prompt")) return;
    const auto& prompts = document.texts(at + "/candidates/prompt");
    const auto& templates = document.integers(at + "/candidates/template");
    const auto& origins = document.texts(at + "/candidates/origin");
    const auto& means = document.reals(at + "/candidates/mean");
    const auto& scored = document.integers(at + "/candidates/scored");
    const auto chosen = static_cast<std::size_t>(document.integer(at + "/chosen"));
    // A batch without an error ends a step before any candidate is scored.
    if (std::ranges::all_of(scored, [](std::int64_t count) { return count == 0; })) {
        fmt::print("\n{}: no candidate was scored\n", title);
        return;
    }
    fmt::print("\n{}\n{:>3} {:>10} {:>7} {:>8} {:<12} prompt\n", title, "", "mean", "scored",
               "template", "origin");
    for (std::size_t k = 0; k < prompts.size(); ++k) {
        fmt::print("{:>2}{} {:>10.4f} {:>7} {:>8} {:<12} {}{}\n", k, k == chosen ? '*' : ' ',
                   means[k], scored[k], template_name(job, layer, templates[k]),
                   printable(origins[k], 20), printable(prompts[k], 90),
                   shown_words(words_of(document, at + "/candidates/words", k)));
    }
}

void print_layer(const StepDocument& document,
                 std::size_t layer,
                 std::size_t experts,
                 const nlohmann::json& job) {
    const std::string at = fmt::format("step/layers/{}", layer);
    const std::string title = fmt::format("layer {}", layer + 1);
    if (experts == 1) return print_candidates(document, at, title, layer, job);
    for (std::size_t e = 0; e < experts; ++e) {
        std::string part = fmt::format("{}, expert {}", title, e + 1);
        if (document.contains(at + "/responsibilities")) {
            const std::vector<double>& shares = document.reals(at + "/responsibilities");
            double sum = 0.0;
            for (std::size_t i = e; i < shares.size(); i += experts) sum += shares[i];
            part += fmt::format(", {:.1f} of {} examples", sum, shares.size() / experts);
        }
        print_candidates(document, fmt::format("{}/experts/{}", at, e), part, layer, job);
    }
}

// The latents of the batch's first examples, the forward pass's and the heaviest sample.
void print_latents(const StepDocument& document) {
    constexpr std::size_t kShown = 4;
    if (!document.contains("step/weights/best")) return;
    const auto& forward = document.at("step/latents/forward");
    const auto& sampled = document.at("step/latents/sampled");
    const auto& best = document.integers("step/weights/best");
    if (best.empty()) return;  // nothing to learn: none was drawn
    const std::size_t samples = sampled.shape[1];
    const std::size_t hidden = sampled.shape[2];
    const auto& weights = document.reals("step/weights/values");
    const auto& said = std::get<std::vector<std::string>>(forward.values);
    const auto& drawn = std::get<std::vector<std::string>>(sampled.values);
    fmt::print("\nlatents of the first examples: said, and the heaviest sample\n");
    for (std::size_t i = 0; i < std::min(best.size(), kShown); ++i) {
        for (std::size_t l = 0; l < hidden; ++l) {
            fmt::print("  {} layer {}: \"{}\"", i, l + 1, printable(said[i * hidden + l], 90));
            if (best[i] < 0) {
                fmt::print(", no sample\n");
                continue;
            }
            const std::size_t k = i * samples + static_cast<std::size_t>(best[i]);
            fmt::print(", weight {:.2f} \"{}\"\n", weights[k],
                       printable(drawn[k * hidden + l], 90));
        }
    }
}

void print_file(const StepFile& file, const fs::path& run, bool all) {
    const nlohmann::json job = read_json_file((run / "job.json").string());
    fmt::print("{} format {}, written by dln {}, step {}\njob {}\ndigest {} (verified)\n\n",
               file.header.file_type, file.header.format_version, file.header.program_version,
               file.header.step, file.header.job_hash, file.header.digest);
    if (mop::holds_mixture(file.document)) {
        print_mixture(file.document, job);
        if (all) print_arrays(file.document);
        return;
    }
    const TrainState state = read_state(file.document);
    print_parameters("current", state.current, job);
    if (!state.best.empty()) {
        print_parameters("best   ", state.best[0].parameters, job);
        fmt::print("best on dev after step {}: accuracy {:.4f}, log-likelihood {:.4f}\n",
                   state.best_step, state.best[0].dev.accuracy(),
                   state.best[0].dev.log_likelihood());
    }
    fmt::print("memory {}, evaluations without gain {}, noise floor {:.2g} nats, {} calls so far\n",
               state.memory.size(), state.without_gain, state.noise_floor, state.usage.calls);
    const double seconds = file.document.contains("timing/run_seconds")
                               ? file.document.real("timing/run_seconds")
                               : 0.0;
    fmt::print("{} requests of {} tokens and {} generated ones, {:.3f} hours so far\n",
               state.usage.requests, state.usage.prompt_tokens,
               state.usage.generated_tokens + state.usage.discarded_tokens, seconds / 3600.0);
    print_latents(file.document);
    for (std::size_t l = 0; l < state.current.size(); ++l) {
        print_layer(file.document, l, expert_count(state.current[l]), job);
    }
    if (all) {
        fmt::print("\n");
        print_arrays(file.document);
    }
}

// The end of a complete run: initial and trained prompts on test.
void print_result(const nlohmann::json& result) {
    for (const auto& [key, name] :
         {std::pair{"test_initial", "initial"}, std::pair{"test", "trained"}}) {
        if (!result.is_object() || !result.contains(key) || !result[key].is_object()) continue;
        std::string text;
        for (const char* measure : {"accuracy", "perplexity", "log_likelihood"}) {
            const auto found = result[key].find(measure);
            if (found == result[key].end() || !found->is_number()) continue;
            text += fmt::format(
                ", {} {:.4f}",
                measure == std::string_view("log_likelihood") ? "log-likelihood" : measure,
                found->get<double>());
        }
        fmt::print("test, {} prompt: {} examples{}\n", name,
                   result[key].value("examples", std::int64_t{0}), text);
    }
}

// Where a budget stopped the run.
void print_stop(const nlohmann::json& spent) {
    if (!spent.is_object()) return;
    fmt::print(
        "stopped by its budget after step {}: {} requests, {} prompt and {} generated tokens, "
        "{:.3f} "
        "hours\n",
        std::max(spent.value("after_step", std::int64_t{0}), std::int64_t{0}),
        spent.value("requests", std::int64_t{0}), spent.value("prompt_tokens", std::int64_t{0}),
        spent.value("generated_tokens", std::int64_t{0}) +
            spent.value("discarded_tokens", std::int64_t{0}),
        spent.value("seconds", 0.0) / 3600.0);
}

// One line a step file, with the best prompt on dev up to there; a damaged one is named and does not end the listing.
int inspect_run(const InspectOptions& options) {
    const RunDirectory run(options.path);
    const std::vector<std::string> files = run.step_files();
    const nlohmann::json job = read_json_file(run.file("job.json"));
    fmt::print("{}: {} step file{}, newest {}\n", options.path, files.size(),
               files.size() == 1 ? "" : "s", run.latest().value_or("unknown"));
    int code = 0;
    std::string last;
    for (const std::string& path : files) {
        try {
            const StepFile file = read_step_file(path);
            if (mop::holds_mixture(file.document)) {
                print_mixture_line(file);
                last = path;
                continue;
            }
            const TrainState state = read_state(file.document);
            const bool has_best = !state.best.empty();
            // Of a mixture layer its first expert stands for all.
            const auto& shown = has_best ? state.best[0].parameters : state.current;
            const std::size_t end = shown.size() - 1;
            fmt::print(
                "step {:>6}  best dev {}  {} calls  {}\n", file.header.step,
                has_best ? fmt::format("{:.4f}", state.best[0].dev.accuracy()) : "-",
                state.usage.calls,
                shown_parameters(
                    shown[end],
                    template_name(job, end, static_cast<std::int64_t>(shown[end].template_index)),
                    80));
            last = path;
        } catch (const CheckpointError& error) {
            fmt::print("damaged: {}\n", error.what());
            code = static_cast<int>(ExitCode::checkpoint);
        }
    }
    if (!last.empty()) {
        fmt::print("\n{}\n", last);
        print_file(read_step_file(last), options.path, options.all);
    }
    print_stop(read_json_file(run.file("spent.json")));
    print_result(read_json_file(run.file("result.json")));
    return code;
}

int run_inspect(const InspectOptions& options) {
    if (fs::is_directory(options.path)) {
        if (!fs::is_directory(RunDirectory(options.path).steps_path())) {
            throw UsageError(fmt::format(
                "{}: not the directory of a training run (no steps/ in it)", options.path));
        }
        return inspect_run(options);
    }
    if (!fs::exists(options.path)) {
        throw UsageError(
            fmt::format("{}: no such file or directory. Give a step file "
                        "(run/steps/000012.h5) or a run directory.",
                        options.path));
    }
    print_file(read_step_file(options.path), fs::absolute(options.path).parent_path().parent_path(),
               options.all);
    return 0;
}

}  // namespace

void add_inspect_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<InspectOptions>();
    CLI::App* command =
        app.add_subcommand("inspect", "Show a step file or a whole run; verifies digests");
    command->add_option("path", options->path, "Step file or run directory")->required();
    command->add_flag("--all", options->all, "Also list every array in the file");
    command->footer("Example:  dln inspect runs/quickstart");
    command->callback([options, &chosen] { chosen = [options] { return run_inspect(*options); }; });
}

}  // namespace dln
