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
    const bool has_training = !texts.of_splits.front().empty();
    if (has_training ? std::ranges::none_of(texts.of_splits.front(), has_vector)
                     : embeddings.failures.size() == texts.texts.size()) {
        throw BackendError(fmt::format("{}: {}: no {} could be embedded; \"{}\": {}", job.path,
                                       kEmbeddingPointer,
                                       has_training ? "training example" : "input",
                                       printable(texts.texts[first], 60), printable(why, 300)));
    }
    spdlog::warn("{} of {} texts have no embedding: {}. The first, \"{}\": {}",
                 embeddings.failures.size(), texts.texts.size(),
                 nearest_shown(job) > 0 ? "as inputs they fail, as examples they are not shown"
                                        : "gates go by their bias alone for them",
                 printable(texts.texts[first], 60), printable(why, 300));
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

InputVectors embed_inputs(Communicator& comm,
                          const Job& job,
                          const std::vector<Dataset>& splits,
                          Backend& embedding) {
    InputVectors inputs;
    const std::vector<std::string> none;
    inputs.texts =
        distinct_texts(splits, nearest_shown(job) > 0 ? job.scoring.content_free_inputs : none);
    const DistinctTexts& texts = inputs.texts;
    const std::vector<std::string> rendered = rendered_by(*job.embedding, texts);
    const std::vector<std::string_view> views(rendered.begin(), rendered.end());
    // Those of the training split are embedded alike whatever else a command asks about.
    const std::array parts{texts.training, texts.texts.size() - texts.training};
    EmbeddedTexts embedded = embed_on_all_ranks(comm, views, parts, embedding);
    (void)from_root(comm, [&]() -> std::string {
        check_usable(job, texts, embedded.embeddings);
        return {};
    });
    inputs.embeddings = std::move(embedded.embeddings);
    inputs.usage = embedded.usage;
    inputs.counts = embedded.counts;
    return inputs;
}

NearestExamples find_nearest_examples(Communicator& comm,
                                      const Job& job,
                                      const InputVectors& inputs,
                                      bool asks_training) {
    const NearestSearch search(inputs.texts, inputs.embeddings, nearest_shown(job), asks_training);
    return search.read(sum_on_all(comm, search.share(comm.rank(), comm.size())));
}

}  // namespace dln
