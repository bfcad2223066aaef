// dln probe: what a backend can do and how noisy its scores are.

#include "dln/llm/probe.hpp"

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "dln/cli/commands.hpp"
#include "dln/error.hpp"
#include "dln/llm/http.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/trainer.hpp"

#include "cli/alternatives.hpp"
#include "cli/job_options.hpp"
#include "cli/session.hpp"

namespace dln {
namespace {

struct ProbeOptions {
    JobOptions job;
    BackendSpec backend;
    std::string key_env;
};

bool is_address(const std::string& text) {
    return text.starts_with("http://") || text.starts_with("https://");
}

/// HOST:PORT, perhaps with a path.
bool lacks_scheme(const std::string& text) {
    const std::string_view host = std::string_view(text).substr(0, text.find('/'));
    const auto colon = host.rfind(':');
    return colon != std::string_view::npos && colon > 0 && colon + 1 < host.size() &&
           host.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
}

// What is probed, and where it is described.
struct Probed {
    BackendSpec backend;
    BackendPlace place;
    bool has_to_score = true;
};

// The backends of a job, the forward model's first; else the one that the options describe.
std::vector<Probed> probed_by(const ProbeOptions& options) {
    Probed probed{.backend = options.backend, .place = {.job_path = "dln probe"}};
    if (is_address(options.job.job_path)) {
        probed.backend.kind = BackendKind::http;
        probed.backend.patience_seconds = 10;
        probed.backend.endpoints.push_back(
            {.address = options.job.job_path, .key_env = options.key_env});
    } else if (!options.job.job_path.empty()) {
        if (lacks_scheme(options.job.job_path) && !std::filesystem::exists(options.job.job_path)) {
            throw UsageError(
                fmt::format("{0}: there is no such file. Did you mean the address http://{0}?",
                            printable(options.job.job_path)));
        }
        const Job job = read_job(options.job);
        std::vector<Probed> all{{.backend = job.backend, .place = {job.path, kBackendPointer}}};
        if (job.backward_backend) {
            all.push_back({.backend = *job.backward_backend,
                           .place = {job.path, kBackwardPointer},
                           .has_to_score = scores_samples(job)});
        }
        return all;
    }
    return {probed};
}

void print_info(const BackendInfo& info) {
    fmt::print("backend {}: {}\nmodel   {}\n", info.kind, info.description, info.model);
    fmt::print("context {} tokens, chat template: {}\n", info.context_tokens,
               info.has_chat_template ? "yes" : "no");
}

void print_report(const ProbeReport& report) {
    print_info(report.info);
    for (const ProbeCheck& check : report.checks) {
        fmt::print("{} {}: {}\n", check.ok ? "ok  " : "FAIL", check.name, check.detail);
    }
    if (!report.has_measurements()) return;
    fmt::print("noise floor {:.2g} nats: smaller differences between candidates are ties\n",
               report.noise_floor);
    fmt::print("speed   {:.1f} items scored a second, {:.1f} tokens generated a second\n",
               report.scored_items_per_second, report.generated_tokens_per_second);
}

// Returns whether the backend can do what is asked of it.
bool probe_one(const Probed& probed) {
    ProbeReport report;
    try {
        const auto backend = make_backend(probed.backend, probed.place);
        if (!probed.has_to_score) {
            print_info(backend->info());
            fmt::print("scores  are not asked of it: it writes proposals and samples only\n");
            return true;
        }
        report = probe_backend(*backend);
    } catch (const UnreachableError&) {
        throw;
    } catch (const BackendError& error) {
        throw with_alternative(error, report, probed.backend, probed.place);
    }
    print_report(report);
    if (report.ok()) return true;
    const std::string works = working_alternative(report, probed.backend, probed.place);
    if (!works.empty()) fmt::print("{}\n", works);
    return false;
}

int run_probe(const ProbeOptions& options) {
    if (options.job.job_path.empty() && !options.job.sets.empty()) {
        throw UsageError(
            "--set overrides fields of a job file: name one, or use --model, --weights");
    }
    bool are_usable = true;
    const std::vector<Probed> all = probed_by(options);
    for (const Probed& probed : all) {
        if (all.size() > 1) {
            fmt::print("{}{}\n", &probed == &all.front() ? "" : "\n", probed.place.pointer);
        }
        are_usable = probe_one(probed) && are_usable;
    }
    return are_usable ? 0 : static_cast<int>(ExitCode::backend);
}

}  // namespace

void add_probe_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<ProbeOptions>();
    CLI::App* command =
        app.add_subcommand("probe", "Measure what a backend can do and how noisy its scores are");
    command->add_option("job", options->job.job_path,
                        "Job file whose backends are probed, or the address of a server");
    command->add_option("--set", options->job.sets, "Override a field of the job file")
        ->type_name("POINTER=VALUE")
        ->expected(1)
        ->take_all();
    command
        ->add_option("--model", options->backend.model, "Without a job: GGUF file or cached model")
        ->capture_default_str();
    command->add_option("--weights", options->backend.weights, "Without a job: weight type")
        ->check(CLI::IsMember({"f32", "f16", "as_is"}))
        ->capture_default_str();
    command->add_option("--threads", options->backend.threads, "Without a job: threads")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    command->add_option("--dialect", options->backend.dialect, "Of the server at an address")
        ->check(CLI::IsMember(http_dialects()))
        ->capture_default_str();
    command->add_option("--served-model", options->backend.served_model,
                        "Its model; by default the only one");
    command->add_option("--begin-text", options->backend.begin_text,
                        "Text put before scored texts, for servers that need it");
    command->add_option("--key-env", options->key_env,
                        "Environment variable that holds the server's key");
    command->footer(
        "Examples:  dln probe                  (the embedded model of the quick start)\n"
        "           dln probe --weights as_is  (its quantised weights: see the noise)\n"
        "           dln probe http://127.0.0.1:8000 --dialect sglang");
    command->callback([options, &chosen] { chosen = [options] { return run_probe(*options); }; });
}

}  // namespace dln
