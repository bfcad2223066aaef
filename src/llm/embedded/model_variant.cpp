#include "dln/llm/model_variant.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"

#include "llm/embedded/gguf_metadata.hpp"
#include "llm/embedded/gguf_names.hpp"
#include "llm/embedded/gguf_weights.hpp"
#include "llm/embedded/model_cache.hpp"
#include "llm/embedded/tensor_digest.hpp"

namespace dln {
namespace {

constexpr const char* kRemedy =
    "Set DLN_CACHE to a folder that is writable and has room for the model in F32.";

// Writes an F32 GGUF file: what it says of itself first, then tensors in the order in which they were declared.
class VariantWriter {
  public:
    VariantWriter(const GgufWeights& source, const std::string& path)
        : path_(path), header_(gguf_init_empty()), infos_(make_infos()) {
        const GgufMetadata metadata(source.path);
        gguf_set_kv(header_.get(), &metadata.context());
        gguf_set_val_str(header_.get(), kTensorDigestKey, TensorDigest().text().c_str());
        file_.reset(std::fopen(path.c_str(), "wb"));
        if (!file_) fail();
    }
    void declare(const std::string& name, const TensorSize& size) {
        const auto columns = static_cast<std::int64_t>(size.columns);
        ggml_tensor* info = size.rows == 1
                                ? ggml_new_tensor_1d(infos_.get(), GGML_TYPE_F32, columns)
                                : ggml_new_tensor_2d(infos_.get(), GGML_TYPE_F32, columns,
                                                     static_cast<std::int64_t>(size.rows));
        DLN_ASSERT(info != nullptr, "no room for {}", name);
        ggml_set_name(info, name.c_str());
        gguf_add_tensor(header_.get(), info);
    }
    void write_header() {
        std::vector<char> bytes(gguf_get_meta_size(header_.get()));
        gguf_get_meta_data(header_.get(), bytes.data());
        put(bytes.data(), bytes.size());
    }
    void append(std::span<const float> values) {
        digest_.add(values);
        put(values.data(), values.size_bytes());
        const std::vector<char> padding(GGML_PAD(values.size_bytes(), alignment()) -
                                        values.size_bytes());
        put(padding.data(), padding.size());
    }
    void finish() {
        gguf_set_val_str(header_.get(), kTensorDigestKey, digest_.text().c_str());
        if (std::fseek(file_.get(), 0, SEEK_SET) != 0) fail();
        write_header();
        if (std::fclose(file_.release()) != 0) fail();
    }

  private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    struct FreeInfos {
        void operator()(ggml_context* infos) const { ggml_free(infos); }
    };
    static ggml_context* make_infos() {
        constexpr std::size_t kMostTensors = 1 << 14;
        return ggml_init({.mem_size = kMostTensors * ggml_tensor_overhead(),
                          .mem_buffer = nullptr,
                          .no_alloc = true});
    }
    [[nodiscard]] std::size_t alignment() const { return gguf_get_alignment(header_.get()); }
    void put(const void* bytes, std::size_t count) {
        if (count > 0 && std::fwrite(bytes, 1, count, file_.get()) != count) fail();
    }
    [[noreturn]] void fail() const {
        throw BackendError(
            fmt::format("{}: cannot be written: {}. {}", path_, std::strerror(errno), kRemedy));
    }

    std::string path_;
    GgufContextHandle header_;
    std::unique_ptr<ggml_context, FreeInfos> infos_;
    std::unique_ptr<std::FILE, Close> file_;
    TensorDigest digest_;
};

std::span<const float> values_of(const FloatTensor& tensor) {
    return {tensor.values, tensor.rows * tensor.columns};
}

// The block's tensors, changed; that norms and shapes stay is checked.
BlockValues changed(const GgufBlock& block, std::size_t index, const ChangeBlock& change) {
    BlockValues values;
    for (std::size_t t = 0; t < kBlockTensors; ++t) {
        const std::span<const float> old = values_of(block.tensors[t]);
        values[t].assign(old.begin(), old.end());
    }
    change(index, values);
    for (std::size_t t = 0; t < kBlockTensors; ++t) {
        DLN_ASSERT(values[t].size() == values_of(block.tensors[t]).size(),
                   "tensor {} of block {} has now {} numbers", t, index, values[t].size());
    }
    return values;
}

void write_variant(const GgufWeights& source, const ChangeBlock& change, const std::string& path) {
    VariantWriter writer(source, path);
    const TensorSize head{source.shape.vocabulary, source.shape.width};
    writer.declare(kEmbeddingName, head);
    writer.declare(kOutputNormName, {1, source.shape.width});
    if (source.output) writer.declare(kOutputName, head);
    for (std::size_t b = 0; b < source.blocks.size(); ++b) {
        for (std::size_t t = 0; t < kBlockTensors; ++t) {
            const auto which = static_cast<BlockTensor>(t);
            writer.declare(tensor_name(b, which), tensor_size(source.shape, which));
        }
    }
    writer.write_header();
    writer.append(values_of(source.embedding));
    writer.append(values_of(source.output_norm));
    if (source.output) writer.append(values_of(*source.output));
    for (std::size_t b = 0; b < source.blocks.size(); ++b) {
        for (const std::vector<float>& values : changed(source.blocks[b], b, change)) {
            writer.append(values);
        }
    }
    writer.finish();
}

}  // namespace

GgufWeights open_variant(const GgufWeights& source,
                         const std::string& name,
                         const std::string& depends_on,
                         const ChangeBlock& change) {
    const std::string key = text_digest(source.identity + '\n' + depends_on);
    std::string stem = std::filesystem::path(source.path).stem().string();
    if (stem.ends_with(".f32")) stem.resize(stem.size() - 4);
    GgufWeights weights;
    // Of what lies there and is not usable; said by whoever makes it anew.
    std::string damage;
    const auto map = [&](const std::string& path) {
        std::error_code ignored;
        if (!std::filesystem::exists(path, ignored)) return false;
        try {
            weights = map_gguf_weights(path);
        } catch (const BackendError& error) {
            damage = error.what();
            return false;
        }
        return true;
    };
    const std::string path =
        find_or_make({.name = fmt::format("{}.{}-{}.f32.gguf", stem, name, key),
                      .remedy = kRemedy,
                      .is_usable = map,
                      .make = [&](const std::string& to) {
                          if (!damage.empty()) spdlog::warn("made again: {}", damage);
                          write_variant(source, change, to);
                      }});
    if (weights.path.empty()) weights = map_gguf_weights(path);
    weights.identity = fmt::format("{}:{}:{}", source.identity, name, weights.identity);
    return weights;
}

void round_through(StorageType type, std::size_t columns, std::span<float> values) {
    if (type == StorageType::f32) return;
    const ggml_type as = type == StorageType::q4_1 ? GGML_TYPE_Q4_1 : GGML_TYPE_Q8_0;
    const auto block = static_cast<std::size_t>(ggml_blck_size(as));
    if (columns == 0 || columns % block != 0) {
        throw BackendError(fmt::format(
            "rows of {} numbers cannot be stored as {}, which takes {} at a time: choose \"f32\"",
            columns, ggml_type_name(as), block));
    }
    const std::size_t rows = values.size() / columns;
    std::vector<std::byte> stored(rows * ggml_row_size(as, static_cast<std::int64_t>(columns)));
    ggml_quantize_chunk(as, values.data(), stored.data(), 0, static_cast<std::int64_t>(rows),
                        static_cast<std::int64_t>(columns), nullptr);
    ggml_get_type_traits(as)->to_float(stored.data(), values.data(),
                                       static_cast<std::int64_t>(values.size()));
}

}  // namespace dln
