#pragma once
// What a GGUF file says before its numbers: keys, and names, shapes and places of tensors.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gguf.h>

namespace dln {

struct GgufContextDeleter {
    void operator()(gguf_context* context) const { gguf_free(context); }
};
using GgufContextHandle = std::unique_ptr<gguf_context, GgufContextDeleter>;

/// A tensor in a file.
struct GgufTensor {
    std::string name;
    std::vector<std::int64_t> shape;  ///< slowest first: [rows, columns]
    ggml_type type = GGML_TYPE_F32;
    std::size_t begin = 0;  ///< byte of the file
    std::size_t bytes = 0;
};

class GgufMetadata {
  public:
    /// Throws BackendError that names the file when it is none, damaged or shorter than its tensors.
    explicit GgufMetadata(const std::string& path);
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// The value of a key; none where it is absent. Throws BackendError for a value of another kind.
    [[nodiscard]] std::optional<std::string> text(const std::string& key) const;
    [[nodiscard]] std::optional<std::int64_t> integer(const std::string& key) const;
    [[nodiscard]] std::optional<double> number(const std::string& key) const;
    [[nodiscard]] const std::vector<GgufTensor>& tensors() const noexcept { return tensors_; }
    [[nodiscard]] const gguf_context& context() const noexcept { return *context_; }

  private:
    [[noreturn]] void refuse_value(const std::string& key, const char* wanted) const;

    std::string path_;
    GgufContextHandle context_;
    std::vector<GgufTensor> tensors_;
};

}  // namespace dln
