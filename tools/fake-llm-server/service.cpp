#include "service.hpp"

namespace fake_llm {
namespace {

ScriptedLines read_scripted(const Options& options) {
    return options.scripted_path.empty() ? ScriptedLines()
                                         : ScriptedLines::read(options.scripted_path);
}

}  // namespace

Service::Service(const Options& options)
    : options_(options),
      language_(read_scripted(options), options.adds_begin),
      backstage_{options_, language_} {}

bool Service::is_work(std::string_view method, std::string_view path) {
    return method == "POST" &&
           (path == "/v1/completions" || path == "/v1/chat/completions" ||
            path == "/v1/embeddings" || path == "/generate" || path == "/completion");
}

Answer Service::answer(const Call& call) {
    try {
        return is_work(call.method, call.path) ? work(call) : look_up(call);
    } catch (const Refusal& refusal) {
        return {refusal.status, refusal.body, {}};
    } catch (const Json::exception& error) {  // a type that no dialect looked for
        Refusal wrong = refusal(options_.flavour, 400, error.what());
        return {wrong.status, std::move(wrong.body), {}};
    }
}

Answer Service::work(const Call& call) {
    if (call.path == "/v1/completions") {
        return completions(call);
    }
    if (call.path == "/v1/chat/completions") {
        return chat_completions(backstage_, call);
    }
    if (call.path == "/v1/embeddings") {
        return embeddings(backstage_, call);
    }
    if (call.path == "/completion" && options_.flavour == Flavour::llama_server) {
        return llama_server_.completion(backstage_, call);
    }
    return generate(call);
}

Answer Service::completions(const Call& call) {
    switch (options_.flavour) {
        case Flavour::llama_cpp_python:
            return llama_cpp_python_completions(backstage_, call);
        case Flavour::llama_server:
            return llama_server_.completions(backstage_, call);
        case Flavour::together:
            return together_completions(backstage_, call);
        case Flavour::tgi:
            return tgi_completions(backstage_, call);
        default:
            return openai_completions(backstage_, call);
    }
}

Answer Service::generate(const Call& call) const {
    if (call.path == "/generate" && options_.flavour == Flavour::sglang) {
        return sglang_generate(backstage_, call);
    }
    if (call.path == "/generate" && options_.flavour == Flavour::tgi) {
        return tgi_generate(backstage_, call);
    }
    return not_found();
}

Answer Service::look_up(const Call& call) const {
    const Flavour flavour = options_.flavour;
    const bool get = call.method == "GET";
    if (get && call.path == "/v1/models") {
        return models(backstage_);
    }
    const bool as_vllm =
        flavour == Flavour::vllm || flavour == Flavour::echo_ignored || flavour == Flavour::shifted;
    if (get && call.path == "/version" && as_vllm) {
        return {200, {{"version", "0.11.0"}}, {}};
    }
    if (get && call.path == "/health") {
        return {200, {{"status", "ok"}}, {}};
    }
    if (get && call.path == "/props" && flavour == Flavour::llama_server) {
        return LlamaServer::props(backstage_);
    }
    if (get && call.path == "/info" && flavour == Flavour::tgi) {
        return tgi_info(backstage_);
    }
    if (get && (call.path == "/get_model_info" || call.path == "/model_info") &&
        flavour == Flavour::sglang) {
        return {200, {{"model_path", options_.model}, {"is_generation", true}}, {}};
    }
    const bool offers_tokens = flavour != Flavour::llama_cpp_python && flavour != Flavour::together;
    if (!get && offers_tokens && call.path == "/tokenize") {
        return tokenize(backstage_, call);
    }
    if (!get && offers_tokens && call.path == "/detokenize" && flavour != Flavour::tgi) {
        return detokenize(backstage_, call);
    }
    if (!get && call.path == "/extras/tokenize" && flavour == Flavour::llama_cpp_python) {
        return extras_tokenize(backstage_, call);
    }
    if (!get && call.path == "/apply-template" && flavour == Flavour::llama_server) {
        return apply_template(backstage_, call);
    }
    return not_found();
}

Answer Service::not_found() { return {404, {{"detail", "Not Found"}}, {}}; }

}  // namespace fake_llm
