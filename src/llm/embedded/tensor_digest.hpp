#pragma once
// Digests (XXH3) of models and of what they are made from.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <xxhash.h>

namespace dln {

/// The key of a GGUF file that holds the digest of its tensors, in the order of the file.
inline constexpr const char* kTensorDigestKey = "dln.tensor_digest";

class TensorDigest {
  public:
    TensorDigest();
    void add(std::span<const float> values);
    /// 16 hexadecimal digits.
    [[nodiscard]] std::string text() const;

  private:
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

[[nodiscard]] std::string text_digest(std::string_view text);

}  // namespace dln
