#include "dln/engine/embed_texts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/engine/engine.hpp"
#include "dln/error.hpp"
#include "dln/llm/embedding.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

/// Two numbers for every text, the first of them its size; three for "three", none for "none".
class OddBackend : public Backend {
  public:
    [[nodiscard]] const BackendInfo& info() const noexcept override { return info_; }
    void submit(std::uint64_t id, Request request) override {
        EmbedReply reply;
        for (const std::string& text : std::get<EmbedRequest>(request).texts) {
            Embedding& embedding = reply.embeddings.emplace_back();
            embedding.values = {static_cast<float>(text.size()), 0.0F};
            if (text == "three") embedding.values.push_back(1.0F);
            if (text == "none") embedding = {.values = {}, .error = "cannot"};
        }
        done_.push_back({.id = id, .reply = std::move(reply), .usage = {.calls = 1}});
    }
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds) override {
        return std::exchange(done_, {});
    }
    [[nodiscard]] std::size_t wanted_requests() const noexcept override { return 2; }
    [[nodiscard]] int count_tokens(const Context&) override { return 0; }

  private:
    BackendInfo info_;
    std::vector<Completion> done_;
};

TaskResult run(std::span<const std::string_view> texts, Backend& backend, std::size_t block) {
    const auto comm = make_local_communicator();
    EmbedRunner runner(texts, backend);
    Engine engine(*comm, runner);
    TaskGraph graph;
    const TaskId task = graph.add({.needs = {}, .expand = [&] {
                                       return make_embed_units(std::vector{texts.size()}, block);
                                   }});
    engine.run(graph);
    return graph.result(task);
}

TEST(EmbedTexts, RowsAreThoseOfTheTextsScaledToLengthOne) {
    const std::vector<std::string_view> texts{"one", "two words", "three", "four", "five"};
    const auto backend = make_ngram_backend(16);
    const Embeddings embeddings = read_embeddings(run(texts, *backend, 2));
    EXPECT_EQ(embeddings.dimension, 16U);
    EXPECT_THAT(embeddings.values, SizeIs(5 * 16));
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::vector<float> expected = normalised(ngram_embedding(texts[i], 16));
        EXPECT_THAT(std::vector<float>(embeddings.row(i).begin(), embeddings.row(i).end()),
                    ::testing::ElementsAreArray(expected));
    }
}

TEST(EmbedTexts, TextThatCannotBeEmbeddedHasZerosAndItsReason) {
    OddBackend backend;
    const std::vector<std::string_view> texts{"none", "a", "none"};
    const TaskResult result = run(texts, backend, 2);
    EXPECT_EQ(result.failures, 2);
    EXPECT_EQ(result.first_failure, "cannot");
    EXPECT_EQ(result.usage.calls, 2);
    const Embeddings embeddings = read_embeddings(result);
    EXPECT_THAT(embeddings.values, ElementsAre(0, 0, 1, 0, 0, 0));
    EXPECT_THAT(embeddings.failures, ElementsAre(Pair(0, "cannot"), Pair(2, "cannot")));
}

TEST(EmbedTexts, OtherNumbersOfNumbersAreAnErrorOfTheBackend) {
    OddBackend backend;
    const std::vector<std::string_view> texts{"a", "three"};
    const TaskResult result = run(texts, backend, 1);
    EXPECT_THAT(
        [&] { (void)read_embeddings(result); },
        ThrowsMessage<BackendError>(HasSubstr("text 2 has 3 numbers, those before it have 2")));
}

TEST(EmbedTexts, PartIsCutWithoutRegardToTheOthers) {
    const auto payloads = [](const std::vector<std::size_t>& parts) {
        std::vector<std::string> of_units;
        for (const Unit& unit : make_embed_units(parts, 4)) of_units.push_back(unit.payload);
        return of_units;
    };
    const std::vector<std::string> alone = payloads({6});
    EXPECT_THAT(alone, SizeIs(2));
    const std::vector<std::string> with_others = payloads({6, 1, 0, 4});
    EXPECT_THAT(with_others, SizeIs(4));
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), with_others.begin()));
}

TEST(EmbedTexts, NothingToEmbedIsNothing) {
    OddBackend backend;
    EXPECT_THAT(read_embeddings(run({}, backend, 4)).values, SizeIs(0));
}

TEST(EmbedTexts, BytesAndBackAreTheSame) {
    const Embeddings given{
        .dimension = 2, .values = {0.25F, -1e-30F, 0, 0}, .failures = {{1, "why \xff"}}};
    const Embeddings back = deserialize_embeddings(serialize(given));
    EXPECT_EQ(back.dimension, given.dimension);
    EXPECT_EQ(back.values, given.values);
    EXPECT_EQ(back.failures, given.failures);
}

}  // namespace
}  // namespace dln
