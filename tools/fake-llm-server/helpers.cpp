// What servers offer beside completions: models, tokens, embeddings.

#include <cmath>

#include "dialects.hpp"

namespace fake_llm {
namespace {

constexpr int kDimensions = 64;

/// A unit vector: the sum of one fixed vector a token, so that texts with common tokens are alike.
Json embedding(const std::vector<Token>& tokens, int dimensions) {
    std::vector<double> sum(static_cast<std::size_t>(dimensions), 0.0);
    const auto add = [&](std::uint64_t token) {
        for (std::size_t i = 0; i < sum.size(); ++i) {
            sum[i] += 2.0 * fraction(mix(token, i)) - 1.0;
        }
    };
    add(static_cast<std::uint64_t>(kVocabulary));  // so that no text has the zero vector
    for (const Token token : tokens) {
        add(static_cast<std::uint64_t>(token));
    }
    double square = 0.0;
    for (const double value : sum) {
        square += value * value;
    }
    for (double& value : sum) {
        value /= std::sqrt(square);
    }
    return sum;
}

Json token_entries(const Backstage& backstage, const std::vector<Token>& tokens) {
    Json entries = Json::array();
    std::size_t start = 0;
    for (const Token token : tokens) {
        const std::string& piece = backstage.language.tokenizer().piece(token);
        const std::size_t stop = start + (is_special(token) ? 0 : piece.size());
        entries.push_back({{"id", token}, {"text", piece}, {"start", start}, {"stop", stop}});
        start = stop;
    }
    return entries;
}

/// llama-server: a piece that is no UTF-8 comes as a list of bytes.
Json piece_entry(const Backstage& backstage, Token token) {
    const std::string& piece = backstage.language.tokenizer().piece(token);
    const bool ascii = static_cast<unsigned char>(piece.front()) < 0x80U;
    return {{"id", token},
            {"piece", ascii ? Json(piece) : Json::array({static_cast<unsigned char>(piece[0])})}};
}

std::string text_field(const Backstage& backstage, const Json& body, const char* name) {
    const Json value = body.value(name, Json());
    if (!value.is_string()) {
        throw refusal(backstage.options.flavour, 400, std::string(name) + ": expected a text");
    }
    return value;
}

Answer tokenize_as_llama_server(const Backstage& backstage, const Json& body) {
    const Language& language = backstage.language;
    std::vector<Token> tokens = language.tokenizer().encode(
        text_field(backstage, body, "content"), flag_or(backstage, body, "parse_special", true));
    if (backstage.options.adds_begin && flag_or(backstage, body, "add_special", false)) {
        tokens.insert(tokens.begin(), kBegin);
    }
    if (!flag_or(backstage, body, "with_pieces", false)) {
        return {200, {{"tokens", tokens}}, {}};
    }
    Json entries = Json::array();
    for (const Token token : tokens) {
        entries.push_back(piece_entry(backstage, token));
    }
    return {200, {{"tokens", std::move(entries)}}, {}};
}

}  // namespace

Answer models(const Backstage& backstage) {
    const Options& options = backstage.options;
    Json entry{{"id", options.model}, {"object", "model"}, {"created", kCreated}};
    switch (options.flavour) {
        case Flavour::together:  // a bare list
            entry.update({{"type", "chat"},
                          {"display_name", options.model},
                          {"organization", "fake"},
                          {"context_length", options.max_context}});
            return {200, Json::array({std::move(entry)}), {}};
        case Flavour::llama_cpp_python:
            entry.erase("created");
            entry.update({{"owned_by", "me"}, {"permissions", Json::array()}});
            break;
        case Flavour::llama_server:
            entry.update({{"owned_by", "llamacpp"},
                          {"meta",
                           {{"vocab_type", 2},
                            {"n_vocab", kVocabulary},
                            {"n_ctx_train", options.max_context}}}});
            break;
        case Flavour::tgi:
            entry.update({{"created", 0}, {"owned_by", options.model}});
            break;
        default:
            entry.update({{"owned_by", options.flavour == Flavour::sglang ? "sglang" : "vllm"},
                          {"root", options.model},
                          {"parent", nullptr},
                          {"max_model_len", options.max_context}});
    }
    return {200, {{"object", "list"}, {"data", Json::array({std::move(entry)})}}, {}};
}

Answer tokenize(const Backstage& backstage, const Call& call) {
    const Json body = read_object(backstage, call.body);
    if (backstage.options.flavour == Flavour::llama_server) {
        return tokenize_as_llama_server(backstage, body);
    }
    if (backstage.options.flavour == Flavour::tgi) {
        return {200,
                token_entries(backstage, backstage.language.prompt_tokens(
                                             text_field(backstage, body, "inputs"), true)),
                {}};
    }
    const bool add_special = flag_or(backstage, body, "add_special_tokens", true);
    const std::vector<Token> tokens =
        body.contains("messages")
            ? read_chat_prompt(backstage, body).tokens
            : backstage.language.prompt_tokens(text_field(backstage, body, "prompt"), add_special);
    Json reply{{"count", tokens.size()},
               {"max_model_len", backstage.options.max_context},
               {"tokens", tokens}};
    if (backstage.options.flavour == Flavour::sglang) {
        reply["max_model_len"] = 1e30;  // the tokeniser's own, often without end
        return {200, std::move(reply), {}};
    }
    reply["token_strs"] = nullptr;
    if (flag_or(backstage, body, "return_token_strs", false)) {
        reply["token_strs"] = Json::array();
        for (const Token token : tokens) {
            reply["token_strs"].push_back(backstage.language.tokenizer().piece(token));
        }
    }
    return {200, std::move(reply), {}};
}

Answer detokenize(const Backstage& backstage, const Call& call) {
    const Json body = read_object(backstage, call.body);
    const std::vector<Token> tokens = read_tokens(backstage, body.value("tokens", Json()));
    const Flavour flavour = backstage.options.flavour;
    const bool skips =
        flavour == Flavour::sglang && flag_or(backstage, body, "skip_special_tokens", true);
    const char* const name = flavour == Flavour::llama_server ? "content"
                             : flavour == Flavour::sglang     ? "text"
                                                              : "prompt";
    return {200, {{name, backstage.language.tokenizer().decode(tokens, skips)}}, {}};
}

Answer extras_tokenize(const Backstage& backstage, const Call& call) {
    const Json body = read_object(backstage, call.body);
    return {
        200,
        {{"tokens", backstage.language.prompt_tokens(text_field(backstage, body, "input"), true)}},
        {}};
}

Answer apply_template(const Backstage& backstage, const Call& call) {
    return {
        200, {{"prompt", read_chat_prompt(backstage, read_object(backstage, call.body)).text}}, {}};
}

Answer embeddings(const Backstage& backstage, const Call& call) {
    Answer answer;
    const Json body = read_object(backstage, call.body);
    std::vector<Prompt> prompts = read_prompts(backstage, body.value("input", Json()), true);
    const int dimensions = integer_or(backstage, body, "dimensions", kDimensions);
    if (dimensions < 1 || dimensions > 4096) {
        throw refusal(backstage.options.flavour, 400, "dimensions: expected 1 to 4096");
    }
    accept_prompts(backstage, call, 0, prompts, answer.work);
    Json data = Json::array();
    for (const Prompt& prompt : prompts) {
        data.push_back({{"object", "embedding"},
                        {"index", data.size()},
                        {"embedding", embedding(prompt.tokens, dimensions)}});
    }
    answer.body = {{"id", reply_id("embd-", call)}, {"object", "list"},
                   {"created", kCreated},           {"model", backstage.options.model},
                   {"data", std::move(data)},       {"usage", usage(answer.work.prompt_tokens, 0)}};
    return answer;
}

}  // namespace fake_llm
