// What travels between ranks comes out as it went in, whatever bytes it holds.

#include "engine/wire.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dln/engine/payload.hpp"

namespace dln {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> awkward_texts() {
    return {"", std::string("a\0b", 3), "\xff\xfe\x80", "{{x}}\n\"", std::string(1 << 20, '\xe4')};
}

TEST(Wire, OrderForAUnitComesBack) {
    for (const std::string& payload : awkward_texts()) {
        const wire::Order order =
            wire::decode_order(wire::encode_order({.kind = wire::OrderKind::unit,
                                                   .task = (std::size_t{3} << 32) + 5,
                                                   .unit = 0xffffffffffffffffU,
                                                   .first_cell = 7,
                                                   .cells = 9,
                                                   .payload = payload}));
        EXPECT_EQ(order.kind, wire::OrderKind::unit);
        EXPECT_EQ(order.task, (std::size_t{3} << 32) + 5);
        EXPECT_EQ(order.unit, 0xffffffffffffffffU);
        EXPECT_EQ(order.first_cell, 7U);
        EXPECT_EQ(order.cells, 9U);
        EXPECT_TRUE(order.payload == payload);
    }
}

TEST(Wire, OtherOrdersKeepTheirKind) {
    for (const wire::OrderKind kind :
         {wire::OrderKind::sum, wire::OrderKind::stop, wire::OrderKind::counts}) {
        EXPECT_EQ(wire::decode_order(wire::encode_order({.kind = kind, .payload = {}})).kind, kind);
    }
}

TEST(Wire, ResultComesBackWithoutItsCells) {
    UnitResult result;
    result.cells = {1, 2, 3};
    result.texts = awkward_texts();
    result.usage = {1, 1LL << 40, 3, 4, 5, 6, 1LL << 41};
    result.failures = 2;
    result.first_failure = std::string("no\0\xff", 4);
    const auto [id, back] = wire::decode_result(wire::encode_result(77, result));
    EXPECT_EQ(id, 77U);
    EXPECT_TRUE(back.cells.empty());
    EXPECT_TRUE(back.texts == result.texts);
    EXPECT_EQ(back.usage, result.usage);
    EXPECT_EQ(back.failures, 2);
    EXPECT_EQ(back.first_failure, result.first_failure);
}

TEST(Payload, EvaluationComesBack) {
    EvaluateUnit unit{.parameters = {},
                      .measure = Measure::correct,
                      .split = 2,
                      .examples = {5, 0, 1ULL << 40},
                      .step = 12,
                      .want_texts = true};
    for (const std::string& prompt : awkward_texts()) unit.parameters.push_back({prompt, 3});
    unit.parameters.push_back({"P", 0, awkward_texts()});
    const payload::Work work = payload::decode(payload::encode({.content = unit}));
    const auto back = std::get<EvaluateUnit>(work.content);
    EXPECT_EQ(work.model, ModelRole::forward);
    EXPECT_TRUE(back.parameters == unit.parameters);
    EXPECT_EQ(back.measure, Measure::correct);
    EXPECT_EQ(back.split, 2U);
    EXPECT_EQ(back.examples, unit.examples);
    EXPECT_EQ(back.step, 12U);
    EXPECT_TRUE(back.want_texts);
}

TEST(Payload, GenerationComesBackToTheLastBit) {
    GenerateRequest request{.items = {},
                            .max_tokens = 17,
                            .temperature = 0.1,
                            .top_p = 1.0 / 3.0,
                            .stop = {std::string("\0", 1), "\xff"}};
    for (const std::string& text : awkward_texts()) {
        request.items.push_back(
            {{.text = text, .chat = true, .shared_bytes = 3}, 0xfedcba9876543210U});
    }
    const payload::Work work = payload::decode(
        payload::encode({.content = GenerateUnit{.request = request,
                                                 .purpose = TextPurpose::sample,
                                                 .layer = 2,
                                                 .places = {{.example = 7, .index = 3}}},
                         .model = ModelRole::backward}));
    EXPECT_EQ(work.model, ModelRole::backward);
    const auto unit = std::get<GenerateUnit>(work.content);
    EXPECT_EQ(unit.purpose, TextPurpose::sample);
    EXPECT_EQ(unit.layer, 2U);
    ASSERT_EQ(unit.places.size(), 1U);
    EXPECT_EQ(unit.places[0].example, 7U);
    EXPECT_EQ(unit.places[0].index, 3U);
    const GenerateRequest& back = unit.request;
    ASSERT_EQ(back.items.size(), request.items.size());
    for (std::size_t i = 0; i < back.items.size(); ++i) {
        EXPECT_TRUE(back.items[i].context.text == request.items[i].context.text);
        EXPECT_TRUE(back.items[i].context.chat);
        EXPECT_EQ(back.items[i].context.shared_bytes, 3U);
        EXPECT_EQ(back.items[i].seed, 0xfedcba9876543210U);
    }
    EXPECT_EQ(back.max_tokens, 17);
    EXPECT_EQ(back.temperature, 0.1);
    EXPECT_EQ(back.top_p, 1.0 / 3.0);
    EXPECT_EQ(back.stop, request.stop);
}

TEST(Wire, FailureIsToldFromAResult) {
    for (const std::string& text : awkward_texts()) {
        EXPECT_EQ(wire::failure_of(wire::encode_failure(text)), text);
    }
    EXPECT_EQ(wire::failure_of(wire::encode_result(33, {})), std::nullopt);
    EXPECT_EQ(wire::failure_of(wire::encode_wish_to_halt("why")), std::nullopt);
}

TEST(Wire, WishToHaltIsToldFromOtherMessages) {
    EXPECT_EQ(wire::wish_to_halt_of(wire::encode_wish_to_halt("SIGUSR1")), "SIGUSR1");
    EXPECT_EQ(wire::wish_to_halt_of(wire::encode_failure("why")), std::nullopt);
    EXPECT_EQ(wire::wish_to_halt_of(wire::encode_result(33, {})), std::nullopt);
}

}  // namespace
}  // namespace dln
