#include "cli/nearest.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"
#include "dln/text/mustache.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/nearest_examples.hpp"

#include "cli/embed.hpp"
#include "cli/ranks.hpp"

namespace dln {
namespace {

void check_usable(const Job& job, const DistinctTexts& texts, const Embeddings& embeddings) {
    if (embeddings.failures.empty()) return;
    const auto& [first, why] = *embeddings.failures.begin();
    const auto has_vector = [&](std::size_t text) { return !embeddings.failures.contains(text); };
    if (std::ranges::none_of(texts.of_splits.front(), has_vector)) {
        throw BackendError(fmt::format("{}: {}: no training example could be embedded; \"{}\": {}",
                                       job.path, kEmbeddingPointer,
                                       printable(texts.texts[first], 60), printable(why, 300)));
    }
    spdlog::warn(
        "{} of {} texts have no embedding: as inputs they fail, as examples they are not shown. "
        "The first, \"{}\": {}",
        embeddings.failures.size(), texts.texts.size(), printable(texts.texts[first], 60),
        printable(why, 300));
}

std::vector<std::string> rendered_by(const EmbeddingSpec& spec, const DistinctTexts& texts) {
    const Mustache around(spec.text);
    std::vector<std::string> rendered;
    for (const std::string_view text : texts.texts) {
        rendered.push_back(around.render({.texts = {{"input", std::string(text)}}, .lists = {}}));
    }
    return rendered;
}

std::vector<std::int64_t> sum_on_all(Communicator& comm, std::vector<std::int64_t> values) {
    const auto sum = comm.start_sum(std::move(values));
    while (!sum->done()) std::this_thread::sleep_for(std::chrono::microseconds(100));
    values = sum->take();
    std::string bytes(values.size() * sizeof(std::int64_t), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    bytes = comm.broadcast(std::move(bytes));
    values.resize(bytes.size() / sizeof(std::int64_t));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

}  // namespace

FoundExamples find_nearest_examples(Communicator& comm,
                                    const Job& job,
                                    const std::vector<Dataset>& splits,
                                    bool asks_training,
                                    Backend& embedding) {
    FoundExamples found;
    const DistinctTexts texts = distinct_texts(splits, job.scoring.content_free_inputs);
    const std::vector<std::string> rendered = rendered_by(*job.embedding, texts);
    const std::vector<std::string_view> views(rendered.begin(), rendered.end());
    // Those of the training split are embedded alike whatever else a command asks about.
    const std::array parts{texts.training, texts.texts.size() - texts.training};
    const EmbeddedTexts embedded = embed_on_all_ranks(comm, views, parts, embedding);
    found.usage = embedded.usage;
    found.counts = embedded.counts;
    (void)from_root(comm, [&]() -> std::string {
        check_usable(job, texts, embedded.embeddings);
        return {};
    });
    const NearestSearch search(texts, embedded.embeddings, nearest_shown(job), asks_training);
    found.nearest = search.read(sum_on_all(comm, search.share(comm.rank(), comm.size())));
    return found;
}

}  // namespace dln
