// Drawing a block of continuations: the contexts share what they begin with, then all sequences take their
// next token in one decode, each from its own counter-based stream.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/llm/drawn_text.hpp"
#include "dln/random/counter_rng.hpp"

#include "llm/embedded/work.hpp"

namespace dln {
namespace {

struct Sequence {
    std::size_t item = 0;
    std::vector<Token> context;
    DrawnText text;
    int node = -1;     // last context token in the tree
    int id = 0;        // sequence in the cache
    int position = 0;  // of the next token
    Token next = 0;    // drawn, not yet decoded
    bool finished = false;
};

class GenerateWork : public Work {
  public:
    GenerateWork(ModelAccess access, GenerateRequest request)
        : access_(access),
          request_(std::move(request)),
          options_{.max_tokens = request_.max_tokens,
                   .temperature = request_.temperature,
                   .top_p = request_.top_p,
                   .stop = request_.stop} {
        reply_.texts.resize(request_.items.size());
        for (std::size_t i = 0; i < request_.items.size(); ++i) encode_item(i);
    }

    bool advance() override {
        if (active_.empty()) {
            if (waiting_.empty()) return true;
            start_chunk();
        }
        if (next_node_ < tree_.nodes().size()) {
            decode_contexts();
        } else {
            decode_next_tokens();
        }
        std::erase_if(active_, [](const Sequence& sequence) { return sequence.finished; });
        return active_.empty() && waiting_.empty();
    }

    Reply take_reply() override { return std::move(reply_); }

  private:
    void encode_item(std::size_t index) {
        const GenerateItem& item = request_.items[index];
        GeneratedText& text = reply_.texts[index];
        ++usage_.calls;
        if (access_.tokenizer.surely_longer(item.context.text.size(), access_.context_tokens)) {
            text.error = fmt::format("a context of {} bytes is longer than {} tokens",
                                     item.context.text.size(), access_.context_tokens);
            return;
        }
        std::vector<Token> tokens = access_.tokenizer.encode(item.context);
        if (tokens.empty()) {
            text.error = "the context is empty: nothing to continue";
        } else if (tokens.size() + static_cast<std::size_t>(request_.max_tokens) >
                   static_cast<std::size_t>(access_.context_tokens)) {
            text.error =
                too_long_message(tokens.size(), request_.max_tokens, access_.context_tokens);
        } else {
            usage_.standalone_tokens += static_cast<std::int64_t>(tokens.size());
            const CounterRng random({.seed = item.seed, .role = RandomRole::proposal_sampling});
            waiting_.push_back({.item = index,
                                .context = std::move(tokens),
                                .text = DrawnText(access_.tokenizer, options_, random)});
        }
    }

    void start_chunk() {
        const DecoderOptions& limits = access_.decoder.options();
        tree_ = TokenTree();
        next_node_ = 0;
        std::size_t taken = 0;
        std::size_t outputs = 0;
        for (Sequence& sequence : waiting_) {
            const std::size_t cells = tree_.nodes().size() + sequence.context.size() + outputs +
                                      static_cast<std::size_t>(request_.max_tokens);
            if (taken > 0 && (cells > static_cast<std::size_t>(limits.cells) ||
                              taken >= static_cast<std::size_t>(limits.sequences))) {
                break;
            }
            sequence.node = tree_.add_path(sequence.context).back();
            sequence.id = static_cast<int>(taken);
            sequence.position = static_cast<int>(sequence.context.size());
            tree_.add_sequence_through(sequence.node);
            tree_.nodes()[static_cast<std::size_t>(sequence.node)].wants_logits = true;
            outputs += static_cast<std::size_t>(request_.max_tokens);
            ++taken;
        }
        const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(taken);
        active_.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
        waiting_.erase(waiting_.begin(), end);
        access_.decoder.begin({});
    }

    void decode_contexts() {
        const DecoderOptions& limits = access_.decoder.options();
        const std::size_t first = next_node_;
        std::vector<DecodeToken> piece;
        while (next_node_ < tree_.nodes().size() &&
               piece.size() < static_cast<std::size_t>(limits.tokens_a_decode)) {
            const TokenNode& node = tree_.nodes()[next_node_++];
            piece.push_back({.token = node.token,
                             .position = node.depth,
                             .sequences = node.sequences,
                             .wants_logits = node.wants_logits});
        }
        access_.decoder.decode(piece);
        usage_.evaluated_tokens += static_cast<std::int64_t>(piece.size());
        for (Sequence& sequence : active_) {
            const auto node = static_cast<std::size_t>(sequence.node);
            if (node >= first && node < next_node_) {
                draw(sequence, access_.decoder.logits_of(node - first));
            }
        }
    }

    void decode_next_tokens() {
        std::vector<DecodeToken> piece;
        for (const Sequence& sequence : active_) {
            piece.push_back({.token = sequence.next,
                             .position = sequence.position,
                             .sequences = std::span(&sequence.id, 1),
                             .wants_logits = true});
        }
        access_.decoder.decode(piece);
        usage_.evaluated_tokens += static_cast<std::int64_t>(piece.size());
        for (std::size_t i = 0; i < active_.size(); ++i) {
            ++active_[i].position;
            draw(active_[i], access_.decoder.logits_of(i));
        }
    }

    // Draws the next token, or ends the sequence.
    void draw(Sequence& sequence, std::span<const float> logits) {
        const int before = sequence.text.drawn();
        const std::optional<Token> token = sequence.text.draw(logits);
        usage_.generated_tokens += sequence.text.drawn() - before;
        usage_.standalone_tokens += sequence.text.drawn() - before;
        if (token) {
            sequence.next = *token;
        } else {
            reply_.texts[sequence.item] = sequence.text.take();
            sequence.finished = true;
        }
    }

    ModelAccess access_;
    GenerateRequest request_;
    DrawOptions options_;
    GenerateReply reply_;
    std::vector<Sequence> waiting_;
    std::vector<Sequence> active_;
    TokenTree tree_;
    std::size_t next_node_ = 0;
};

}  // namespace

std::unique_ptr<Work> make_generate_work(ModelAccess access, GenerateRequest request) {
    return std::make_unique<GenerateWork>(access, std::move(request));
}

}  // namespace dln
