#pragma once
// The file of a hidden state: header, what the gate sees, rows; each part with its checksum. For this kind of machine
// (byte order of its numbers) only.

#include <string>

#include "dln/mop/hidden_states.hpp"

namespace dln::mop {

enum class StateParts { gate_input, all };

/// A state, or why its file cannot be used. Absent: there is no such file, and no fault.
struct StateReading {
    HiddenState state;
    std::string fault;
    bool absent = false;
    [[nodiscard]] bool ok() const noexcept { return fault.empty() && !absent; }
};

/// `key`: what the state depends on, as in write_state.
[[nodiscard]] StateReading read_state(const std::string& path,
                                      const std::string& key,
                                      std::size_t rows,
                                      std::size_t width,
                                      StateParts parts);

/// Replaces the file as a whole. Throws Error (exit 1).
void write_state(const std::string& path, const std::string& key, const HiddenState& state);

/// 32 hexadecimal digits of XXH3.
[[nodiscard]] std::string state_digest(const std::string& key);

}  // namespace dln::mop
