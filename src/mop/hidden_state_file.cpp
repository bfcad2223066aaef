#include "mop/hidden_state_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <xxhash.h>

#include "dln/store/durable_write.hpp"

namespace dln::mop {
namespace {

// DO NOT CHANGE without another number: what older files hold is read by it.
constexpr std::array<char, 8> kMagic{'d', 'l', 'n', 's', 't', 'a', 't', '1'};

struct Header {
    std::array<char, 8> magic = kMagic;
    std::uint64_t key = 0;
    std::uint64_t rows = 0;
    std::uint64_t width = 0;
    std::uint64_t gate_checksum = 0;
    std::uint64_t rows_checksum = 0;
    std::uint64_t checksum = 0;  ///< of what is above
};

std::uint64_t checksum(std::span<const float> values) {
    return XXH3_64bits(values.data(), values.size_bytes());
}

std::uint64_t checksum(const Header& header) {
    return XXH3_64bits(&header, offsetof(Header, checksum));
}

std::string_view bytes_of(std::span<const float> values) {
    return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

// False when the file ends before.
bool read_values(std::ifstream& file, std::vector<float>& values, std::size_t count) {
    values.resize(count);
    file.read(reinterpret_cast<char*>(values.data()),
              static_cast<std::streamsize>(count * sizeof(float)));
    return file.good();
}

std::string fault_of(const Header& header,
                     const std::string& key,
                     std::size_t rows,
                     std::size_t width) {
    if (header.magic != kMagic) return "no file of a hidden state";
    if (header.checksum != checksum(header)) return "its header is damaged";
    if (header.key != XXH3_64bits(key.data(), key.size())) return "it is of another text or model";
    if (header.rows != rows || header.width != width) {
        return fmt::format("it has {} x {} numbers, not {} x {}", header.rows, header.width, rows,
                           width);
    }
    return {};
}

}  // namespace

StateReading read_state(const std::string& path,
                        const std::string& key,
                        std::size_t rows,
                        std::size_t width,
                        StateParts parts) {
    StateReading reading;
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        reading.absent = errno == ENOENT;
        reading.fault = reading.absent ? "" : std::strerror(errno);
        return reading;
    }
    Header header;
    const auto refuse = [&reading](std::string why) {
        reading.fault = std::move(why);
        return reading;
    };
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    if (!file) return refuse("it is cut short");
    if (std::string fault = fault_of(header, key, rows, width); !fault.empty()) {
        return refuse(std::move(fault));
    }
    HiddenState& state = reading.state;
    if (!read_values(file, state.gate_input, width)) return refuse("it is cut short");
    if (checksum(state.gate_input) != header.gate_checksum) return refuse("its sum is damaged");
    if (parts == StateParts::gate_input) return reading;
    state.rows.rows = rows;
    state.rows.columns = width;
    if (!read_values(file, state.rows.values, rows * width)) return refuse("it is cut short");
    if (checksum(state.rows.values) != header.rows_checksum) return refuse("its rows are damaged");
    return reading;
}

void write_state(const std::string& path, const std::string& key, const HiddenState& state) {
    Header header{.key = XXH3_64bits(key.data(), key.size()),
                  .rows = state.rows.rows,
                  .width = state.rows.columns,
                  .gate_checksum = checksum(state.gate_input),
                  .rows_checksum = checksum(state.rows.values)};
    header.checksum = checksum(header);
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes += bytes_of(state.gate_input);
    bytes += bytes_of(state.rows.values);
    durable_write(path, bytes);
}

std::string state_digest(const std::string& key) {
    const XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace dln::mop
