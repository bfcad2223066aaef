#include "dln/engine/embed_texts.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/llm/embedding.hpp"

#include "engine/cbor.hpp"

namespace dln {
namespace {

using nlohmann::json;

// A text's result: '+' and the bytes of its vector, or '-' and why there is none.
constexpr char kVector = '+';
constexpr char kFailure = '-';

std::string bytes_of_floats(std::span<const float> values) {
    std::string bytes(values.size_bytes(), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

std::vector<float> floats_of(std::string_view bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

}  // namespace

std::vector<Unit> make_embed_units(std::span<const std::size_t> parts, std::size_t block) {
    std::vector<Unit> units;
    std::size_t first = 0;
    for (const std::size_t part : parts) {
        for (const std::size_t end = first + part; first < end;) {
            const std::size_t count = std::min(block, end - first);
            units.push_back({.payload = cbor::encode(json::array({first, count}))});
            first += count;
        }
    }
    return units;
}

Embeddings read_embeddings(const TaskResult& result) {
    Embeddings embeddings;
    std::vector<std::vector<float>> rows;
    for (const std::vector<std::string>& unit : result.texts) {
        for (const std::string& text : unit) {
            const std::string_view content = std::string_view(text).substr(1);
            if (text.front() == kFailure) {
                embeddings.failures.emplace(rows.size(), content);
                rows.emplace_back();
                continue;
            }
            rows.push_back(floats_of(content));
            const std::size_t size = rows.back().size();
            if (embeddings.dimension == 0) embeddings.dimension = size;
            if (size != embeddings.dimension) {
                throw BackendError(fmt::format(
                    "the embedding of text {} has {} numbers, those before it have {}. Expected "
                    "one model behind all endpoints, which gives all texts as many",
                    rows.size(), size, embeddings.dimension));
            }
        }
    }
    for (std::vector<float>& row : rows) {
        row.resize(embeddings.dimension);
        embeddings.values.insert(embeddings.values.end(), row.begin(), row.end());
    }
    return embeddings;
}

std::string serialize(const Embeddings& embeddings) {
    json failures = json::array();
    for (const auto& [text, why] : embeddings.failures) {
        failures.push_back(json::array({text, cbor::bytes_of(why)}));
    }
    return cbor::encode(
        json::array({embeddings.dimension, cbor::bytes_of(bytes_of_floats(embeddings.values)),
                     std::move(failures)}));
}

Embeddings deserialize_embeddings(const std::string& bytes) {
    const json value = json::from_cbor(bytes);
    Embeddings embeddings{
        .dimension = value[0], .values = floats_of(cbor::text_of(value[1])), .failures = {}};
    for (const json& failure : value[2]) {
        embeddings.failures.emplace(failure[0], cbor::text_of(failure[1]));
    }
    return embeddings;
}

void EmbedRunner::start(std::uint64_t id, const std::string& payload) {
    const json range = json::from_cbor(payload);
    const auto texts = texts_.subspan(range[0].get<std::size_t>(), range[1].get<std::size_t>());
    backend_.submit(id, EmbedRequest{.texts = {texts.begin(), texts.end()}});
}

std::vector<UnitRunner::Finished> EmbedRunner::advance(std::chrono::milliseconds wait) {
    std::vector<Finished> finished;
    for (const Completion& completion : backend_.poll(wait)) {
        UnitResult result;
        result.usage = completion.usage;
        for (const Embedding& embedding : std::get<EmbedReply>(completion.reply).embeddings) {
            if (embedding.ok()) {
                result.texts.push_back(kVector + bytes_of_floats(normalised(embedding.values)));
                continue;
            }
            result.texts.push_back(kFailure + embedding.error);
            ++result.failures;
            if (result.first_failure.empty()) result.first_failure = embedding.error;
        }
        finished.push_back({completion.id, std::move(result)});
    }
    return finished;
}

}  // namespace dln
