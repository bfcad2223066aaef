#include "dln/llm/model_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/embedded/llama_model.hpp"
#include "llm/embedded/model_cache.hpp"

namespace dln {
namespace fs = std::filesystem;
namespace {

// "a, b": the models of the cache that can be named without a path.
std::string cached_models() {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(model_cache_directory(), ignored)) {
        const fs::path name = entry.path().filename();
        if (name.extension() == ".gguf" && name.stem().extension() != ".f32") {
            names.push_back(printable(name.stem().string(), 80));
        }
    }
    std::ranges::sort(names);
    return names.empty() ? "no model" : fmt::format("{}", fmt::join(names, ", "));
}

// XXH3 of the whole file: two models of one name must never share scores or a converted copy.
std::string file_digest(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                               &std::fclose);
    if (!file) throw BackendError(fmt::format("{}: {}", path, std::strerror(errno)));
    const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                                &XXH3_freeState);
    XXH3_128bits_reset(state.get());
    std::vector<char> buffer(std::size_t{1} << 20);
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
        XXH3_128bits_update(state.get(), buffer.data(), count);
    }
    if (std::ferror(file.get()) != 0) throw BackendError(fmt::format("{}: cannot be read", path));
    const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
    return fmt::format("{:016x}", hash.high64);
}

constexpr const char* kCopyRemedy =
    "Set DLN_CACHE to a folder that is writable and has room for the copy, or use the file "
    "unconverted with \"weights\": \"as_is\" in the backend.";

void convert(const std::string& source, const std::string& destination, WeightType weights) {
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = weights == WeightType::f32 ? LLAMA_FTYPE_ALL_F32 : LLAMA_FTYPE_MOSTLY_F16;
    params.allow_requantize = true;
    params.nthread = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    if (llama_model_quantize(source.c_str(), destination.c_str(), &params) != 0) {
        throw BackendError(fmt::format(
            "{}: cannot be converted to {} (a damaged file, or no room for it). {} --log-level "
            "debug shows llama.cpp's own words.",
            source, destination, kCopyRemedy));
    }
}

}  // namespace

std::string model_cache_directory() {
    const char* cache = std::getenv("DLN_CACHE");
    if (cache != nullptr && *cache != '\0') return (fs::path(cache) / "models").string();
    const char* home = std::getenv("HOME");
    return (fs::path(home != nullptr ? home : "/") / ".cache" / "dln" / "models").string();
}

std::string find_model_file(const std::string& model, const std::string& place) {
    std::error_code ignored;
    if (fs::is_regular_file(model, ignored)) return fs::absolute(model).string();
    const fs::path cached = fs::path(model_cache_directory()) / (model + ".gguf");
    if (fs::is_regular_file(cached, ignored)) return cached.string();
    throw BackendError(fmt::format(
        "model \"{}\" not found: neither a file of that name nor {}. The cache (DLN_CACHE) "
        "holds {}. Run tools/setup, which fetches the quick start's model, or give the "
        "path of a GGUF file in {}/model.",
        model, cached.string(), cached_models(), place));
}

ModelFile prepare_model_file(const std::string& model,
                             WeightType weights,
                             const std::string& place) {
    const std::string source = find_model_file(model, place);
    const std::string digest = file_digest(source);
    const std::string stem = fs::path(source).stem().string();
    if (weights == WeightType::as_is) return {source, fmt::format("{}:{}", stem, digest)};
    const std::string type = weights == WeightType::f32 ? "f32" : "f16";
    const std::string identity = fmt::format("{}:{}:{}", stem, digest, type);
    route_llama_log();
    {
        const LlamaModelHandle original = load_llama_model(source);  // refuses damaged files early
        const llama_ftype have = llama_model_ftype(original.get());
        if (have == (weights == WeightType::f32 ? LLAMA_FTYPE_ALL_F32 : LLAMA_FTYPE_MOSTLY_F16)) {
            return {source, identity};
        }
    }
    const auto is_there = [](const std::string& path) {
        std::error_code ignored;
        return fs::is_regular_file(path, ignored);
    };
    const std::string copy =
        find_or_make({.name = fmt::format("{}-{}.{}.gguf", stem, digest, type),
                      .remedy = kCopyRemedy,
                      .is_usable = is_there,
                      .make = [&](const std::string& path) { convert(source, path, weights); }});
    return {copy, identity};
}

}  // namespace dln
