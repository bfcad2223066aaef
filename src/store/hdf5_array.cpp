// Arrays as HDF5 datasets. Byte strings have two representations: variable-length UTF-8 strings
// where all texts of the array can be that, so that h5dump shows prompts as text, and
// variable-length uint8 where one of them holds NUL or invalid UTF-8.

#include <algorithm>
#include <limits>
#include <numeric>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "store/hdf5.hpp"

namespace dln::h5 {
namespace {

/// From so many values on a dataset is chunked and each chunk has a checksum.
constexpr std::size_t kChunkValues = 4096;

Handle make_space(const std::vector<std::size_t>& shape) {
    if (shape.empty()) {
        return {H5Screate(H5S_SCALAR), H5Sclose, "H5Screate"};
    }
    const std::vector<hsize_t> extents(shape.begin(), shape.end());
    return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose,
            "H5Screate_simple"};
}

/// Chunks of whole rows of about kChunkValues values.
void set_chunks(hid_t properties, const std::vector<std::size_t>& shape, std::size_t values) {
    std::vector<hsize_t> chunk(shape.begin(), shape.end());
    const std::size_t row = values / shape.front();
    chunk.front() = std::clamp<std::size_t>(kChunkValues / row, 1, shape.front());
    check(H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data()), "H5Pset_chunk");
    check(H5Pset_fletcher32(properties), "H5Pset_fletcher32");
}

Handle make_dataset(
    hid_t file, const std::string& path, const Array& array, hid_t type, std::size_t values) {
    const Handle space = make_space(array.shape);
    const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "H5Pcreate");
    check(H5Pset_obj_track_times(properties.get(), false), "H5Pset_obj_track_times");
    if (values >= kChunkValues && !array.shape.empty()) {
        set_chunks(properties.get(), array.shape, values);
    }
    return {H5Dcreate2(file, path.c_str(), type, space.get(), H5P_DEFAULT, properties.get(),
                       H5P_DEFAULT),
            H5Dclose, "H5Dcreate2"};
}

void write_values(hid_t dataset, hid_t memory_type, const void* values) {
    check(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), "H5Dwrite");
}

Handle text_type() {
    Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "H5Tcopy");
    check(H5Tset_size(type.get(), H5T_VARIABLE), "H5Tset_size");
    check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset");
    return type;
}

Handle bytes_type() { return {H5Tvlen_create(H5T_STD_U8LE), H5Tclose, "H5Tvlen_create"}; }

bool is_plain_text(const std::string& bytes) {
    return bytes.find('\0') == std::string::npos && !find_invalid_utf8(bytes);
}

void write_texts(hid_t file,
                 const std::string& path,
                 const Array& array,
                 const std::vector<std::string>& texts) {
    if (std::all_of(texts.begin(), texts.end(), is_plain_text)) {
        std::vector<const char*> pointers;
        pointers.reserve(texts.size());
        for (const std::string& text : texts) {
            pointers.push_back(text.c_str());
        }
        const Handle type = text_type();
        const Handle dataset = make_dataset(file, path, array, type.get(), texts.size());
        write_values(dataset.get(), type.get(), pointers.data());
        return;
    }
    std::vector<hvl_t> spans;
    spans.reserve(texts.size());
    for (const std::string& text : texts) {
        spans.push_back({text.size(), const_cast<char*>(text.data())});  // only read by HDF5
    }
    const Handle type = bytes_type();
    const Handle dataset = make_dataset(file, path, array, type.get(), texts.size());
    write_values(dataset.get(), type.get(), spans.data());
}

std::vector<std::size_t> shape_of(hid_t space) {
    const int rank = H5Sget_simple_extent_ndims(space);
    check(rank, "H5Sget_simple_extent_ndims");
    std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
    check(H5Sget_simple_extent_dims(space, extents.data(), nullptr), "H5Sget_simple_extent_dims");
    return {extents.begin(), extents.end()};
}

/// Gives back what HDF5 allocated for variable-length values.
template <class T>
class ReadBuffer {
  public:
    ReadBuffer(hid_t dataset, hid_t type, hid_t space, std::size_t count)
        : values_(count), type_(type), space_(space) {
        check(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values_.data()), "H5Dread");
    }
    ~ReadBuffer() {
        if (!values_.empty()) {
            H5Dvlen_reclaim(type_, space_, H5P_DEFAULT, values_.data());
        }
    }
    ReadBuffer(const ReadBuffer&) = delete;
    ReadBuffer& operator=(const ReadBuffer&) = delete;
    [[nodiscard]] const std::vector<T>& values() const noexcept { return values_; }

  private:
    std::vector<T> values_;
    hid_t type_;
    hid_t space_;
};

std::vector<std::string> read_texts(hid_t dataset, hid_t space, std::size_t count) {
    const Handle type = text_type();
    const ReadBuffer<char*> buffer(dataset, type.get(), space, count);
    std::vector<std::string> texts;
    for (const char* text : buffer.values()) {
        texts.emplace_back(text == nullptr ? "" : text);
    }
    return texts;
}

std::vector<std::string> read_byte_strings(hid_t dataset, hid_t space, std::size_t count) {
    const Handle type = bytes_type();
    const ReadBuffer<hvl_t> buffer(dataset, type.get(), space, count);
    std::vector<std::string> texts;
    for (const hvl_t& span : buffer.values()) {
        texts.emplace_back(static_cast<const char*>(span.p), span.len);
    }
    return texts;
}

template <class T>
std::vector<T> read_numbers(hid_t dataset, hid_t memory_type, std::size_t count) {
    std::vector<T> values(count);
    check(H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "H5Dread");
    return values;
}

}  // namespace

void Writer::write(const std::string& path, const Array& array) {
    make_groups_above(path);
    if (const auto* texts = std::get_if<std::vector<std::string>>(&array.values)) {
        write_texts(file_.get(), path, array, *texts);
    } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&array.values)) {
        const Handle dataset =
            make_dataset(file_.get(), path, array, H5T_STD_I64LE, integers->size());
        write_values(dataset.get(), H5T_NATIVE_INT64, integers->data());
    } else {
        const auto& reals = std::get<std::vector<double>>(array.values);
        const Handle dataset = make_dataset(file_.get(), path, array, H5T_IEEE_F64LE, reals.size());
        write_values(dataset.get(), H5T_NATIVE_DOUBLE, reals.data());
    }
}

Array Reader::read(const std::string& path) const {
    const Handle dataset(H5Dopen2(file_.get(), path.c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2");
    const Handle space(H5Dget_space(dataset.get()), H5Sclose, "H5Dget_space");
    const Handle type(H5Dget_type(dataset.get()), H5Tclose, "H5Dget_type");
    Array array;
    array.shape = shape_of(space.get());
    const std::size_t count = std::accumulate(array.shape.begin(), array.shape.end(),
                                              std::size_t{1}, std::multiplies<>());
    const hid_t id = dataset.get();
    if (H5Tequal(type.get(), H5T_STD_I64LE) > 0) {
        array.values = read_numbers<std::int64_t>(id, H5T_NATIVE_INT64, count);
    } else if (H5Tequal(type.get(), H5T_IEEE_F64LE) > 0) {
        array.values = read_numbers<double>(id, H5T_NATIVE_DOUBLE, count);
    } else if (H5Tis_variable_str(type.get()) > 0) {
        array.values = read_texts(id, space.get(), count);
    } else if (H5Tequal(type.get(), bytes_type().get()) > 0) {
        array.values = read_byte_strings(id, space.get(), count);
    } else {
        throw Failure(fmt::format("dataset {} has a type that step files do not use", path));
    }
    return array;
}

}  // namespace dln::h5
