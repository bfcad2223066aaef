// Stands in for the embedded backend in builds without llama.cpp.

#include "dln/error.hpp"
#include "dln/llm/embedded.hpp"
#include "dln/llm/gguf_weights.hpp"
#include "dln/llm/model_file.hpp"
#include "dln/llm/model_variant.hpp"
#include "dln/llm/tokenizer.hpp"

namespace dln {
namespace {

[[noreturn]] void refuse() {
    throw BackendError(
        "this build of dln has no embedded backend (llama.cpp was not found when it was "
        "configured). "
        "Run tools/setup, or use /backend/kind \"scripted\".");
}

}  // namespace

bool embedded_backend_available() noexcept { return false; }
std::unique_ptr<Backend> make_embedded_backend(const EmbeddedOptions& /*options*/) { refuse(); }
std::string model_cache_directory() { return {}; }
std::string find_model_file(const std::string& /*model*/, const std::string& /*place*/) {
    refuse();
}
ModelFile prepare_model_file(const std::string& /*model*/,
                             WeightType /*weights*/,
                             const std::string& /*place*/) {
    refuse();
}
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& /*path*/,
                                          const std::string& /*begin_text*/) {
    refuse();
}
GgufWeights open_gguf_weights(const std::string& /*model*/, const std::string& /*place*/) {
    refuse();
}
GgufWeights open_variant(const GgufWeights& /*source*/,
                         const std::string& /*name*/,
                         const std::string& /*depends_on*/,
                         const ChangeBlock& /*change*/) {
    refuse();
}
void round_through(StorageType type, std::size_t /*columns*/, std::span<float> /*values*/) {
    if (type != StorageType::f32) refuse();
}
Completion score_each_alone(Backend& /*backend*/, const ScoreRequest& /*request*/) { refuse(); }
std::vector<std::vector<float>> logits_of_all(Backend& /*backend*/,
                                              const std::vector<std::int32_t>& /*tokens*/) {
    refuse();
}
std::int64_t decode_bare(Backend& /*backend*/,
                         const Context& /*context*/,
                         int /*sequences*/,
                         int /*tokens*/) {
    refuse();
}

}  // namespace dln
