// Embedding texts: the mean over a text's tokens of their last hidden states. Short texts are decoded together,
// each in a sequence of its own.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "llm/embedded/work.hpp"

namespace dln {
namespace {

struct Text {
    std::size_t index = 0;  // in the request
    std::vector<Token> tokens;
    std::vector<double> sum;  // of the states so far
};

// A token to decode next, and the text that it belongs to.
struct Place {
    std::size_t text = 0;
    std::size_t token = 0;
};

class EmbedWork final : public Work {
  public:
    EmbedWork(ModelAccess access, const EmbedRequest& request) : access_(access) {
        reply_.embeddings.resize(request.texts.size());
        for (std::size_t i = 0; i < request.texts.size(); ++i) add_text(i, request.texts[i]);
    }

    bool advance() override {
        if (next_.text == texts_.size()) return true;
        if (next_.token == 0) access_.decoder.begin({});
        decode(next_piece());
        return next_.text == texts_.size();
    }

    Reply take_reply() override {
        for (const Text& text : texts_) {
            Embedding& embedding = reply_.embeddings[text.index];
            for (const double sum : text.sum) {
                embedding.values.push_back(
                    static_cast<float>(sum / static_cast<double>(text.tokens.size())));
            }
            if (!std::ranges::all_of(embedding.values, [](float v) { return std::isfinite(v); })) {
                embedding = {.values = {},
                             .error = "the model returned states that are not finite"};
            }
        }
        return std::move(reply_);
    }

  private:
    void add_text(std::size_t index, const std::string& text) {
        ++usage_.calls;
        std::string& error = reply_.embeddings[index].error;
        if (access_.tokenizer.surely_longer(text.size(), access_.context_tokens)) {
            error = fmt::format("a text of {} bytes is longer than {} tokens", text.size(),
                                access_.context_tokens);
            return;
        }
        std::vector<Token> tokens = access_.tokenizer.encode({.text = text});
        if (tokens.empty()) {
            error = "the text has no tokens";
        } else if (tokens.size() > static_cast<std::size_t>(access_.context_tokens)) {
            error = fmt::format("a text of {} tokens is longer than {} tokens", tokens.size(),
                                access_.context_tokens);
        } else {
            usage_.standalone_tokens += static_cast<std::int64_t>(tokens.size());
            texts_.push_back({.index = index, .tokens = std::move(tokens), .sum = {}});
        }
    }

    // Whole texts as long as there is room, or a part of one that is longer than a decode.
    std::vector<Place> next_piece() {
        const DecoderOptions& limits = access_.decoder.options();
        const auto room =
            static_cast<std::size_t>(std::min(limits.rows_a_decode, limits.tokens_a_decode));
        const auto sequences = static_cast<std::size_t>(limits.sequences);
        std::vector<Place> piece;
        const bool is_continued = next_.token > 0;
        const std::size_t first = next_.text;
        while (next_.text < texts_.size() && next_.text - first < sequences) {
            const std::size_t left = texts_[next_.text].tokens.size() - next_.token;
            if (!piece.empty() && (is_continued || left > room - piece.size())) break;
            for (std::size_t i = 0; i < left && piece.size() < room; ++i) {
                piece.push_back({next_.text, next_.token++});
            }
            if (next_.token < texts_[next_.text].tokens.size()) break;
            next_ = {.text = next_.text + 1, .token = 0};
        }
        return piece;
    }

    void decode(const std::vector<Place>& piece) {
        std::vector<int> sequences;
        for (const Place& place : piece) {
            sequences.push_back(static_cast<int>(place.text - piece.front().text));
        }
        std::vector<DecodeToken> tokens;
        for (std::size_t i = 0; i < piece.size(); ++i) {
            tokens.push_back({.token = texts_[piece[i].text].tokens[piece[i].token],
                              .position = static_cast<int>(piece[i].token),
                              .sequences = {&sequences[i], 1},
                              .wants_logits = true});
        }
        access_.decoder.decode_states(tokens);
        usage_.evaluated_tokens += static_cast<std::int64_t>(piece.size());
        for (std::size_t i = 0; i < piece.size(); ++i) {
            const std::span<const float> state = access_.decoder.state_of(i);
            std::vector<double>& sum = texts_[piece[i].text].sum;
            sum.resize(state.size());
            for (std::size_t d = 0; d < state.size(); ++d) sum[d] += static_cast<double>(state[d]);
        }
    }

    ModelAccess access_;
    EmbedReply reply_;
    std::vector<Text> texts_;  // those that can be embedded
    Place next_;
};

}  // namespace

std::unique_ptr<Work> make_embed_work(ModelAccess access, const EmbedRequest& request) {
    return std::make_unique<EmbedWork>(access, request);
}

}  // namespace dln
