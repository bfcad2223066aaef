#include "engine/wire.hpp"

#include <nlohmann/json.hpp>

#include "engine/cbor.hpp"

namespace dln::wire {

using cbor::bytes_of;
using cbor::text_of;
using nlohmann::json;

std::string encode_order(const Order& order) {
    return cbor::encode(json::array({static_cast<int>(order.kind), order.task, order.unit,
                                     order.first_cell, order.cells, bytes_of(order.payload)}));
}

Order decode_order(const std::string& bytes) {
    const json value = json::from_cbor(bytes);
    return {.kind = static_cast<OrderKind>(value[0].get<int>()),
            .task = value[1],
            .unit = value[2],
            .first_cell = value[3],
            .cells = value[4],
            .payload = text_of(value[5])};
}

std::string encode_result(std::uint64_t unit, const UnitResult& result) {
    const Usage& usage = result.usage;
    return cbor::encode(
        json::array({unit, cbor::list_of(result.texts),
                     json::array({usage.calls, usage.standalone_tokens, usage.evaluated_tokens,
                                  usage.generated_tokens, usage.recalled, usage.requests,
                                  usage.prompt_tokens, usage.discarded_tokens}),
                     result.failures, bytes_of(result.first_failure)}));
}

std::pair<std::uint64_t, UnitResult> decode_result(const std::string& bytes) {
    const json value = json::from_cbor(bytes);
    UnitResult result;
    result.texts = cbor::texts_of(value[1]);
    result.usage = {.calls = value[2][0],
                    .standalone_tokens = value[2][1],
                    .evaluated_tokens = value[2][2],
                    .generated_tokens = value[2][3],
                    .recalled = value[2][4],
                    .requests = value[2][5],
                    .prompt_tokens = value[2][6],
                    .discarded_tokens = value[2][7]};
    result.failures = value[3];
    result.first_failure = text_of(value[4]);
    return {value[0].get<std::uint64_t>(), std::move(result)};
}

namespace {

// Bytes that begin no array, and so no other message.
constexpr char kFailureMark = '!';
constexpr char kHaltMark = '?';

std::optional<std::string> text_behind(char mark, const std::string& bytes) {
    if (bytes.empty() || bytes.front() != mark) return std::nullopt;
    return bytes.substr(1);
}

}  // namespace

std::string encode_failure(const std::string& reason) { return kFailureMark + reason; }
std::optional<std::string> failure_of(const std::string& bytes) {
    return text_behind(kFailureMark, bytes);
}

std::string encode_wish_to_halt(const std::string& why) { return kHaltMark + why; }
std::optional<std::string> wish_to_halt_of(const std::string& bytes) {
    return text_behind(kHaltMark, bytes);
}

}  // namespace dln::wire
