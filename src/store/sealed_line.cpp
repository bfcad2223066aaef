#include "store/sealed_line.hpp"

#include <fmt/format.h>
#include <xxhash.h>

namespace dln {
namespace {

constexpr std::string_view kSealField = R"(,"xxh3":")";
constexpr std::string_view kEnd = R"("})";
constexpr std::size_t kSealDigits = 16;
constexpr std::size_t kSealLength = kSealField.size() + kSealDigits + kEnd.size();

}  // namespace

std::string sealed_line(std::string fields) {
    const XXH64_hash_t checksum = XXH3_64bits(fields.data(), fields.size());
    fields += fmt::format("{}{:016x}{}\n", kSealField, checksum, kEnd);
    return fields;
}

bool is_sealed(std::string_view line) {
    if (line.size() < kSealLength) {
        return false;
    }
    const std::string_view fields = line.substr(0, line.size() - kSealLength);
    return line.substr(fields.size()) ==
           fmt::format("{}{:016x}{}", kSealField, XXH3_64bits(fields.data(), fields.size()), kEnd);
}

}  // namespace dln
