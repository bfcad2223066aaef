#include "options.hpp"

#include <array>
#include <cstdio>
#include <vector>

#include <CLI/CLI.hpp>

#include "dln/error.hpp"

namespace fake_llm {
namespace {

template <typename Value>
struct Named {
    const char* name;
    Value value;
};
constexpr std::array kFlavours{
    Named<Flavour>{"vllm", Flavour::vllm},
    Named<Flavour>{"llama-cpp-python", Flavour::llama_cpp_python},
    Named<Flavour>{"llama-server", Flavour::llama_server},
    Named<Flavour>{"together", Flavour::together},
    Named<Flavour>{"sglang", Flavour::sglang},
    Named<Flavour>{"tgi", Flavour::tgi},
    Named<Flavour>{"echo-ignored", Flavour::echo_ignored},
    Named<Flavour>{"shifted", Flavour::shifted},
};
constexpr std::array kRetryAfters{
    Named<RetryAfter>{"seconds", RetryAfter::seconds},
    Named<RetryAfter>{"date", RetryAfter::date},
    Named<RetryAfter>{"absent", RetryAfter::absent},
    Named<RetryAfter>{"huge", RetryAfter::huge},
};

template <typename List>
void add_choice(CLI::App& app, const char* name, const List& list, auto& value, const char* text) {
    std::vector<std::string> names;
    for (const auto& one : list) {
        names.emplace_back(one.name);
    }
    const auto set = [&list, &value](const std::string& chosen) {
        for (const auto& one : list) {
            value = one.name == chosen ? one.value : value;
        }
    };
    app.add_option_function<std::string>(name, set, text)
        ->check(CLI::IsMember(names))
        ->default_str(names.front());
}

void add_process_options(CLI::App& app, Options& options) {
    app.add_option("--port", options.port, "Port on 127.0.0.1; 0 takes any free one")
        ->check(CLI::Range(0, 65535))
        ->capture_default_str();
    app.add_option("--port-file", options.port_file, "Also write the port to this file");
    app.add_option("--lifetime", options.lifetime_s, "End after so many seconds")
        ->check(CLI::Range(1, 86400))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "Of the choice of faults")->capture_default_str();
    app.add_option("--log", options.log_path, "Arrivals and departures as JSON lines");
    app.add_option("--api-key-env", options.api_key_env,
                   "Environment variable with the key that requests must carry");
}

void add_model_options(CLI::App& app, Options& options) {
    add_choice(app, "--flavour", kFlavours, options.flavour, "Whose replies");
    app.add_option("--model", options.model, "Name of the model")->capture_default_str();
    app.add_flag("--bos", options.adds_begin, "The model wants <s> in front of a prompt");
    app.add_flag("--logits-all", options.logits_all, "llama-cpp-python: allow logprobs");
    app.add_flag("--no-prefill-logprobs{false}", options.prefill_logprobs,
                 "tgi: as it is without --enable-prefill-logprobs");
    app.add_option("--scripted", options.scripted_path,
                   "JSON lines of replies and scores, as for the scripted backend");
    app.add_option("--max-context", options.max_context, "Most tokens of prompt and continuation")
        ->check(CLI::Range(2, 1 << 24))
        ->capture_default_str();
    app.add_flag("--truncate", options.truncate,
                 "Cut prompts that are too long, silently, from the left");
}

void add_load_options(CLI::App& app, Options& options, std::string& lognormal) {
    const CLI::Range positive(0.0, 1e9);
    app.add_option("--slots", options.slots, "Requests served at a time; 0: all. More are queued")
        ->check(CLI::Range(0, 1'000'000));
    app.add_option("--latency-ms", options.latency.fixed_ms, "Time of each request")
        ->check(positive);
    app.add_option("--latency-lognormal", lognormal,
                   "Time of each request, drawn by its hash, beside --latency-ms")
        ->type_name("MEDIAN_MS,SIGMA");
    app.add_option("--per-prompt-ms", options.latency.per_prompt_ms,
                   "Added for each prompt of a request")
        ->check(positive);
    app.add_option("--rps", options.limits.requests_per_second, "429 above it")->check(positive);
    app.add_option("--rpm", options.limits.requests_per_minute, "429 above it")->check(positive);
    app.add_option("--tpm", options.limits.tokens_per_minute, "429 above it")->check(positive);
    add_choice(app, "--retry-after", kRetryAfters, options.limits.retry_after,
               "How a 429 says when to come back");
    app.add_option("--fault", options.faults,
                   "KIND:RATE[:PARAM], KIND@N[+][:PARAM] or KIND~TEXT; repeatable")
        ->expected(1)
        ->take_all();
}

void read_lognormal(const std::string& text, LatencyOptions& latency) {
    char rest = 0;
    // NOLINTNEXTLINE(cert-err34-c): the count of conversions is checked, and so is the range
    const int read =
        std::sscanf(text.c_str(), "%lf,%lf%c", &latency.median_ms, &latency.sigma, &rest);
    if (read != 2 || latency.median_ms <= 0.0 || latency.sigma < 0.0) {
        throw dln::UsageError(fmt::format(
            "--latency-lognormal: \"{}\". Expected MEDIAN_MS,SIGMA, such as 40,0.5", text));
    }
}

}  // namespace

int read_command_line(int argc, char** argv, Options& options) {
    CLI::App app{
        "A language-model server for tests: replies of a deterministic model, and every fault"};
    std::string lognormal;
    add_process_options(app, options);
    add_model_options(app, options);
    add_load_options(app, options, lognormal);
    app.footer(
        "Example:  fake_llm_server --slots 8 --latency-ms 20 --fault 429:0.1:date --fault reset@3\n"
        "Kinds of faults: README.md in tools/fake-llm-server. It prints \"listening on "
        "127.0.0.1:PORT\".");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(dln::ExitCode::usage);
    }
    if (!lognormal.empty()) {
        read_lognormal(lognormal, options.latency);
    }
    return -1;
}

}  // namespace fake_llm
