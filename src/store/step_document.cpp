// Typed access to the content of a step file and its digest.

#include <bit>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "dln/digest/sha256.hpp"
#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"

namespace dln {
namespace {

template <class T>
constexpr const char* type_name() {
    if constexpr (std::is_same_v<T, std::int64_t>) {
        return "integers";
    } else if constexpr (std::is_same_v<T, double>) {
        return "reals";
    } else {
        return "texts";
    }
}

template <class T>
const std::vector<T>& values_of(const StepDocument& document, const std::string& path) {
    const Array& array = document.at(path);
    if (const auto* values = std::get_if<std::vector<T>>(&array.values)) {
        return *values;
    }
    const char* actual = std::visit(
        [](const auto& values) {
            return type_name<typename std::decay_t<decltype(values)>::value_type>();
        },
        array.values);
    throw CheckpointError(
        fmt::format("step file: {} holds {}, wanted {}", path, actual, type_name<T>()));
}

template <class T>
const T& scalar_of(const StepDocument& document, const std::string& path) {
    const std::vector<T>& values = values_of<T>(document, path);
    if (!document.at(path).shape.empty() || values.size() != 1) {
        throw CheckpointError(fmt::format("step file: {} is an array, wanted a scalar", path));
    }
    return values.front();
}

void add_number(Sha256& hash, std::uint64_t number) {
    char bytes[8];
    for (unsigned i = 0; i < 8; ++i) {
        bytes[i] = static_cast<char>((number >> (8 * i)) & 0xffU);
    }
    hash.add({bytes, sizeof bytes});
}

void add_text(Sha256& hash, std::string_view text) {
    add_number(hash, text.size());
    hash.add(text);
}

void add_value(Sha256& hash, std::int64_t value) {
    add_number(hash, static_cast<std::uint64_t>(value));
}
void add_value(Sha256& hash, double value) {
    add_number(hash, std::bit_cast<std::uint64_t>(value));
}
void add_value(Sha256& hash, const std::string& value) { add_text(hash, value); }

}  // namespace

const Array& StepDocument::at(const std::string& path) const {
    const auto found = arrays.find(path);
    if (found == arrays.end()) {
        throw CheckpointError(fmt::format("step file: there is no {}", path));
    }
    return found->second;
}

std::int64_t StepDocument::integer(const std::string& path) const {
    return scalar_of<std::int64_t>(*this, path);
}
double StepDocument::real(const std::string& path) const { return scalar_of<double>(*this, path); }
const std::string& StepDocument::text(const std::string& path) const {
    return scalar_of<std::string>(*this, path);
}
const std::vector<std::int64_t>& StepDocument::integers(const std::string& path) const {
    return values_of<std::int64_t>(*this, path);
}
const std::vector<double>& StepDocument::reals(const std::string& path) const {
    return values_of<double>(*this, path);
}
const std::vector<std::string>& StepDocument::texts(const std::string& path) const {
    return values_of<std::string>(*this, path);
}
bool StepDocument::contains(const std::string& path) const { return arrays.contains(path); }

// The serialisation is part of the file format (docs/checkpoint-format.md): DO NOT CHANGE it within
// a format version.
std::string StepDocument::digest() const {
    Sha256 hash;
    for (const auto& [path, array] : arrays) {  // a map: sorted by path, byte by byte
        if (path.starts_with("timing/")) {
            continue;
        }
        add_text(hash, path);
        constexpr std::string_view kTypeTags[] = {"i", "d", "s"};
        hash.add(kTypeTags[array.values.index()]);
        add_number(hash, array.shape.size());
        for (const std::size_t extent : array.shape) {
            add_number(hash, extent);
        }
        std::visit(
            [&hash](const auto& values) {
                for (const auto& value : values) {
                    add_value(hash, value);
                }
            },
            array.values);
    }
    return hash.finish();
}

}  // namespace dln
