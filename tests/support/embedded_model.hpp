#pragma once
// The quick start's model, for tests on a real one. Their main (embedded_main.cpp) says so and CTest counts them as
// skipped when it is not in the model cache.

#include <string>

#include "dln/llm/embedded.hpp"

namespace dln::testing {

inline const std::string kModel = "SmolLM2-135M-Instruct.Q4_1";

inline std::string model_path() { return model_cache_directory() + "/" + kModel + ".gguf"; }

}  // namespace dln::testing
