#include "llm/embedded/llama_model.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

void log_line(ggml_log_level level, const char* text, void* /*unused*/) {
    const std::string line = printable(trim(text), 400);
    if (line.empty() || line == ".") return;
    if (level == GGML_LOG_LEVEL_ERROR) {
        spdlog::debug("llama.cpp error: {}", line);
    } else {
        spdlog::trace("llama.cpp: {}", line);
    }
}

}  // namespace

void route_llama_log() { llama_log_set(log_line, nullptr); }

std::string unusable_model(const std::string& path) {
    return fmt::format(
        "{}: not a usable GGUF model (damaged, cut short or of an unknown kind). Fetch it again, "
        "or "
        "remove it and run tools/setup. --log-level debug shows llama.cpp's own words.",
        path);
}

LlamaModelHandle load_llama_model(const std::string& path, ModelParts parts) {
    route_llama_log();
    llama_backend_init();
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = 0;
    params.load_mode = LLAMA_LOAD_MODE_MMAP;
    params.vocab_only = parts == ModelParts::tokenizer;
    // Repacked copies of the weights would be private memory of every rank.
    params.use_extra_bufts = false;
    LlamaModelHandle model(llama_model_load_from_file(path.c_str(), params));
    if (!model) throw BackendError(unusable_model(path));
    return model;
}

LlamaTokenizer::LlamaTokenizer(const llama_model& model, const std::string& begin_text)
    : vocab_(llama_model_get_vocab(&model)),
      vocabulary_(static_cast<std::size_t>(llama_vocab_n_tokens(vocab_))) {
    for (std::size_t i = 0; i < vocabulary_; ++i) {
        const auto token = static_cast<Token>(i);
        const std::string_view text = llama_vocab_get_text(vocab_, token);
        longest_piece_ = std::max(longest_piece_, text.size());
        if (llama_vocab_is_control(vocab_, token) && !text.empty()) {
            control_texts_.emplace_back(text);
        }
    }
    begin_ = split_control(begin_text);
    read_chat_template(model);
}

void LlamaTokenizer::read_chat_template(const llama_model& model) {
    const char* source = llama_model_chat_template(&model, nullptr);
    if (source == nullptr) return;
    const std::string marker = "dln-message-goes-here";
    const llama_chat_message message{"user", marker.c_str()};
    std::vector<char> buffer(1 << 16);
    const int length = llama_chat_apply_template(source, &message, 1, true, buffer.data(),
                                                 static_cast<int>(buffer.size()));
    if (length <= 0 || static_cast<std::size_t>(length) > buffer.size()) return;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(length));
    const std::size_t at = text.find(marker);
    if (at == std::string_view::npos) return;
    chat_before_ = split_control(text.substr(0, at));
    chat_after_ = split_control(text.substr(at + marker.size()));
    has_chat_template_ = true;
}

std::vector<LlamaTokenizer::Part> LlamaTokenizer::split_control(std::string_view text) const {
    std::vector<Part> parts;
    while (!text.empty()) {
        std::size_t first = std::string_view::npos;
        std::string_view found;
        for (const std::string& control : control_texts_) {
            const std::size_t at = text.find(control);
            if (at < first || (at == first && control.size() > found.size())) {
                first = at;
                found = control;
            }
        }
        if (first == std::string_view::npos) {
            parts.push_back({std::string(text), false});
            break;
        }
        if (first > 0) parts.push_back({std::string(text.substr(0, first)), false});
        parts.push_back({std::string(found), true});
        text.remove_prefix(first + found.size());
    }
    return parts;
}

std::vector<LlamaTokenizer::Part> LlamaTokenizer::join(std::vector<Part> head,
                                                       std::string_view text,
                                                       const std::vector<Part>& tail) {
    // Neighbouring ordinary parts become one: the tokenizer must see them as one text.
    const auto append = [&head](std::string_view more) {
        if (more.empty()) return;
        if (head.empty() || head.back().control) {
            head.push_back({std::string(more), false});
        } else {
            head.back().text += more;
        }
    };
    append(text);
    for (const Part& part : tail) {
        if (part.control) {
            head.push_back(part);
        } else {
            append(part.text);
        }
    }
    return head;
}

std::vector<Token> LlamaTokenizer::encode_parts(const std::vector<Part>& parts) const {
    std::vector<Token> tokens;
    if (llama_vocab_get_add_bos(vocab_)) tokens.push_back(llama_vocab_bos(vocab_));
    for (const Part& part : parts) {
        const std::size_t before = tokens.size();
        tokens.resize(before + part.text.size() + 8);
        const int count = llama_tokenize(
            vocab_, part.text.data(), static_cast<int>(part.text.size()), tokens.data() + before,
            static_cast<int>(tokens.size() - before), false, part.control);
        DLN_ASSERT(count >= 0, "tokenizer needs {} tokens for {} bytes", -count, part.text.size());
        tokens.resize(before + static_cast<std::size_t>(count));
    }
    return tokens;
}

std::vector<Token> LlamaTokenizer::encode(const Context& context, std::string_view target) const {
    if (!context.chat) {
        std::string text = context.text;
        text += target;
        return encode_parts(join(begin_, text, {}));
    }
    std::vector<Part> tail = join(chat_after_, target, {});
    return encode_parts(join(chat_before_, context.text, tail));
}

std::vector<Token> LlamaTokenizer::encode_shared(const Context& context) const {
    const std::string_view shared = std::string_view(context.text).substr(0, context.shared_bytes);
    return encode_parts(join(context.chat ? chat_before_ : begin_, shared, {}));
}

bool LlamaTokenizer::surely_longer(std::size_t bytes, int tokens) const noexcept {
    return bytes / longest_piece_ > static_cast<std::size_t>(std::max(tokens, 0));
}

std::string LlamaTokenizer::piece(Token token) const {
    std::array<char, 512> buffer{};
    const int length = llama_token_to_piece(vocab_, token, buffer.data(),
                                            static_cast<int>(buffer.size()), 0, false);
    return length > 0 ? std::string(buffer.data(), static_cast<std::size_t>(length))
                      : std::string();
}

bool LlamaTokenizer::ends_generation(Token token) const {
    return llama_vocab_is_eog(vocab_, token);
}

std::optional<Token> LlamaTokenizer::end_token() const {
    const Token end_of_sequence = llama_vocab_eos(vocab_);
    const Token token =
        end_of_sequence != LLAMA_TOKEN_NULL ? end_of_sequence : llama_vocab_eot(vocab_);
    return token != LLAMA_TOKEN_NULL ? std::optional(token) : std::nullopt;
}

namespace {

/// Holds the model that it is of.
class OwningTokenizer : public LlamaTokenizer {
  public:
    OwningTokenizer(LlamaModelHandle model, const std::string& begin_text)
        : LlamaTokenizer(*model, begin_text), model_(std::move(model)) {}

  private:
    LlamaModelHandle model_;
};

}  // namespace

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path, const std::string& begin_text) {
    return std::make_unique<OwningTokenizer>(load_llama_model(path, ModelParts::tokenizer),
                                             begin_text);
}

}  // namespace dln
