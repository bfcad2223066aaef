#include "store/hdf5.hpp"

#include <utility>

#include "dln/error.hpp"

namespace dln::h5 {
namespace {

/// Remembers the description of the innermost error.
herr_t take_description(unsigned depth, const H5E_error2_t* error, void* text) {
    if (depth == 0 && error->desc != nullptr) {
        *static_cast<std::string*>(text) = error->desc;
    }
    return 0;
}

[[noreturn]] void throw_failure(const char* call) {
    std::string reason;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_description, &reason);
    throw Failure(reason.empty() ? fmt::format("{} failed", call)
                                 : fmt::format("{} failed: {}", call, reason));
}

/// File access in memory. Files are written for HDF5 1.8 and later: checksummed metadata, compact
/// groups.
Handle memory_access() {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // HDF5 must not print: reasons go into exceptions
    Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "H5Pcreate");
    constexpr std::size_t kGrowth = 1 << 16;
    check(H5Pset_fapl_core(access.get(), kGrowth, false), "H5Pset_fapl_core");
    // Not H5F_LIBVER_V18 as the lower bound: H5Fget_file_image of 1.10.8 clears a flag of the newer
    // superblock without renewing its checksum, and the image cannot be opened.
    check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V18),
          "H5Pset_libver_bounds");
    return access;
}

/// A property list for a new object that does not store when it was made.
Handle timeless(hid_t kind) {
    Handle properties(H5Pcreate(kind), H5Pclose, "H5Pcreate");
    check(H5Pset_obj_track_times(properties.get(), false), "H5Pset_obj_track_times");
    return properties;
}

Handle create_file() {
    const Handle access = memory_access();
    const Handle properties = timeless(H5P_FILE_CREATE);
    return {H5Fcreate("step", H5F_ACC_TRUNC, properties.get(), access.get()), H5Fclose,
            "H5Fcreate"};
}

Handle open_file(std::string_view bytes) {
    const Handle access = memory_access();
    // HDF5 copies the bytes.
    check(H5Pset_file_image(access.get(), const_cast<char*>(bytes.data()), bytes.size()),
          "H5Pset_file_image");
    return {H5Fopen("step", H5F_ACC_RDONLY, access.get()), H5Fclose, "H5Fopen"};
}

void write_attribute(hid_t file, const char* name, hid_t type, const void* value) {
    const Handle space(H5Screate(H5S_SCALAR), H5Sclose, "H5Screate");
    const Handle attribute(H5Acreate2(file, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                           H5Aclose, "H5Acreate2");
    check(H5Awrite(attribute.get(), type, value), "H5Awrite");
}

herr_t collect_dataset(hid_t /*group*/, const char* name, const H5O_info_t* info, void* paths) {
    if (info->type == H5O_TYPE_DATASET) {
        static_cast<std::vector<std::string>*>(paths)->emplace_back(name);
    }
    return 0;
}

}  // namespace

Handle::Handle(hid_t id, Closer closer, const char* call) : id_(id), closer_(closer) {
    if (id < 0) {
        throw_failure(call);
    }
}

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, H5I_INVALID_HID)), closer_(other.closer_) {}

Handle::~Handle() {
    if (id_ >= 0) {
        closer_(id_);
    }
}

void check(herr_t status, const char* call) {
    if (status < 0) {
        throw_failure(call);
    }
}

Writer::Writer() : file_(create_file()) {}

void Writer::set_attribute(const char* name, std::int64_t value) {
    write_attribute(file_.get(), name, H5T_NATIVE_INT64, &value);
}

void Writer::set_attribute(const char* name, const std::string& value) {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "H5Tcopy");
    check(H5Tset_size(type.get(), H5T_VARIABLE), "H5Tset_size");
    check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset");
    const char* text = value.c_str();
    write_attribute(file_.get(), name, type.get(), &text);
}

void Writer::make_groups_above(const std::string& path) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        const std::string group = path.substr(0, slash);
        if (!groups_.contains(group)) {
            const Handle properties = timeless(H5P_GROUP_CREATE);
            groups_.emplace(group, Handle(H5Gcreate2(file_.get(), group.c_str(), H5P_DEFAULT,
                                                     properties.get(), H5P_DEFAULT),
                                          H5Gclose, "H5Gcreate2"));
        }
    }
}

std::string Writer::bytes() {
    groups_.clear();
    check(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "H5Fflush");
    const ssize_t size = H5Fget_file_image(file_.get(), nullptr, 0);
    check(size < 0 ? -1 : 0, "H5Fget_file_image");
    std::string image(static_cast<std::size_t>(size), '\0');
    check(H5Fget_file_image(file_.get(), image.data(), image.size()) < 0 ? -1 : 0,
          "H5Fget_file_image");
    return image;
}

Reader::Reader(std::string_view bytes) : file_(open_file(bytes)) {}

std::int64_t Reader::integer_attribute(const char* name) const {
    const Handle attribute(H5Aopen(file_.get(), name, H5P_DEFAULT), H5Aclose, "H5Aopen");
    std::int64_t value = 0;
    check(H5Aread(attribute.get(), H5T_NATIVE_INT64, &value), "H5Aread");
    return value;
}

std::string Reader::text_attribute(const char* name) const {
    const Handle attribute(H5Aopen(file_.get(), name, H5P_DEFAULT), H5Aclose, "H5Aopen");
    const Handle type(H5Aget_type(attribute.get()), H5Tclose, "H5Aget_type");
    if (H5Tis_variable_str(type.get()) <= 0) {
        throw Failure(fmt::format("attribute {} is no text", name));
    }
    char* text = nullptr;
    check(H5Aread(attribute.get(), type.get(), &text), "H5Aread");
    std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
}

std::vector<std::string> Reader::dataset_paths() const {
    std::vector<std::string> paths;
    check(
        H5Ovisit2(file_.get(), H5_INDEX_NAME, H5_ITER_INC, collect_dataset, &paths, H5O_INFO_BASIC),
        "H5Ovisit2");
    return paths;
}

}  // namespace dln::h5
