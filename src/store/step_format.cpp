#include "store/step_format.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>

#include "dln/digest/sha256.hpp"

#include "store/hdf5.hpp"

namespace dln {
namespace {

constexpr std::string_view kSealFirstLine = "dln sealed HDF5 file (HDF5 begins at byte 512)\n";

/// Why a file whose seal does not fit is not used.
std::string seal_fault(std::string_view bytes) {
    if (bytes.empty()) {
        return "is empty";
    }
    if (bytes.starts_with("\x89HDF\r\n")) {
        return "is an HDF5 file but no step file of dln (it has no seal)";
    }
    if (!bytes.starts_with(kSealFirstLine.substr(0, bytes.size()))) {
        return "is no step file of dln (it does not begin with the seal)";
    }
    std::size_t wanted = 0;
    const std::string_view rest = bytes.substr(std::min(kSealFirstLine.size(), bytes.size()));
    if (std::sscanf(std::string(rest.substr(0, 64)).c_str(), "bytes %zu", &wanted) != 1 ||
        bytes.size() < kSealBytes + wanted) {
        return fmt::format("is cut short: {} bytes of {}", bytes.size(),
                           wanted == 0 ? "at least 512" : std::to_string(kSealBytes + wanted));
    }
    return "is damaged: its content does not have the checksum in its seal";
}

void check_path(const std::string& path) {
    std::size_t begin = 0;
    while (true) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = std::string_view(path).substr(begin, end - begin);
        DLN_ASSERT(!part.empty() && part != "." && part.find('\0') == std::string_view::npos,
                   "array path \"{}\"", path);
        if (end == path.size()) {
            return;
        }
        begin = end + 1;
    }
}

}  // namespace

void check_storable(const StepDocument& document) {
    for (const auto& [path, array] : document.arrays) {
        check_path(path);
        const auto below = document.arrays.lower_bound(path + "/");
        DLN_ASSERT(below == document.arrays.end() || !below->first.starts_with(path + "/"),
                   "array {} lies below the array {}", below->first, path);
        const std::size_t wanted = std::accumulate(array.shape.begin(), array.shape.end(),
                                                   std::size_t{1}, std::multiplies<>());
        const std::size_t count =
            std::visit([](const auto& values) { return values.size(); }, array.values);
        DLN_ASSERT(wanted == count, "array {}: {} values for shape [{}]", path, count,
                   fmt::join(array.shape, ", "));
    }
}

std::string make_seal(std::string_view hdf5) {
    std::string seal =
        fmt::format("{}bytes {}\nsha256 {}\n", kSealFirstLine, hdf5.size(), sha256(hdf5));
    seal.resize(kSealBytes - 1, ' ');
    return seal + '\n';
}

std::string encode_step(const StepHeader& header, const StepDocument& document) {
    check_storable(document);
    h5::Writer writer;
    writer.set_attribute("file_type", header.file_type);
    writer.set_attribute("format_version", header.format_version);
    writer.set_attribute("program_version", header.program_version);
    writer.set_attribute("job_hash", header.job_hash);
    writer.set_attribute("step", header.step);
    writer.set_attribute("digest", header.digest);
    for (const auto& [path, array] : document.arrays) {
        writer.write(path, array);
    }
    const std::string hdf5 = writer.bytes();
    return make_seal(hdf5) + hdf5;
}

StepFile decode_step(std::string_view bytes) try {
    if (bytes.size() < kSealBytes ||
        make_seal(bytes.substr(kSealBytes)) != bytes.substr(0, kSealBytes)) {
        throw CheckpointError(seal_fault(bytes));
    }
    const h5::Reader reader(bytes.substr(kSealBytes));
    StepFile file;
    file.header.file_type = reader.text_attribute("file_type");
    if (file.header.file_type != StepHeader().file_type) {
        throw CheckpointError(fmt::format("has file type \"{}\", wanted \"{}\"",
                                          file.header.file_type, StepHeader().file_type));
    }
    file.header.format_version = reader.integer_attribute("format_version");
    file.header.program_version = reader.text_attribute("program_version");
    if (file.header.format_version != kStepFormatVersion) {
        throw FormatVersionError(fmt::format(
            "has checkpoint format {}, this program reads {}. It was written by dln {}: "
            "continue the run with that version",
            file.header.format_version, kStepFormatVersion, file.header.program_version));
    }
    file.header.job_hash = reader.text_attribute("job_hash");
    file.header.step = reader.integer_attribute("step");
    file.header.digest = reader.text_attribute("digest");
    for (const std::string& path : reader.dataset_paths()) {
        file.document.arrays.emplace(path, reader.read(path));
    }
    const std::string digest = file.document.digest();
    if (digest != file.header.digest) {
        throw CheckpointError(
            fmt::format("is damaged: its content has digest {}, its header says {}", digest,
                        file.header.digest));
    }
    return file;
} catch (const h5::Failure& failure) {
    throw CheckpointError(fmt::format("is damaged: {}", failure.what()));
}

}  // namespace dln
