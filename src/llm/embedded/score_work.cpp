// Scoring a block of items as one tree: the candidate's prefix stays in the cache between blocks, an
// item's context is computed once for all its targets, and logits exist only where a target needs them.

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/llm/logits.hpp"

#include "llm/embedded/work.hpp"

namespace dln {
namespace {

// A prefix shorter than this is not worth a decode of its own.
constexpr std::size_t kShortestPrefix = 8;

// Cells in use, prefix included, before those behind the prefix are used anew. A token attends to all of
// them, its own or not, and llama.cpp counts them in steps of 256, so many cost time; few tokens a decode
// do too, since every decode reads all weights. tools/bench scoring shows what it gives.
constexpr std::size_t kChunkCells = 256;
constexpr std::size_t kLeastChunkNodes = 128;  // behind a long prefix

struct Target {
    std::size_t item = 0;
    std::size_t index = 0;         // among the item's targets
    std::vector<Token> tokens;     // context and target, encoded as one text
    std::size_t context_size = 0;  // tokens of the context alone
};

// "The probability of `token` after `node`" is entry `place` of target `target`.
struct Query {
    int node = 0;
    Token token = 0;
    std::size_t target = 0;
    std::size_t place = 0;
};

class ScoreWork : public Work {
  public:
    ScoreWork(ModelAccess access, ScoreRequest request)
        : access_(access), request_(std::move(request)) {
        reply_.scores.resize(request_.items.size());
        for (std::size_t i = 0; i < request_.items.size(); ++i) encode_item(i);
        find_prefix();
        plan_chunks();
    }

    bool advance() override {
        if (next_target_ == targets_.size() && next_node_ == tree_.nodes().size()) return true;
        if (next_node_ == tree_.nodes().size()) start_chunk();
        if (const std::size_t taken = access_.decoder.decode_prefix_piece(); taken > 0) {
            usage_.evaluated_tokens += static_cast<std::int64_t>(taken);
            return false;
        }
        if (!shared_) {
            access_.decoder.share_prefix(tree_.sequence_count());
            shared_ = true;
        }
        decode_piece();
        return next_target_ == targets_.size() && next_node_ == tree_.nodes().size();
    }

    Reply take_reply() override { return std::move(reply_); }

  private:
    void encode_item(std::size_t item_index) {
        const ScoreItem& item = request_.items[item_index];
        auto& scores = reply_.scores[item_index];
        scores.resize(item.targets.size());
        ++usage_.calls;
        const auto fail = [&](const std::string& why) {
            for (TargetScore& score : scores) score.error = why;
        };
        if (access_.tokenizer.surely_longer(item.context.text.size(), access_.context_tokens)) {
            return fail(fmt::format("a context of {} bytes is longer than {} tokens",
                                    item.context.text.size(), access_.context_tokens));
        }
        const std::size_t context_size = access_.tokenizer.encode(item.context).size();
        if (context_size == 0) return fail("the context is empty: nothing predicts the target");
        usage_.standalone_tokens += static_cast<std::int64_t>(context_size);
        for (std::size_t t = 0; t < item.targets.size(); ++t) {
            Target target{.item = item_index,
                          .index = t,
                          .tokens = access_.tokenizer.encode(item.context, item.targets[t]),
                          .context_size = context_size};
            if (target.tokens.size() > static_cast<std::size_t>(access_.context_tokens)) {
                scores[t].error = too_long_message(
                    context_size, static_cast<int>(target.tokens.size() - context_size),
                    access_.context_tokens);
            } else if (target.tokens.size() <= context_size) {
                scores[t].error = "the target adds no token to the context";
            } else {
                const std::size_t count = target.tokens.size() - context_size;
                usage_.standalone_tokens += static_cast<std::int64_t>(count);
                scores[t].token_log_probs.resize(count);
                targets_.push_back(std::move(target));
            }
        }
    }

    // The prefix is what the whole block begins with, up to the shared bytes less one token (the last one
    // may merge with what follows). It is the same for all blocks of a candidate, so it is computed once.
    void find_prefix() {
        if (targets_.empty()) return;
        const Context& first = request_.items[targets_.front().item].context;
        std::vector<Token> prefix = access_.tokenizer.encode_shared(first);
        if (!prefix.empty()) prefix.pop_back();
        for (const Target& target : targets_) {
            const std::size_t limit = std::min(prefix.size(), target.context_size - 1);
            prefix.resize(common_prefix(std::span(prefix).first(limit), target.tokens));
        }
        if (prefix.size() >= kShortestPrefix) prefix_ = std::move(prefix);
    }

    // The targets of an item stay together, for they share its context, and chunks are about equally large.
    void plan_chunks() {
        std::size_t total = 0;
        for (std::size_t first = 0; first < targets_.size();) {
            TokenTree alone;
            std::size_t end = first;
            for (; end < targets_.size() && targets_[end].item == targets_[first].item; ++end) {
                alone.add_path(to_compute(targets_[end]));
            }
            item_nodes_.emplace(first, alone.nodes().size());
            total += alone.nodes().size();
            first = end;
        }
        most_nodes_ =
            std::max(kChunkCells - std::min(kChunkCells, prefix_.size()), kLeastChunkNodes);
        const std::size_t chunks =
            std::max<std::size_t>((total + most_nodes_ - 1) / most_nodes_, 1);
        enough_nodes_ = (total + chunks - 1) / chunks;
    }

    // Is the chunk to end before `target`? Only where an item ends.
    [[nodiscard]] bool chunk_ends_before(std::size_t target) const {
        const auto item = item_nodes_.find(target);
        if (item == item_nodes_.end()) return false;
        const std::size_t nodes = tree_.nodes().size();
        return nodes >= enough_nodes_ || nodes + item->second > most_nodes_;
    }

    // Takes as many of the remaining targets as a chunk may have and the cache has room for.
    void start_chunk() {
        const DecoderOptions& limits = access_.decoder.options();
        const std::size_t room = static_cast<std::size_t>(limits.cells) - prefix_.size();
        tree_ = TokenTree();
        queries_.clear();
        next_node_ = 0;
        next_query_ = 0;
        shared_ = false;
        const std::size_t first = next_target_;
        for (; next_target_ < targets_.size(); ++next_target_) {
            if (next_target_ > first && chunk_ends_before(next_target_)) break;
            // A path adds at most its own length in nodes and one sequence.
            const std::size_t added = to_compute(targets_[next_target_]).size();
            if (next_target_ > first &&
                (tree_.nodes().size() + added > room ||
                 next_target_ - first >= static_cast<std::size_t>(limits.sequences))) {
                break;
            }
            add_target(next_target_);
        }
        tree_.finish();
        std::stable_sort(queries_.begin(), queries_.end(),
                         [](const Query& a, const Query& b) { return a.node < b.node; });
        access_.decoder.begin(prefix_);
    }

    // Behind the prefix, and without the last token, which is predicted but never computed.
    [[nodiscard]] std::span<const Token> to_compute(const Target& target) const {
        return std::span(target.tokens)
            .subspan(prefix_.size(), target.tokens.size() - prefix_.size() - 1);
    }

    void add_target(std::size_t index) {
        const Target& target = targets_[index];
        const std::vector<int> path = tree_.add_path(to_compute(target));
        for (std::size_t at = target.context_size; at < target.tokens.size(); ++at) {
            const int node = path[at - prefix_.size() - 1];
            tree_.nodes()[static_cast<std::size_t>(node)].wants_logits = true;
            queries_.push_back({.node = node,
                                .token = target.tokens[at],
                                .target = index,
                                .place = at - target.context_size});
        }
    }

    void decode_piece() {
        const DecoderOptions& limits = access_.decoder.options();
        std::vector<DecodeToken> piece;
        const std::size_t first = next_node_;
        int rows = 0;
        while (next_node_ < tree_.nodes().size() &&
               piece.size() < static_cast<std::size_t>(limits.tokens_a_decode) &&
               rows < limits.rows_a_decode) {
            const TokenNode& node = tree_.nodes()[next_node_++];
            piece.push_back({.token = node.token,
                             .position = static_cast<int>(prefix_.size()) + node.depth,
                             .sequences = node.sequences,
                             .wants_logits = node.wants_logits});
            rows += node.wants_logits ? 1 : 0;
        }
        access_.decoder.decode(piece);
        usage_.evaluated_tokens += static_cast<std::int64_t>(piece.size());
        answer_queries(first);
    }

    void answer_queries(std::size_t first_node) {
        int normalised = -1;
        double log_sum = 0.0;
        std::span<const float> row;
        for (; next_query_ < queries_.size(); ++next_query_) {
            const Query& query = queries_[next_query_];
            if (static_cast<std::size_t>(query.node) >= next_node_) break;
            if (query.node != normalised) {
                row = access_.decoder.logits_of(static_cast<std::size_t>(query.node) - first_node);
                log_sum = log_sum_exp(row);
                normalised = query.node;
            }
            const Target& target = targets_[query.target];
            TargetScore& score = reply_.scores[target.item][target.index];
            const double value =
                static_cast<double>(row[static_cast<std::size_t>(query.token)]) - log_sum;
            if (std::isfinite(value)) {
                score.token_log_probs[query.place] = value;
            } else {
                score.error = "the model returned a log-probability that is not finite";
            }
        }
    }

    ModelAccess access_;
    ScoreRequest request_;
    ScoreReply reply_;
    std::vector<Target> targets_;
    std::vector<Token> prefix_;
    // Nodes of each item, by its first target, as if it were alone.
    std::map<std::size_t, std::size_t> item_nodes_;
    std::size_t most_nodes_ = 0;    // of a chunk, unless one item has more
    std::size_t enough_nodes_ = 0;  // of a chunk
    std::size_t next_target_ = 0;
    TokenTree tree_;
    std::vector<Query> queries_;  // sorted by node
    std::size_t next_node_ = 0;
    std::size_t next_query_ = 0;
    bool shared_ = false;
};

}  // namespace

std::string too_long_message(std::size_t tokens, int room, int context_tokens) {
    return fmt::format("a context of {} tokens leaves no room for {} more within {} tokens", tokens,
                       room, context_tokens);
}

std::unique_ptr<Work> make_score_work(ModelAccess access, ScoreRequest request) {
    return std::make_unique<ScoreWork>(access, std::move(request));
}

}  // namespace dln
