#pragma once
// What a unit of a network says, as bytes (CBOR): for the runner that computes it, and for whoever foretells it.
// Pure.

#include <string>
#include <variant>

#include "dln/engine/network_runner.hpp"

namespace dln::payload {

using Content = std::variant<EvaluateUnit, LayerUnit, TextUnit, GenerateUnit>;
/// A unit, and the model that computes it.
struct Work {
    Content content;
    ModelRole model = ModelRole::forward;
};
[[nodiscard]] std::string encode(const Work& work);
[[nodiscard]] Work decode(const std::string& bytes);

}  // namespace dln::payload
