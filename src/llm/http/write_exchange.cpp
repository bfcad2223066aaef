#include "llm/http/write_exchange.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/http/call_book.hpp"

namespace dln::http {
namespace {

// Cuts before the first of the stop strings; false: there is none.
bool end_at_stop(std::string& text, const std::vector<std::string>& stops) {
    std::size_t end = text.size();
    for (const std::string& stop : stops) end = std::min(end, text.find(stop));
    const bool found = end < text.size();
    text.resize(end);
    return found;
}

class WriteExchange final : public Exchange {
  public:
    WriteExchange(const WriteWire& wire,
                  const Tokeniser* tokeniser,
                  ServerFacts server,
                  GenerateRequest request)
        : wire_(wire),
          tokeniser_(tokeniser),
          server_(std::move(server)),
          request_(std::move(request)),
          tokens_(request_.items.size()) {
        reply_.texts.resize(request_.items.size());
        for (GenerateItem& item : request_.items) {
            if (!item.context.chat) item.context.text.insert(0, server_.begin_text);
        }
    }

    std::vector<Call> begin() override {
        std::vector<Call> calls;
        std::vector<Ask> listed;
        for (std::size_t i = 0; i < request_.items.size(); ++i) {
            ++usage_.calls;
            reply_.texts[i].error = why_not(request_.items[i].context);
            if (!reply_.texts[i].ok()) continue;
            const Ask ask{.purpose = Ask::Purpose::prompt, .item = i};
            if (tokenises_first(i)) {
                Call look_up = tokeniser_->tokenise(server_, request_.items[i].context.text, false);
                look_up.prompts = 0;
                add_call(std::move(look_up),
                         {{.purpose = Ask::Purpose::tokenise_context, .item = i}}, calls);
            } else if (request_.items[i].context.chat || request_.temperature > 0.0) {
                add_call(make_call({&ask, 1}), {ask}, calls);
            } else {
                listed.push_back(ask);
            }
        }
        // A list has one seed, and without temperature none matters.
        const std::size_t limit = std::max<std::size_t>(wire_.prompts_a_call(server_), 1);
        for (std::size_t first = 0; first < listed.size(); first += limit) {
            const auto some =
                std::span(listed).subspan(first, std::min(limit, listed.size() - first));
            add_call(make_call(some), {some.begin(), some.end()}, calls);
        }
        return calls;
    }

    Verdict take(std::size_t index, std::string_view body) override {
        if (book_.is_closed_for_good()) return {.kind = Verdict::Kind::broken, .reason = broken_};
        const std::vector<Ask> asks = book_.asks(index);
        const ParsedReply parsed = parse_answer(body);
        if (!parsed.ok()) return malformed(index, parsed.error);
        if (asks.front().purpose == Ask::Purpose::tokenise_context) {
            return take_tokens(index, asks.front(), parsed.value);
        }
        return take_texts(index, asks, parsed.value);
    }

    Verdict fail(std::size_t index,
                 int status,
                 std::string_view body,
                 std::string_view reason) override {
        if (book_.is_closed_for_good()) return {.kind = Verdict::Kind::broken, .reason = broken_};
        const std::vector<Ask> asks = book_.asks(index);
        Verdict verdict;
        if (book_.may_split(index, status)) {
            for (const Ask& ask : asks) add_call(make_call({&ask, 1}), {ask}, verdict.more);
        } else {
            verdict = given_up(status, body, reason);
            for (const Ask& ask : asks) reply_.texts[ask.item].error = verdict.reason;
            count_requests(asks);
        }
        book_.close(index);
        return verdict;
    }

    bool done() const override { return book_.none_open(); }
    Reply take_reply() override {
        DLN_ASSERT(done(), "calls are open");
        return std::move(reply_);
    }
    Usage usage() const override { return usage_; }

  private:
    std::string why_not(const Context& context) const {
        if (const auto bad = find_invalid_utf8(context.text)) {
            return fmt::format("the context is not UTF-8: the byte at offset {} is invalid", *bad);
        }
        for (const std::string& stop : request_.stop) {
            if (find_invalid_utf8(stop)) return "a stop string is not UTF-8";
        }
        if (context.text.empty()) return "the context is empty: nothing to continue";
        return wire_.why_not(context.chat);
    }

    bool tokenises_first(std::size_t item) const {
        return wire_.wants_tokens() && tokeniser_ != nullptr && server_.can_tokenise &&
               !request_.items[item].context.chat;
    }

    std::vector<WritePrompt> prompts_of(std::span<const Ask> asks) const {
        std::vector<WritePrompt> prompts;
        for (const Ask& ask : asks) {
            const GenerateItem& item = request_.items[ask.item];
            prompts.push_back({.text = item.context.text,
                               .chat = item.context.chat,
                               .tokens = tokens_[ask.item],
                               .seed = request_.temperature > 0.0 ? folded_seed(item.seed) : 0});
        }
        return prompts;
    }

    Call make_call(std::span<const Ask> asks) const {
        const std::vector<WritePrompt> prompts = prompts_of(asks);
        Call call = wire_.write(server_, request_, prompts);
        call.prompts = static_cast<int>(prompts.size());
        for (const WritePrompt& prompt : prompts) {
            call.estimated_tokens += request_.max_tokens + estimated_tokens(prompt.text.size());
            call.estimated_output += request_.max_tokens;
        }
        return call;
    }

    void add_call(Call call, std::vector<Ask> asks, std::vector<Call>& more) {
        book_.open(std::move(asks));
        more.push_back(std::move(call));
    }

    Verdict malformed(std::size_t index, std::string reason) {
        book_.note_malformed(index);
        return {.kind = Verdict::Kind::malformed, .reason = std::move(reason)};
    }

    Verdict take_tokens(std::size_t index, const Ask& ask, const Json& reply) {
        auto tokens = tokeniser_->read_tokens(reply);
        if (!tokens) return malformed(index, "no token ids in the reply");
        Verdict verdict;
        const auto limit = static_cast<std::size_t>(std::max(server_.context_tokens, 0));
        const auto room = static_cast<std::size_t>(std::max(request_.max_tokens, 0));
        if (tokens->empty()) {
            verdict.reason = "the context is empty: nothing to continue";
        } else if (limit > 0 && tokens->size() + room > limit) {
            verdict.reason = too_long(tokens->size(), room, server_.context_tokens);
        }
        if (verdict.reason.empty()) {
            tokens_[ask.item] = std::move(*tokens);
            const Ask next{.purpose = Ask::Purpose::prompt, .item = ask.item};
            add_call(make_call({&next, 1}), {next}, verdict.more);
        } else {
            verdict.kind = Verdict::Kind::refused;
            reply_.texts[ask.item].error = verdict.reason;
        }
        book_.close(index);
        return verdict;
    }

    Verdict take_texts(std::size_t index, const std::vector<Ask>& asks, const Json& reply) {
        WriteReply read = wire_.read(reply, prompts_of(asks));
        if (!read.malformed.empty()) return malformed(index, read.malformed);
        std::size_t sent = 0;
        for (const Ask& ask : asks) sent += tokens_[ask.item].size();
        if (read.counted.prompt && *read.counted.prompt < static_cast<std::int64_t>(sent)) {
            return break_off(
                fmt::format("the server counts {} prompt tokens where {} were sent: it "
                            "cuts prompts silently",
                            *read.counted.prompt, sent));
        }
        Verdict verdict;
        std::int64_t estimated = 0;
        for (std::size_t i = 0; i < asks.size(); ++i) {
            if (!read.texts[i].text.empty()) {
                estimated += estimated_tokens(read.texts[i].text.size());
            }
            GeneratedText& text = reply_.texts[asks[i].item];
            accept(std::move(read.texts[i]), text);
            if (text.ok()) continue;
            verdict.kind = Verdict::Kind::refused;
            verdict.reason = text.error;
        }
        const std::int64_t generated = read.counted.completion.value_or(estimated);
        const std::int64_t prompt = read.counted.prompt.value_or(0);
        usage_.standalone_tokens += prompt + generated;
        usage_.evaluated_tokens +=
            std::max<std::int64_t>(prompt - read.counted.cached, 0) + generated;
        usage_.generated_tokens += generated;
        usage_.prompt_tokens += read.counted.prompt.value_or(estimated_prompt_tokens(asks));
        count_requests(asks);
        book_.close(index);
        return verdict;
    }

    std::int64_t estimated_prompt_tokens(const std::vector<Ask>& asks) const {
        std::int64_t tokens = 0;
        for (const Ask& ask : asks) {
            tokens += estimated_tokens(request_.items[ask.item].context.text.size());
        }
        return tokens;
    }

    // A list that is split counts with its parts.
    void count_requests(const std::vector<Ask>& asks) {
        if (asks.front().purpose == Ask::Purpose::prompt) {
            usage_.requests += static_cast<std::int64_t>(asks.size());
        }
    }

    void accept(Written written, GeneratedText& text) const {
        text.error = std::move(written.error);
        if (!text.ok()) return;
        // Unknown in a list: its usage is a sum.
        text.tokens = written.tokens.value_or(0);
        text.cut = written.cut;
        if (end_at_stop(written.text, request_.stop)) {
            text.cut = false;
        } else if (written.cut && written.tokens && *written.tokens < request_.max_tokens) {
            text.error = fmt::format("the server's context ended the text after {} of {} tokens",
                                     *written.tokens, request_.max_tokens);
            return;
        }
        text.text = std::move(written.text);
    }

    Verdict break_off(std::string reason) {
        broken_ = std::move(reason);
        for (GeneratedText& text : reply_.texts) text = {.error = broken_};
        book_.close_for_good();
        return {.kind = Verdict::Kind::broken, .reason = broken_};
    }

    const WriteWire& wire_;
    const Tokeniser* tokeniser_;
    ServerFacts server_;
    GenerateRequest request_;
    GenerateReply reply_;
    Usage usage_;
    CallBook book_;
    std::vector<std::vector<TokenId>> tokens_;  // by item; empty: sent as text
    std::string broken_;
};

}  // namespace

std::uint32_t folded_seed(std::uint64_t seed) {
    constexpr std::uint64_t kMost = 0x7FFFFFFF;
    if (seed <= kMost) return static_cast<std::uint32_t>(seed);
    // The finaliser of splitmix64: all bits of the seed count.
    seed = (seed ^ (seed >> 30U)) * 0xBF58476D1CE4E5B9U;
    seed = (seed ^ (seed >> 27U)) * 0x94D049BB133111EBU;
    return static_cast<std::uint32_t>((seed ^ (seed >> 31U)) & kMost);
}

std::unique_ptr<Exchange> make_write_exchange(const WriteWire& wire,
                                              const Tokeniser* tokeniser,
                                              const ServerFacts& server,
                                              GenerateRequest request) {
    return std::make_unique<WriteExchange>(wire, tokeniser, server, std::move(request));
}

}  // namespace dln::http
