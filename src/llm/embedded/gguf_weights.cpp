#include "llm/embedded/gguf_weights.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dln/error.hpp"
#include "dln/llm/model_file.hpp"
#include "dln/text/utf8.hpp"

#include "llm/embedded/gguf_metadata.hpp"
#include "llm/embedded/gguf_names.hpp"
#include "llm/embedded/tensor_digest.hpp"

namespace dln {
namespace {

constexpr const char* kRightModel =
    "Give an unchanged model of the Llama family, such as SmolLM2, Llama 2 or TinyLlama";

[[noreturn]] void refuse(const GgufMetadata& file, const std::string& what) {
    throw BackendError(fmt::format("{}: {}. {}.", file.path(), what, kRightModel));
}

// The keys of the shape; each begins with the name of the architecture.
class ShapeReader {
  public:
    explicit ShapeReader(const GgufMetadata& file) : file_(file) {}

    [[nodiscard]] GgufShape read() const {
        const std::string architecture = file_.text("general.architecture").value_or("");
        if (architecture != kArchitecture) {
            refuse(file_,
                   fmt::format("general.architecture is \"{}\", but only \"{}\" can be computed",
                               printable(architecture, 40), kArchitecture));
        }
        refuse_features();
        GgufShape shape;
        shape.blocks = size("block_count");
        shape.width = size("embedding_length");
        shape.inner_width = size("feed_forward_length");
        shape.heads = size("attention.head_count");
        shape.kv_heads = size("attention.head_count_kv", shape.heads);
        shape.head_size = size("attention.key_length", shape.width / shape.heads);
        shape.context_tokens = size("context_length");
        shape.rope_base = static_cast<float>(number("rope.freq_base").value_or(10000.0));
        const std::optional<double> epsilon = number("attention.layer_norm_rms_epsilon");
        if (!epsilon) refuse(file_, key("attention.layer_norm_rms_epsilon") + " is missing");
        shape.norm_epsilon = static_cast<float>(*epsilon);
        check(shape);
        return shape;
    }

  private:
    [[nodiscard]] static std::string key(const std::string& name) {
        return fmt::format("{}.{}", kArchitecture, name);
    }
    [[nodiscard]] std::optional<double> number(const std::string& name) const {
        return file_.number(key(name));
    }
    [[nodiscard]] std::size_t size(const std::string& name,
                                   std::optional<std::size_t> otherwise = std::nullopt) const {
        const std::optional<std::int64_t> value = file_.integer(key(name));
        if (!value && otherwise) return *otherwise;
        if (!value) refuse(file_, key(name) + " is missing");
        constexpr std::int64_t kMost = 1 << 24;
        if (*value < 1 || *value > kMost) {
            refuse(file_, fmt::format("{} is {}, not 1 to {}", key(name), *value, kMost));
        }
        return static_cast<std::size_t>(*value);
    }

    // What llama.cpp would compute otherwise.
    void refuse_features() const {
        const std::string scaling = file_.text(key("rope.scaling.type")).value_or("none");
        if (scaling != "none") {
            refuse(file_, fmt::format("{} is \"{}\": scaled rotation cannot be computed",
                                      key("rope.scaling.type"), printable(scaling, 40)));
        }
        for (const std::string name : {"expert_count", "attention.sliding_window"}) {
            const std::int64_t value = file_.integer(key(name)).value_or(0);
            if (value != 0) {
                refuse(file_, fmt::format("{} is {}, which cannot be computed", key(name), value));
            }
        }
        // Name and the value that changes nothing; 0 stands for "not set" too.
        for (const auto& [name, neutral] :
             std::map<std::string, double>{{"rope.scale_linear", 1.0},
                                           {"rope.scaling.factor", 1.0},
                                           {"attention.scale", 0.0}}) {
            const double value = number(name).value_or(0.0);
            if (value != 0.0 && value != neutral) {
                refuse(file_, fmt::format("{} is {}, which cannot be computed", key(name), value));
            }
        }
    }

    void check(const GgufShape& shape) const {
        const auto differ = [this](const std::string& name, std::size_t value, const char* wanted,
                                   std::size_t right) {
            if (value != right) {
                refuse(file_, fmt::format("{} is {}, which cannot be computed: it must be {}, {}",
                                          key(name), value, wanted, right));
            }
        };
        if (shape.heads % shape.kv_heads != 0 || shape.head_size == 0 || shape.head_size % 2 != 0) {
            refuse(file_, fmt::format("{} heads of {} numbers cannot share {} heads of keys",
                                      shape.heads, shape.head_size, shape.kv_heads));
        }
        differ("attention.value_length", size("attention.value_length", shape.head_size),
               "a head's size", shape.head_size);
        differ("rope.dimension_count", size("rope.dimension_count", shape.head_size),
               "a head's size", shape.head_size);
        if (!(shape.rope_base > 0.0F) || !std::isfinite(shape.rope_base) ||
            !(shape.norm_epsilon >= 0.0F) || !std::isfinite(shape.norm_epsilon)) {
            refuse(file_, fmt::format("rotation base {} or norm epsilon {} is out of range",
                                      shape.rope_base, shape.norm_epsilon));
        }
    }

    const GgufMetadata& file_;
};

// Where each tensor of the model is in a file, and that the file has no others.
class TensorTable {
  public:
    explicit TensorTable(const GgufMetadata& file) : file_(file) {
        for (const GgufTensor& tensor : file.tensors()) by_name_.emplace(tensor.name, &tensor);
    }
    /// Throws unless the tensor is there in this shape.
    [[nodiscard]] const GgufTensor& take(const std::string& name, const TensorSize& size) {
        const auto found = by_name_.find(name);
        if (found == by_name_.end()) refuse(file_, fmt::format("tensor {} is missing", name));
        const GgufTensor& tensor = *found->second;
        std::vector<std::int64_t> wanted{static_cast<std::int64_t>(size.rows),
                                         static_cast<std::int64_t>(size.columns)};
        if (size.rows == 1) wanted.erase(wanted.begin());
        if (tensor.shape != wanted) {
            refuse(file_, fmt::format("tensor {} is [{}], not [{}]", name,
                                      fmt::join(tensor.shape, ", "), fmt::join(wanted, ", ")));
        }
        by_name_.erase(found);
        return tensor;
    }
    [[nodiscard]] bool has(const std::string& name) const { return by_name_.contains(name); }
    /// Rows of the embedding.
    [[nodiscard]] std::size_t vocabulary() const {
        const auto found = by_name_.find(kEmbeddingName);
        if (found == by_name_.end())
            refuse(file_, fmt::format("tensor {} is missing", kEmbeddingName));
        const std::vector<std::int64_t>& size = found->second->shape;
        return size.size() == 2 ? static_cast<std::size_t>(size.front()) : 1;
    }
    /// Throws when a tensor was not taken: it would have to be computed too.
    void finish() const {
        if (by_name_.empty()) return;
        refuse(file_, fmt::format("tensor {} belongs to a feature that cannot be computed",
                                  printable(by_name_.begin()->first, 80)));
    }

  private:
    const GgufMetadata& file_;
    std::map<std::string, const GgufTensor*> by_name_;
};

// Read-only, shared with every process that maps the file.
std::shared_ptr<const void> map_file(const std::string& path, std::size_t& size) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw BackendError(fmt::format("{}: {}", path, std::strerror(errno)));
    const off_t end = ::lseek(descriptor, 0, SEEK_END);
    size = static_cast<std::size_t>(std::max<off_t>(end, 0));
    void* at =
        ::mmap(nullptr, std::max<std::size_t>(size, 1), PROT_READ, MAP_SHARED, descriptor, 0);
    const int error = errno;
    ::close(descriptor);
    if (at == MAP_FAILED) {
        throw BackendError(fmt::format("{}: cannot be mapped: {}", path, std::strerror(error)));
    }
    return {at, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); }};
}

// Without a branch for each number, so that it takes less time than reading the file.
bool all_finite(std::span<const float> values) {
    constexpr std::uint32_t kExponent = 0x7f800000;
    std::uint32_t largest = 0;
    for (const float value : values) {
        largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & kExponent);
    }
    return largest != kExponent;
}

class WeightsReader {
  public:
    explicit WeightsReader(const std::string& path)
        : file_(path), shape_(ShapeReader(file_).read()), table_(file_) {
        shape_.vocabulary = table_.vocabulary();
    }

    /// Throws unless the file has what a model of its shape needs, and no more.
    void check() {
        for_each_tensor([](const std::string&, const GgufTensor&, FloatTensor&) {});
    }
    [[nodiscard]] GgufWeights map() {
        std::size_t size = 0;
        weights_.mapping = map_file(file_.path(), size);
        for_each_tensor([&](const std::string& name, const GgufTensor& tensor, FloatTensor& to) {
            if (tensor.type != GGML_TYPE_F32 || tensor.begin % alignof(float) != 0) {
                refuse(file_, fmt::format("tensor {} is no F32 tensor", name));
            }
            DLN_ASSERT(tensor.begin + tensor.bytes <= size, "{} changed while it was read",
                       file_.path());
            to.values = reinterpret_cast<const float*>(
                static_cast<const std::byte*>(weights_.mapping.get()) + tensor.begin);
            if (!all_finite({to.values, to.rows * to.columns})) {
                throw BackendError(fmt::format(
                    "{}: damaged: tensor {} has numbers that are not finite. Remove the file; "
                    "copies in the cache are made anew.",
                    file_.path(), name));
            }
        });
        check_digest();
        weights_.path = file_.path();
        weights_.shape = shape_;
        return std::move(weights_);
    }

  private:
    // Of files that hold one.
    void check_digest() {
        const std::optional<std::string> wanted = file_.text(kTensorDigestKey);
        if (!wanted) return;
        TensorDigest digest;
        const auto* begin = static_cast<const std::byte*>(weights_.mapping.get());
        for (const GgufTensor& tensor : file_.tensors()) {
            digest.add({reinterpret_cast<const float*>(begin + tensor.begin),
                        tensor.bytes / sizeof(float)});
        }
        if (digest.text() != *wanted) {
            throw BackendError(fmt::format("{}: damaged: its tensors have the digest {}, not {}",
                                           file_.path(), digest.text(), *wanted));
        }
        weights_.identity = *wanted;
    }

    template <typename Use>
    void for_each_tensor(const Use& use) {
        const auto take = [&](const std::string& name, const TensorSize& size, FloatTensor& to) {
            const GgufTensor& tensor = table_.take(name, size);
            to = {.rows = size.rows, .columns = size.columns};
            use(name, tensor, to);
        };
        const TensorSize head{shape_.vocabulary, shape_.width};
        take(kEmbeddingName, head, weights_.embedding);
        weights_.blocks.resize(shape_.blocks);
        for (std::size_t b = 0; b < shape_.blocks; ++b) {
            for (std::size_t t = 0; t < kBlockTensors; ++t) {
                const auto which = static_cast<BlockTensor>(t);
                take(tensor_name(b, which), tensor_size(shape_, which),
                     weights_.blocks[b].tensors[t]);
            }
        }
        take(kOutputNormName, {1, shape_.width}, weights_.output_norm);
        if (table_.has(kOutputName)) take(kOutputName, head, weights_.output.emplace());
        table_.finish();
    }

    GgufMetadata file_;
    GgufShape shape_;
    TensorTable table_;
    GgufWeights weights_;
};

}  // namespace

std::string tensor_name(std::size_t block, BlockTensor which) {
    static constexpr std::array<const char*, kBlockTensors> kNames{
        "attn_norm", "attn_q",   "attn_k", "attn_v",  "attn_output",
        "ffn_norm",  "ffn_gate", "ffn_up", "ffn_down"};
    return fmt::format("blk.{}.{}.weight", block, kNames.at(static_cast<std::size_t>(which)));
}

TensorSize tensor_size(const GgufShape& shape, BlockTensor which) {
    const std::size_t q_width = shape.heads * shape.head_size;
    const std::size_t kv_width = shape.kv_heads * shape.head_size;
    switch (which) {
        case BlockTensor::q:
            return {q_width, shape.width};
        case BlockTensor::k:
        case BlockTensor::v:
            return {kv_width, shape.width};
        case BlockTensor::attention_output:
            return {shape.width, q_width};
        case BlockTensor::ffn_gate:
        case BlockTensor::ffn_up:
            return {shape.inner_width, shape.width};
        case BlockTensor::ffn_down:
            return {shape.width, shape.inner_width};
        case BlockTensor::attention_norm:
        case BlockTensor::ffn_norm:
            break;
    }
    return {1, shape.width};
}

GgufWeights open_gguf_weights(const std::string& model, const std::string& place) {
    // The source first: a copy of a model that cannot be used is not worth making.
    WeightsReader(find_model_file(model, place)).check();
    const ModelFile file = prepare_model_file(model, WeightType::f32, place);
    GgufWeights weights = map_gguf_weights(file.path);
    weights.identity = file.identity;
    return weights;
}

GgufWeights map_gguf_weights(const std::string& path) { return WeightsReader(path).map(); }

}  // namespace dln
