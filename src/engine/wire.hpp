#pragma once
// What travels between rank 0 and the others, as bytes (CBOR). Both ends are the same program.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "dln/engine/task_graph.hpp"
#include "dln/engine/unit.hpp"

namespace dln::wire {

enum class OrderKind : int { unit = 0, sum = 1, stop = 2, counts = 3 };

/// From rank 0. unit: compute `payload`; sum: join the sum of `task`'s table; counts: join the sum of the
/// backends' counts; stop: return from serve().
struct Order {
    OrderKind kind = OrderKind::stop;
    TaskId task = 0;
    std::uint64_t unit = 0;
    std::size_t first_cell = 0;
    std::size_t cells = 0;
    std::string payload;  ///< empty but for units
};
[[nodiscard]] std::string encode_order(const Order& order);
[[nodiscard]] Order decode_order(const std::string& bytes);

/// To rank 0: a unit is finished. Its cells are not in the message.
[[nodiscard]] std::string encode_result(std::uint64_t unit, const UnitResult& result);
[[nodiscard]] std::pair<std::uint64_t, UnitResult> decode_result(const std::string& bytes);

/// To rank 0: the sender's backend has failed, with the reason. failure_of() gives nothing for a result.
[[nodiscard]] std::string encode_failure(const std::string& reason);
[[nodiscard]] std::optional<std::string> failure_of(const std::string& bytes);

/// To rank 0: the sender wants all ranks to halt, with the reason. wish_to_halt_of() gives nothing for others.
[[nodiscard]] std::string encode_wish_to_halt(const std::string& why);
[[nodiscard]] std::optional<std::string> wish_to_halt_of(const std::string& bytes);

}  // namespace dln::wire
