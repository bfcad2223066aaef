#pragma once
// What a unit of a network says, as bytes (CBOR).

#include <string>
#include <variant>

#include "dln/engine/network_runner.hpp"

namespace dln::payload {

using Content = std::variant<EvaluateUnit, LayerUnit, TextUnit, GenerateRequest>;
[[nodiscard]] std::string encode(const Content& content);
[[nodiscard]] Content decode(const std::string& bytes);

}  // namespace dln::payload
