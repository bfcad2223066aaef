#include "llm/http/score_exchange.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

namespace dln::http {
namespace {

std::string not_utf8(std::string_view what, std::size_t offset) {
    return fmt::format("the {} is not UTF-8: the byte at offset {} is invalid", what, offset);
}

}  // namespace

ScoreExchange::ScoreExchange(const Tokeniser* tokeniser, ServerFacts server, ScoreRequest request)
    : tokeniser_(tokeniser), server_(std::move(server)), request_(std::move(request)) {
    reply_.scores.resize(request_.items.size());
    items_.resize(request_.items.size());
    for (std::size_t i = 0; i < items_.size(); ++i) {
        reply_.scores[i].resize(request_.items[i].targets.size());
        items_[i].targets.resize(request_.items[i].targets.size());
    }
}

std::vector<Call> ScoreExchange::begin() {
    std::vector<Call> calls;
    for (std::size_t i = 0; i < items_.size(); ++i) start_item(i, calls);
    hand_out_ready(calls);
    return calls;
}

void ScoreExchange::start_item(std::size_t index, std::vector<Call>& more) {
    ++usage_.calls;
    const ScoreItem& asked = request_.items[index];
    if (const auto bad = find_invalid_utf8(asked.context.text)) {
        return fail_item(index, not_utf8("context", *bad));
    }
    for (std::size_t t = 0; t < asked.targets.size(); ++t) {
        if (asked.targets[t].empty()) fail_target(index, t, "the target is empty");
        if (const auto bad = find_invalid_utf8(asked.targets[t])) {
            fail_target(index, t, not_utf8("target", *bad));
        }
    }
    const auto& targets = items_[index].targets;
    if (std::ranges::all_of(targets, [](const Target& target) { return target.settled; })) return;
    if (asked.context.chat) {
        if (const std::string why = why_no_chat(); !why.empty()) return fail_item(index, why);
        return render(index, more);
    }
    items_[index].begin_bytes = server_.begin_text.size();
    items_[index].head = server_.begin_text + asked.context.text;
    prepare_item(index, more);
}

std::string ScoreExchange::why_no_chat() const {
    if (!tokenises()) {
        return "a chat context can be scored only where the server's tokeniser renders it (vLLM, "
               "llama-server); without, write the template without chat";
    }
    return tokeniser_->why_no_chat(server_);
}

void ScoreExchange::render(std::size_t index, std::vector<Call>& more) {
    look_up(tokeniser_->render(server_, request_.items[index].context.text, items_[index].chat),
            {{.purpose = Ask::Purpose::render, .item = index}}, more);
}

// Pre: the item's head is known.
void ScoreExchange::prepare_item(std::size_t index, std::vector<Call>& more) {
    if (!tokenises() && items_[index].head.empty()) {
        return fail_item(index, "the context is empty: nothing predicts the target");
    }
    if (tokenises()) {
        tokenise(index, Ask::kContext, more);
    } else {
        make_ready(index, Ask::kContext);
    }
    for (std::size_t t = 0; t < items_[index].targets.size(); ++t) {
        if (is_settled(index, t)) continue;
        if (!tokenises()) {
            make_ready(index, t);
        } else if (may_go_as_text(index, t)) {
            send_as_text(index, t, more);
        } else {
            tokenise(index, t, more);
        }
    }
}

// A text that has more bytes than the context has tokens may not fit: that is found out first.
bool ScoreExchange::may_go_as_text(std::size_t item, std::size_t target) const {
    const bool has_context = !items_[item].head.empty();
    if (!names_tokens_of_texts() || !has_context || items_[item].chat.has_text) return false;
    const std::size_t size = items_[item].head.size() + request_.items[item].targets[target].size();
    return server_.context_tokens <= 0 || size < static_cast<std::size_t>(server_.context_tokens);
}

void ScoreExchange::send_as_text(std::size_t item, std::size_t target, std::vector<Call>& more) {
    items_[item].targets[target].as_text = true;
    ready_texts_.push_back(
        {.purpose = Ask::Purpose::prompt, .item = item, .target = target, .as_text = true});
    for (const std::size_t place :
         endings_.note(items_[item].head, request_.items[item].targets[target])) {
        look_up(tokeniser_->tokenise(server_, endings_.text(place), false),
                {{.purpose = Ask::Purpose::tokenise_ending, .item = place}}, more);
    }
}

void ScoreExchange::tokenise(std::size_t item, std::size_t target, std::vector<Call>& more) {
    const bool is_context = target == Ask::kContext;
    look_up(
        tokeniser_->tokenise(server_, whole_text(item, target), items_[item].chat.has_text),
        {{.purpose = is_context ? Ask::Purpose::tokenise_context : Ask::Purpose::tokenise_target,
          .item = item,
          .target = target}},
        more);
}

void ScoreExchange::make_ready(std::size_t item, std::size_t target) {
    for (const Ask& ask : asks_for(item, target)) ready_.push_back(ask);
}

// Fails a target whose tokens are known and cannot be scored.
bool ScoreExchange::fits(std::size_t item, std::size_t target) {
    const std::size_t context_size = items_[item].tokens.size();
    const std::size_t size = items_[item].targets[target].tokens.size();
    if (size <= context_size) {
        fail_target(item, target, "the target adds no token to the context");
        return false;
    }
    if (server_.context_tokens > 0 && size > static_cast<std::size_t>(server_.context_tokens)) {
        fail_target(item, target,
                    too_long(context_size, size - context_size, server_.context_tokens));
        return false;
    }
    return true;
}

void ScoreExchange::make_ready_if_tokenised(std::size_t item, std::size_t target) {
    const Target& known = items_[item].targets[target];
    if (known.settled || known.as_text || items_[item].tokens.empty() || known.tokens.empty()) {
        return;
    }
    if (fits(item, target)) make_ready(item, target);
}

void ScoreExchange::ask_again_by_tokens(std::size_t item,
                                        std::size_t target,
                                        std::vector<Call>& more) {
    if (!fits(item, target)) return;
    for (const Ask& ask : asks_for(item, target)) add_call(make_call({&ask, 1}), {ask}, more);
}

void ScoreExchange::hand_out_ready(std::vector<Call>& more) {
    hand_out(ready_texts_, more);
    if (prompts_a_call() <= 1 || book_.none_preparing()) hand_out(ready_, more);
}

void ScoreExchange::hand_out(std::vector<Ask>& ready, std::vector<Call>& more) {
    const std::size_t limit = std::max<std::size_t>(prompts_a_call(), 1);
    std::sort(ready.begin(), ready.end());
    for (std::size_t first = 0; first < ready.size();) {
        std::size_t end = first + 1;
        while (end < ready.size() && end - first < limit &&
               (!one_item_a_call() || ready[end].item == ready[first].item)) {
            ++end;
        }
        const std::vector<Ask> asks(ready.begin() + static_cast<std::ptrdiff_t>(first),
                                    ready.begin() + static_cast<std::ptrdiff_t>(end));
        add_call(make_call(asks), asks, more);
        first = end;
    }
    ready.clear();
}

void ScoreExchange::look_up(Call call, std::vector<Ask> asks, std::vector<Call>& more) {
    call.prompts = 0;
    add_call(std::move(call), std::move(asks), more);
}

void ScoreExchange::add_call(Call call, std::vector<Ask> asks, std::vector<Call>& more) {
    book_.open(std::move(asks));
    more.push_back(std::move(call));
}

Verdict ScoreExchange::take(std::size_t index, std::string_view body) {
    if (book_.is_closed_for_good()) return {.kind = Verdict::Kind::broken, .reason = broken_};
    const std::vector<Ask> asks = book_.asks(index);
    const ParsedReply parsed = parse_reply(body);
    Verdict verdict;
    if (!parsed.ok()) {
        verdict = {.kind = Verdict::Kind::malformed, .reason = parsed.error};
    } else {
        std::vector<Call> more;
        verdict = take_parsed(asks, parsed.value, more);
        if (verdict.kind == Verdict::Kind::broken) return break_off(std::move(verdict.reason));
        verdict.more = std::move(more);
    }
    if (verdict.kind == Verdict::Kind::malformed) {
        book_.note_malformed(index);
        return verdict;
    }
    count_requests(asks);
    book_.close(index);
    hand_out_ready(verdict.more);
    return verdict;
}

// A list that is split counts with its parts.
void ScoreExchange::count_requests(const std::vector<Ask>& asks) {
    if (asks.front().purpose == Ask::Purpose::prompt) {
        usage_.requests += static_cast<std::int64_t>(asks.size());
    }
}

Verdict ScoreExchange::take_parsed(const std::vector<Ask>& asks,
                                   const Json& reply,
                                   std::vector<Call>& more) {
    if (const Json* error = member(reply, "error"); error != nullptr && !error->is_null()) {
        return {.kind = Verdict::Kind::malformed,
                .reason = "the server answered with an error: " + server_words(body_of(reply))};
    }
    switch (asks.front().purpose) {
        case Ask::Purpose::render:
            return take_rendered(asks.front().item, reply, more);
        case Ask::Purpose::tokenise_context:
        case Ask::Purpose::tokenise_target:
        case Ask::Purpose::tokenise_ending:
            return take_tokens(asks.front(), reply, more);
        case Ask::Purpose::prompt:
            break;
    }
    return take_prompts(asks, reply, more);
}

Verdict ScoreExchange::take_rendered(std::size_t index,
                                     const Json& reply,
                                     std::vector<Call>& more) {
    Item& item = items_[index];
    if (!tokeniser_->read_rendered(reply, item.chat)) {
        return {.kind = Verdict::Kind::malformed, .reason = "no rendered chat in the reply"};
    }
    if (!item.chat.has_text) {
        render(index, more);
    } else {
        item.head = item.chat.text;
        prepare_item(index, more);
    }
    return {};
}

Verdict ScoreExchange::take_tokens(const Ask& ask, const Json& reply, std::vector<Call>& more) {
    auto tokens = tokeniser_->read_tokens(reply);
    if (!tokens) return {.kind = Verdict::Kind::malformed, .reason = "no token ids in the reply"};
    if (ask.purpose == Ask::Purpose::tokenise_ending) {
        take_ending(ask.item, std::move(*tokens), more);
        return {};
    }
    Item& item = items_[ask.item];
    if (ask.purpose == Ask::Purpose::tokenise_target) {
        if (tokens->empty()) {
            fail_target(ask.item, ask.target, "the target adds no token to the context");
        }
        item.targets[ask.target].tokens = std::move(*tokens);
        make_ready_if_tokenised(ask.item, ask.target);
        tokens_settled(ask.item, ask.target, more);
        return {};
    }
    if (tokens->empty()) {
        fail_item(ask.item, "the context is empty: nothing predicts the target");
    } else if (!item.chat.tokens.empty() && item.chat.tokens != *tokens) {
        fail_item(ask.item, "the text of the rendered chat has other tokens than the chat itself");
    }
    item.tokens = std::move(*tokens);
    for (std::size_t t = 0; t < item.targets.size(); ++t) make_ready_if_tokenised(ask.item, t);
    tokens_settled(ask.item, Ask::kContext, more);
    return {};
}

void ScoreExchange::take_ending(std::size_t place,
                                std::vector<TokenId> tokens,
                                std::vector<Call>& more) {
    endings_.settle(place, std::move(tokens));
    tokens_settled(kNoItem, Ask::kContext, more);
}

Verdict ScoreExchange::fail(std::size_t index,
                            int status,
                            std::string_view body,
                            std::string_view reason) {
    if (book_.is_closed_for_good()) return {.kind = Verdict::Kind::broken, .reason = broken_};
    const std::vector<Ask> asks = book_.asks(index);
    Verdict verdict;
    if (book_.may_split(index, status)) {
        for (const Ask& ask : asks) add_call(make_call({&ask, 1}), {ask}, verdict.more);
    } else {
        verdict = given_up(status, body, reason);
        for (const Ask& ask : asks) give_up(ask, verdict.reason, verdict.more);
        count_requests(asks);
    }
    book_.close(index);
    hand_out_ready(verdict.more);
    return verdict;
}

void ScoreExchange::give_up(const Ask& ask, std::string_view reason, std::vector<Call>& more) {
    // Without an expectation a text is tokenised as a whole.
    if (ask.purpose == Ask::Purpose::tokenise_ending) return take_ending(ask.item, {}, more);
    if (ask.target == Ask::kContext) {
        fail_item(ask.item, reason);
    } else {
        fail_target(ask.item, ask.target, reason);
    }
    if (ask.purpose != Ask::Purpose::prompt) tokens_settled(ask.item, ask.target, more);
}

Verdict ScoreExchange::break_off(std::string reason) {
    broken_ = std::move(reason);
    for (std::size_t i = 0; i < items_.size(); ++i) {
        for (std::size_t t = 0; t < items_[i].targets.size(); ++t) {
            items_[i].targets[t].settled = true;
            reply_.scores[i][t] = {.token_log_probs = {}, .error = broken_};
        }
    }
    book_.close_for_good();
    return {.kind = Verdict::Kind::broken, .reason = broken_};
}

Reply ScoreExchange::take_reply() {
    DLN_ASSERT(done(), "calls are open");
    for (std::size_t i = 0; i < items_.size(); ++i) {
        for (std::size_t t = 0; t < items_[i].targets.size(); ++t) {
            DLN_ASSERT(is_settled(i, t), "target {} of item {} has neither score nor error", t, i);
        }
    }
    return std::move(reply_);
}

std::string ScoreExchange::whole_text(std::size_t item, std::size_t target) const {
    const std::string& head = items_[item].head;
    return target == Ask::kContext ? head : head + request_.items[item].targets[target];
}

bool ScoreExchange::is_settled(std::size_t item, std::size_t target) const {
    return items_[item].targets[target].settled;
}

void ScoreExchange::settle(std::size_t item,
                           std::size_t target,
                           std::size_t context_tokens,
                           std::vector<double> log_probs) {
    if (is_settled(item, target)) return;
    if (!items_[item].counted) {
        usage_.standalone_tokens += static_cast<std::int64_t>(context_tokens);
        items_[item].counted = true;
    }
    usage_.standalone_tokens += static_cast<std::int64_t>(log_probs.size());
    items_[item].targets[target].settled = true;
    reply_.scores[item][target].token_log_probs = std::move(log_probs);
}

void ScoreExchange::fail_target(std::size_t item, std::size_t target, std::string_view reason) {
    if (is_settled(item, target)) return;
    items_[item].targets[target].settled = true;
    reply_.scores[item][target].error = reason;
}

void ScoreExchange::fail_item(std::size_t item, std::string_view reason) {
    for (std::size_t t = 0; t < items_[item].targets.size(); ++t) fail_target(item, t, reason);
}

void ScoreExchange::count(const CountedTokens& counted,
                          std::size_t prompt_tokens,
                          std::size_t drawn_tokens) {
    const std::int64_t prompt = counted.prompt.value_or(static_cast<std::int64_t>(prompt_tokens));
    const std::int64_t drawn = counted.completion.value_or(static_cast<std::int64_t>(drawn_tokens));
    usage_.evaluated_tokens += std::max<std::int64_t>(prompt - counted.cached, 0) + drawn;
    usage_.prompt_tokens += prompt;
    usage_.discarded_tokens += drawn;
}

}  // namespace dln::http
