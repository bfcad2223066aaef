// Embeddings without a model, and the backend that gives them.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

#include "dln/llm/embedding.hpp"
#include "dln/text/utf8.hpp"

namespace dln {
namespace {

constexpr std::size_t kShortest = 3;
constexpr std::size_t kLongest = 5;
constexpr const char* kWhiteSpace = " \t\n\v\f\r";

void add_piece(std::string_view piece, std::vector<float>& sums) {
    const std::uint64_t hash = XXH3_64bits(piece.data(), piece.size());
    sums[(hash >> 1U) % sums.size()] += (hash & 1U) == 0 ? 1.0F : -1.0F;
}

// `word` has a space at either end.
void add_word(std::string_view word, std::vector<float>& sums) {
    const std::size_t longest = std::min(kLongest, word.size());
    for (std::size_t length = kShortest; length <= longest; ++length) {
        for (std::size_t at = 0; at + length <= word.size(); ++at) {
            add_piece(word.substr(at, length), sums);
        }
    }
    if (word.size() > kLongest) add_piece(word, sums);
}

class NgramBackend final : public Backend {
  public:
    explicit NgramBackend(std::size_t dimension) : dimension_(dimension) {
        info_.kind = "ngrams";
        info_.model = fmt::format("ngrams-{}-{}:{}", kShortest, kLongest, dimension);
        info_.description = fmt::format("character n-grams of {} to {} bytes in {} numbers",
                                        kShortest, kLongest, dimension);
    }
    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }
    void submit(std::uint64_t id, Request request) override {
        waiting_.push_back({.id = id, .request = std::move(request)});
    }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds /*timeout*/) override {
        std::vector<Completion> completed;
        if (waiting_.empty()) return completed;
        const Asked asked = std::move(waiting_.front());
        waiting_.pop_front();
        const auto* embed = std::get_if<EmbedRequest>(&asked.request);
        completed.push_back(
            {.id = asked.id,
             .reply = embed != nullptr ? answer(*embed) : failed_reply(asked.request, kNoModel),
             .usage = {}});
        return completed;
    }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override { return 1; }
    [[nodiscard]] int count_tokens(const Context& context) override {
        return static_cast<int>(context.text.size());
    }

  private:
    struct Asked {
        std::uint64_t id = 0;
        Request request;
    };
    static constexpr const char* kNoModel = "n-grams are no model: they embed texts only";

    [[nodiscard]] Reply answer(const EmbedRequest& request) const {
        EmbedReply reply;
        for (const std::string& text : request.texts) {
            reply.embeddings.push_back({.values = ngram_embedding(text, dimension_), .error = {}});
        }
        return reply;
    }

    std::size_t dimension_;
    BackendInfo info_;
    std::deque<Asked> waiting_;
};

}  // namespace

std::vector<float> ngram_embedding(std::string_view text, std::size_t dimension) {
    std::vector<float> sums(dimension, 0.0F);
    const std::string small = lowered(text);
    std::size_t end = 0;
    for (;;) {
        const std::size_t begin = small.find_first_not_of(kWhiteSpace, end);
        if (begin == std::string::npos) return sums;
        end = std::min(small.find_first_of(kWhiteSpace, begin), small.size());
        add_word(fmt::format(" {} ", std::string_view(small).substr(begin, end - begin)), sums);
    }
}

std::unique_ptr<Backend> make_ngram_backend(std::size_t dimension) {
    return std::make_unique<NgramBackend>(dimension);
}

}  // namespace dln
