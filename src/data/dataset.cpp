#include "dln/data/dataset.hpp"

#include <fmt/format.h>

#include "dln/digest/sha256.hpp"
#include "dln/error.hpp"

namespace dln {
namespace {

// A serialised set: magic, number of offsets, number of bytes, offsets, bytes; numbers are 64-bit
// little-endian. The digest is that of the serialised set: DO NOT CHANGE, runs hold digests.
constexpr std::string_view kMagic = "DLNDATA1";
constexpr std::size_t kHeaderBytes = 24;

void append_number(std::string& bytes, std::uint64_t number) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        bytes += static_cast<char>(static_cast<unsigned char>(number >> shift));
    }
}

std::uint64_t number_at(std::string_view bytes, std::size_t at) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    }
    return number;
}

std::string header_and_offsets(const std::vector<std::uint64_t>& offsets, std::size_t bytes) {
    std::string result(kMagic);
    result.reserve(kHeaderBytes + 8 * offsets.size());
    append_number(result, offsets.size());
    append_number(result, bytes);
    for (const auto offset : offsets) {
        append_number(result, offset);
    }
    return result;
}

}  // namespace

void Dataset::add(std::string_view input, std::string_view target) {
    bytes_ += input;
    offsets_.push_back(bytes_.size());
    bytes_ += target;
    offsets_.push_back(bytes_.size());
}

Example Dataset::operator[](std::size_t index) const {
    DLN_ASSERT(index < size(), "example {} of {}", index, size());
    const std::string_view bytes = bytes_;
    const auto begin = index == 0 ? 0 : offsets_[2 * index - 1];
    const auto middle = offsets_[2 * index];
    const auto end = offsets_[2 * index + 1];
    return {.input = bytes.substr(begin, middle - begin),
            .target = bytes.substr(middle, end - middle)};
}

std::string Dataset::digest() const {
    Sha256 hash;
    hash.add(header_and_offsets(offsets_, bytes_.size()));
    hash.add(bytes_);
    return hash.finish();
}

std::string Dataset::serialize() const {
    auto result = header_and_offsets(offsets_, bytes_.size());
    result += bytes_;
    return result;
}

Dataset Dataset::deserialize(std::string_view bytes) {
    if (bytes.size() < kHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic) {
        throw UsageError(fmt::format("{} bytes are no serialised data set", bytes.size()));
    }
    const auto offsets = number_at(bytes, 8);
    const auto text = number_at(bytes, 16);
    const auto rest = bytes.size() - kHeaderBytes;
    if (offsets % 2 != 0 || offsets > rest / 8 || text != rest - 8 * offsets) {
        throw UsageError(fmt::format(
            "a damaged serialised data set: {} offsets and {} bytes of text in {} bytes", offsets,
            text, rest));
    }
    Dataset result;
    result.offsets_.reserve(offsets);
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < offsets; ++i) {
        const auto offset = number_at(bytes, kHeaderBytes + 8 * i);
        if (offset < last || offset > text) {
            throw UsageError(fmt::format("a damaged serialised data set: offset {} is {} after {}",
                                         i, offset, last));
        }
        result.offsets_.push_back(last = offset);
    }
    if (last != text) {
        throw UsageError(fmt::format("a damaged serialised data set: the last offset is {}, not {}",
                                     last, text));
    }
    result.bytes_ = bytes.substr(kHeaderBytes + 8 * offsets);
    return result;
}

}  // namespace dln
