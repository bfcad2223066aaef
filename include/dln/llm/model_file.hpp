#pragma once
// Where model files lie, and the copy of a model in another weight type. Any rank; ranks of a node may call these at
// the same time. Without llama.cpp in the build, what needs it throws BackendError.

#include <string>

#include "dln/llm/embedded.hpp"

namespace dln {

/// A model file ready to be mapped, and what identifies its content.
struct ModelFile {
    std::string path;
    std::string identity;  ///< stem, digest of the source, weight type
};

/// The path of `model`: itself, or the file of that stem in the model cache. Throws BackendError, which names `place`,
/// that of the backend in its job.
[[nodiscard]] std::string find_model_file(const std::string& model, const std::string& place);

/// Finds the model and, when `weights` asks for another type, the converted copy in the cache; makes that
/// copy if it is not there (one process of a node makes it, the others wait). Throws as find_model_file does.
[[nodiscard]] ModelFile prepare_model_file(const std::string& model,
                                           WeightType weights,
                                           const std::string& place);

}  // namespace dln
