#include "llm/embedded/gguf_metadata.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/embedded/llama_model.hpp"

namespace dln {
namespace {

std::vector<GgufTensor> read_tensors(const gguf_context& context) {
    std::vector<GgufTensor> tensors;
    for (std::int64_t i = 0; i < gguf_get_n_tensors(&context); ++i) {
        GgufTensor tensor{
            .name = gguf_get_tensor_name(&context, i),
            .type = gguf_get_tensor_type(&context, i),
            .begin = gguf_get_data_offset(&context) + gguf_get_tensor_offset(&context, i),
            .bytes = gguf_get_tensor_size(&context, i)};
        const std::int64_t* sizes = gguf_get_tensor_ne(&context, i);
        int dimensions = GGML_MAX_DIMS;
        while (dimensions > 1 && sizes[dimensions - 1] == 1) --dimensions;
        for (int d = dimensions; d-- > 0;) tensor.shape.push_back(sizes[d]);
        tensors.push_back(std::move(tensor));
    }
    return tensors;
}

}  // namespace

GgufMetadata::GgufMetadata(const std::string& path) : path_(path) {
    route_llama_log();
    context_.reset(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
    if (!context_) throw BackendError(unusable_model(path));
    tensors_ = read_tensors(*context_);
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    for (const GgufTensor& tensor : tensors_) {
        if (tensor.begin > size || tensor.bytes > size - tensor.begin) {
            throw BackendError(fmt::format(
                "{}: cut short: its tensor {} ends at byte {}, the file at {}. Fetch it again, or "
                "remove it and run tools/setup.",
                path, printable(tensor.name, 80), tensor.begin + tensor.bytes, size));
        }
    }
}

void GgufMetadata::refuse_value(const std::string& key, const char* wanted) const {
    throw BackendError(fmt::format("{}: {} is not {}: a damaged file, or none that dln knows.",
                                   path_, key, wanted));
}

std::optional<std::string> GgufMetadata::text(const std::string& key) const {
    const std::int64_t id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0) return std::nullopt;
    if (gguf_get_kv_type(context_.get(), id) != GGUF_TYPE_STRING) refuse_value(key, "a text");
    return gguf_get_val_str(context_.get(), id);
}

std::optional<std::int64_t> GgufMetadata::integer(const std::string& key) const {
    const std::int64_t id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0) return std::nullopt;
    switch (gguf_get_kv_type(context_.get(), id)) {
        case GGUF_TYPE_UINT32:
            return gguf_get_val_u32(context_.get(), id);
        case GGUF_TYPE_INT32:
            return gguf_get_val_i32(context_.get(), id);
        case GGUF_TYPE_INT64:
            return gguf_get_val_i64(context_.get(), id);
        case GGUF_TYPE_UINT64: {
            const std::uint64_t value = gguf_get_val_u64(context_.get(), id);
            if (value <= INT64_MAX) return static_cast<std::int64_t>(value);
            break;
        }
        default:
            break;
    }
    refuse_value(key, "one integer");
}

std::optional<double> GgufMetadata::number(const std::string& key) const {
    const std::int64_t id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0) return std::nullopt;
    switch (gguf_get_kv_type(context_.get(), id)) {
        case GGUF_TYPE_FLOAT32:
            return static_cast<double>(gguf_get_val_f32(context_.get(), id));
        case GGUF_TYPE_FLOAT64:
            return gguf_get_val_f64(context_.get(), id);
        default:
            refuse_value(key, "one real number");
    }
}

}  // namespace dln
