// The fields of the backend and the budget: a part of the table in fields.cpp.

#include "job/fields.hpp"
#include "job/file_codecs.hpp"
#include "job/object_codec.hpp"

namespace dln::job {

// ---- backend -----------------------------------------------------------------------------------

namespace {

void check_endpoint(Reader& reader, const Json&, EndpointSpec& endpoint) {
    if (!endpoint.key_env.empty() && !endpoint.key_file.empty()) {
        reader.fail("beside key_env. Expected one of the two.", {"key_file"});
    }
}

Codec<EndpointSpec> endpoint_fields() {
    ObjectCodec<EndpointSpec> spec("endpoint", "A model server.");
    spec.shorthand(text_shorthand("address", "its address"))
        .field("address", &EndpointSpec::address, non_empty_text(),
               "`http://` or `https://`, host, port; without the paths of its API.",
               {.required = true})
        .field("unix_socket", &EndpointSpec::unix_socket, text(),
               "Path of a socket to connect to instead; empty: TCP.")
        .field(
            "key_env", &EndpointSpec::key_env, text(),
            "Name of the environment variable that holds the key. A key itself never stands in a "
            "job file.")
        .field("key_file", &EndpointSpec::key_file, text(),
               "Path of a file that holds the key: absolute, your own, mode 0600.")
        .field("allow_insecure_key", &EndpointSpec::allow_insecure_key, boolean(),
               "Send the key over `http` to another machine, where others may read it on its way.")
        .field("ca_file", &EndpointSpec::ca_file, text(),
               "Absolute path of the certificates to trust instead of the system's.")
        .field(
            "in_flight", &EndpointSpec::in_flight, integer<std::size_t>(1, 100'000),
            "Most calls at a time, of all ranks together. A server that both backends name has the "
            "limits of both.")
        .field("requests_per_minute", &EndpointSpec::requests_per_minute, integer<std::int64_t>(0),
               "Of all ranks together; 0: no limit.")
        .field("tokens_per_minute", &EndpointSpec::tokens_per_minute, integer<std::int64_t>(0),
               "In and out, of all ranks together; 0: no limit.");
    return spec.build(check_endpoint);
}

// What all that a model is asked through has in common, whatever it is asked for.

template <class Spec>
void add_model_fields(ObjectCodec<Spec>& spec) {
    spec.field(
            "model", &Spec::model, model_reference(),
            "Embedded: a name in the model cache, or the path of a GGUF file (with a `/` or ending "
            "in `.gguf`).")
        .field("weights", &Spec::weights, choice_text({"f32", "f16", "as_is"}),
               "Embedded: type of the weights in memory; `as_is` keeps the file's.");
}

template <class Spec>
void add_threads_field(ObjectCodec<Spec>& spec) {
    spec.field("threads", &Spec::threads, integer<int>(1, 1024), "Embedded: threads a rank.");
}

template <class Spec>
void add_endpoint_fields(ObjectCodec<Spec>& spec) {
    spec.field("endpoints", &Spec::endpoints, list(endpoint_fields(), Brackets::optional),
               "Http: the servers, all with the same model. Calls go to whichever has room.")
        .field("served_model", &Spec::served_model, text(),
               "Http: the model's name on the servers; empty: the only one there.");
}

template <class Spec>
void add_call_fields(ObjectCodec<Spec>& spec) {
    spec.field("deadline_seconds", &Spec::deadline_seconds,
               number({.high = 86'400.0, .low_open = true}), "Http: of one call.")
        .field("patience_seconds", &Spec::patience_seconds, number({.high = 604'800.0}),
               "Http: how long no server may answer before the run stops with exit code 3.")
        .field(
            "tries", &Spec::tries, integer<int>(1, 100),
            "Http: most tries of a call that goes wrong by itself (5xx, no full reply, an unusable "
            "one). A server that is busy or away is waited for instead.");
}

template <class Spec>
void check_endpoints(Reader& reader, const Json&, Spec& backend) {
    const bool is_http = backend.kind == decltype(backend.kind)::http;
    if (is_http && backend.endpoints.empty()) {
        reader.fail(
            "missing, but \"kind\" is \"http\". Expected at least one address, such as "
            "\"http://127.0.0.1:8000\".",
            {"endpoints"});
    }
    if (!is_http && !backend.endpoints.empty()) {
        reader.fail("only \"kind\": \"http\" has endpoints.", {"endpoints"});
    }
}

}  // namespace

Codec<BackendSpec> backend_fields() {
    ObjectCodec<BackendSpec> spec("backend", "A language model, and how it is asked.");
    spec.field("kind", &BackendSpec::kind,
               choice<BackendKind>({{BackendKind::embedded, "embedded"},
                                    {BackendKind::http, "http"},
                                    {BackendKind::scripted, "scripted"}}),
               "`embedded`: llama.cpp in this process; `http`: model servers; `scripted`: replies "
               "from a hash or a file, for "
               "tests and dry runs.");
    add_model_fields(spec);
    spec.field("kv_cache", &BackendSpec::kv_cache, choice_text({"f32", "f16"}),
               "Embedded: type of the cache of keys and values.")
        .field("context_tokens", &BackendSpec::context_tokens, integer<int>(16, kMostTokens),
               "Most tokens of one context with its target; a server's own limit counts when it is "
               "smaller.");
    add_threads_field(spec);
    spec.field("dialect", &BackendSpec::dialect,
               choice_text({"openai", "openai-chat", "together", "sglang", "tgi", "llama-server"}),
               "Http: how the servers are spoken to; `openai` for vLLM and llama-cpp-python.");
    add_endpoint_fields(spec);
    spec.field("prompts_a_call", &BackendSpec::prompts_a_call, integer<std::size_t>(1, 1024),
               "Http: most texts that one call scores, where the server takes lists.")
        .field(
            "begin_text", &BackendSpec::begin_text, text(),
            "Put before every context that is no chat, for servers that score right only behind a "
            "begin-of-sequence token; `dln probe` says when. llama-server ignores it.");
    add_call_fields(spec);
    spec.field("hedge_after_medians", &BackendSpec::hedge_after_medians, number(),
               "Http: send a second copy of a call that takes so many times the median; 0: never.")
        .field("price_input", &BackendSpec::price_input, number(),
               "Money for a million prompt tokens, in any currency: for `budget.money` and plans.")
        .field("price_output", &BackendSpec::price_output, number(),
               "Money for a million generated tokens.")
        .field("replies", &BackendSpec::replies, optional_input_path(),
               "Scripted: JSON lines file of replies; empty: replies by hash.");
    return spec.build(check_endpoints<BackendSpec>);
}

// ---- embedding ---------------------------------------------------------------------------------

Codec<EmbeddingSpec> embedding_fields() {
    ObjectCodec<EmbeddingSpec> spec(
        "embedding",
        "What makes vectors of texts. The cosine of two vectors tells how near their texts are.");
    spec.field(
            "kind", &EmbeddingSpec::kind,
            choice<EmbeddingKind>({{EmbeddingKind::ngrams, "ngrams"},
                                   {EmbeddingKind::embedded, "embedded"},
                                   {EmbeddingKind::http, "http"}}),
            "`ngrams`: counts of the words and of the pieces of 3 to 5 bytes in them, which "
            "asks no model; `embedded`: a language model in this process, by the mean of its last "
            "hidden states; `http`: servers with OpenAI's `/v1/embeddings`.")
        .field("template", &EmbeddingSpec::text, text(),
               "The words around an input, `{{input}}`, with which it is embedded. For a language "
               "model they may bring out what matters: `It was {{input}}, which means`.")
        .field("dimension", &EmbeddingSpec::dimension, integer<std::size_t>(1, 65'536),
               "N-grams: numbers of a vector. The pieces of texts share them by hash.");
    add_model_fields(spec);
    spec.field("context_tokens", &EmbeddingSpec::context_tokens, integer<int>(16, kMostTokens),
               "Embedded: most tokens of a text. A longer one has no vector: as an input it "
               "fails, as an example it is not shown.");
    add_threads_field(spec);
    add_endpoint_fields(spec);
    spec.field("prompts_a_call", &EmbeddingSpec::prompts_a_call, integer<std::size_t>(1, 1024),
               "Http: most texts in one call.");
    add_call_fields(spec);
    return spec.build([](Reader& reader, const Json& json, EmbeddingSpec& embedding) {
        check_endpoints(reader, json, embedding);
        check_template(reader, "template", embedding.text,
                       {.texts = {"input"}, .lists = {}, .inside = {}}, "input");
    });
}

// ---- budget ------------------------------------------------------------------------------------

Codec<BudgetSpec> budget_fields() {
    ObjectCodec<BudgetSpec> spec(
        "budget",
        "What the run may use in all, over all its processes and ranks; 0: no limit. When one of "
        "them is spent, the run stops with exit code 4; the same command with a larger budget goes "
        "on.");
    spec.field("requests", &BudgetSpec::requests, integer<std::int64_t>(0),
               "Prompts that a model scores or continues, as servers count them.")
        .field("tokens", &BudgetSpec::tokens, integer<std::int64_t>(0),
               "Tokens of prompts and of what is generated, as servers count them.")
        .field("money", &BudgetSpec::money, number(),
               "In the currency of the backends' `price_input` and `price_output`.")
        .field("hours", &BudgetSpec::hours, number(), "Of wall time.");
    return spec.build();
}

}  // namespace dln::job
