#include "dln/mop/hidden_states.hpp"

#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"
#include "dln/store/durable_write.hpp"

#include "mop/hidden_state_file.hpp"

namespace dln::mop {
namespace {

// Enters keys: a change of what is computed needs another number.
constexpr int kMethodVersion = 1;

std::string key_of(const std::string& identity, std::size_t block, const GatedText& text) {
    return fmt::format("{}\n{} blocks, method {}\n{} of {}", identity, block, kMethodVersion,
                       text.gate_tokens, fmt::join(text.tokens, " "));
}

}  // namespace

std::vector<float> gate_input(const nn::Matrix& rows, std::size_t count) {
    std::vector<double> sums(rows.columns);
    for (std::size_t r = 0; r < count; ++r) {
        const std::span<const float> row = rows.row(r);
        for (std::size_t c = 0; c < row.size(); ++c) sums[c] += row[c];
    }
    double squares = 0.0;
    for (const double sum : sums) squares += sum * sum;
    const double size = std::sqrt(squares / static_cast<double>(sums.size()));
    std::vector<float> scaled(sums.size());
    for (std::size_t c = 0; c < sums.size(); ++c) {
        scaled[c] = size > 0.0 ? static_cast<float>(sums[c] / size) : 0.0F;
    }
    return scaled;
}

HiddenState hidden_state(const LlamaWeights& weights, std::size_t block, const GatedText& text) {
    DLN_ASSERT(text.gate_tokens > 0 && text.gate_tokens <= text.tokens.size(),
               "a gate that sees {} of {} tokens", text.gate_tokens, text.tokens.size());
    nn::Tape tape;
    const nn::Variable in = tape.constant(embed(weights, text.tokens));
    HiddenState state;
    state.rows = tape.value(run_blocks(tape, weights, in, {text.tokens.size()}, 0, block));
    state.gate_input = gate_input(state.rows, text.gate_tokens);
    return state;
}

HiddenStates::HiddenStates(const LlamaWeights& weights,
                           std::string identity,
                           std::size_t block,
                           std::string directory)
    : weights_(weights),
      identity_(std::move(identity)),
      block_(block),
      directory_(std::move(directory)) {
    make_directories(directory_);
    remove_stale_temporaries(directory_);
}

std::string HiddenStates::path_of(const GatedText& text) const {
    const std::string name = state_digest(key_of(identity_, block_, text)) + ".state";
    return (std::filesystem::path(directory_) / name).string();
}

HiddenState HiddenStates::make(const GatedText& text) const {
    HiddenState state = hidden_state(weights_, block_, text);
    write_state(path_of(text), key_of(identity_, block_, text), state);
    return state;
}

namespace {

// The damage is told; what there never was is not.
void tell(const std::string& path, const StateReading& reading) {
    if (!reading.absent) {
        spdlog::warn("{}: a cached hidden state that cannot be used, made again: {}", path,
                     reading.fault);
    }
}

}  // namespace

bool HiddenStates::ensure(const GatedText& text) const {
    const std::string path = path_of(text);
    const StateReading reading =
        read_state(path, key_of(identity_, block_, text), text.tokens.size(), weights_.shape.width,
                   StateParts::all);
    if (reading.ok()) return false;
    tell(path, reading);
    (void)make(text);
    return true;
}

std::size_t HiddenStates::ensure_share(const std::vector<GatedText>& texts,
                                       std::size_t rank,
                                       std::size_t ranks) const {
    std::size_t made = 0;
    for (std::size_t i = rank; i < texts.size(); i += ranks) made += ensure(texts[i]) ? 1U : 0U;
    return made;
}

HiddenState HiddenStates::read(const GatedText& text) const {
    const std::string path = path_of(text);
    StateReading reading = read_state(path, key_of(identity_, block_, text), text.tokens.size(),
                                      weights_.shape.width, StateParts::all);
    if (reading.ok()) return std::move(reading.state);
    tell(path, reading);
    return make(text);
}

std::vector<float> HiddenStates::gate_input(const GatedText& text) const {
    StateReading reading =
        read_state(path_of(text), key_of(identity_, block_, text), text.tokens.size(),
                   weights_.shape.width, StateParts::gate_input);
    if (reading.ok()) return std::move(reading.state.gate_input);
    return read(text).gate_input;
}

}  // namespace dln::mop
