#include "llm/embedded/tensor_digest.hpp"

#include <fmt/format.h>

namespace dln {

TensorDigest::TensorDigest() : state_(XXH3_createState(), &XXH3_freeState) {
    XXH3_64bits_reset(state_.get());
}

void TensorDigest::add(std::span<const float> values) {
    XXH3_64bits_update(state_.get(), values.data(), values.size_bytes());
}

std::string TensorDigest::text() const {
    return fmt::format("{:016x}", XXH3_64bits_digest(state_.get()));
}

std::string text_digest(std::string_view text) {
    return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

}  // namespace dln
