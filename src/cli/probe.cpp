// dln probe: what a backend can do and how noisy its scores are.

#include "dln/llm/probe.hpp"

#include <filesystem>
#include <memory>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "dln/cli/commands.hpp"
#include "dln/error.hpp"
#include "dln/llm/http.hpp"
#include "dln/text/utf8.hpp"

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

// What is probed, and what begins messages about it.
struct Probed {
    BackendSpec backend;
    std::string place;
};

Probed probed_by(const ProbeOptions& options) {
    Probed probed{.backend = options.backend, .place = "dln probe"};
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
        probed = {.backend = job.backend, .place = job.path};
    }
    return probed;
}

void print_report(const ProbeReport& report) {
    fmt::print("backend {}: {}\nmodel   {}\n", report.info.kind, report.info.description,
               report.info.model);
    fmt::print("context {} tokens, chat template: {}\n", report.info.context_tokens,
               report.info.has_chat_template ? "yes" : "no");
    for (const ProbeCheck& check : report.checks) {
        fmt::print("{} {}: {}\n", check.ok ? "ok  " : "FAIL", check.name, check.detail);
    }
    if (!report.has_measurements()) return;
    fmt::print("noise floor {:.2g} nats: smaller differences between candidates are ties\n",
               report.noise_floor);
    fmt::print("speed   {:.1f} items scored a second, {:.1f} tokens generated a second\n",
               report.scored_items_per_second, report.generated_tokens_per_second);
}

int run_probe(const ProbeOptions& options) {
    if (options.job.job_path.empty() && !options.job.sets.empty()) {
        throw UsageError(
            "--set overrides fields of a job file: name one, or use --model, --weights");
    }
    const Probed probed = probed_by(options);
    ProbeReport report;
    try {
        report = probe_backend(*make_backend(probed.backend, probed.place));
    } catch (const UnreachableError&) {
        throw;
    } catch (const BackendError& error) {
        throw with_alternative(error, report, probed.backend, probed.place);
    }
    print_report(report);
    if (report.ok()) return 0;
    const std::string works = working_alternative(report, probed.backend, probed.place);
    if (!works.empty()) fmt::print("{}\n", works);
    return static_cast<int>(ExitCode::backend);
}

}  // namespace

void add_probe_command(CLI::App& app, Chosen& chosen) {
    auto options = std::make_shared<ProbeOptions>();
    CLI::App* command =
        app.add_subcommand("probe", "Measure what a backend can do and how noisy its scores are");
    command->add_option("job", options->job.job_path,
                        "Job file whose backend is probed, or the address of a server");
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
