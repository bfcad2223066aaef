#pragma once
// What the command line says. Names and meanings are in README.md and --help.

#include <cstdint>
#include <string>
#include <vector>

namespace fake_llm {

enum class Flavour {
    vllm,
    llama_cpp_python,
    llama_server,
    together,
    sglang,
    tgi,
    echo_ignored,  ///< vllm that generates and never echoes
    shifted,       ///< vllm whose prompt scores are those of the token after
};

/// What a 429 says about when to come back.
enum class RetryAfter { seconds, date, absent, huge };

struct LatencyOptions {
    double fixed_ms = 0.0;
    double median_ms = 0.0;  ///< with sigma: lognormal, by a hash of the request
    double sigma = 0.0;
    double per_prompt_ms = 0.0;
};

struct LimitOptions {
    double requests_per_second = 0.0;
    double requests_per_minute = 0.0;
    double tokens_per_minute = 0.0;
    RetryAfter retry_after = RetryAfter::seconds;
};

struct Options {
    int port = 0;
    std::string port_file;
    int lifetime_s = 600;
    std::uint64_t seed = 0;
    std::string log_path;
    std::string api_key_env;

    Flavour flavour = Flavour::vllm;
    std::string model = "fake-llm";
    bool adds_begin = false;
    bool logits_all = false;
    bool prefill_logprobs = true;
    std::string scripted_path;
    int max_context = 4096;
    bool truncate = false;

    int slots = 0;
    LatencyOptions latency;
    LimitOptions limits;
    std::vector<std::string> faults;
};

/// Fills `options`; returns -1, or the exit code when the program should end now (help, bad usage).
[[nodiscard]] int read_command_line(int argc, char** argv, Options& options);

}  // namespace fake_llm
