#pragma once
// HDF5 wrapped once: handles that close themselves, calls that throw, and files that live in
// memory. HDF5 never touches the disk here: a full disk or a damaged file cannot leave the library
// in a bad state, and no file locks are taken. Private to src/store; the only file that includes
// hdf5.h.

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <hdf5.h>

#include "dln/store/checkpoint_store.hpp"

namespace dln::h5 {

/// An HDF5 call failed; what() names the call and HDF5's innermost reason.
class Failure : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// An identifier and the call that closes it.
class Handle {
  public:
    using Closer = herr_t (*)(hid_t);
    /// Throws Failure naming `call` when `id` is negative.
    Handle(hid_t id, Closer closer, const char* call);
    ~Handle();
    Handle(Handle&& other) noexcept;
    Handle& operator=(Handle&&) = delete;
    [[nodiscard]] hid_t get() const noexcept { return id_; }

  private:
    hid_t id_;
    Closer closer_;
};

/// Throws Failure naming `call` when `status` is negative.
void check(herr_t status, const char* call);

/// A new file in memory. Nothing in it depends on time, so equal content gives equal bytes.
class Writer {
  public:
    Writer();
    void set_attribute(const char* name, std::int64_t value);
    void set_attribute(const char* name, const std::string& value);
    /// Writes `array` as the dataset `path` and makes the groups above it.
    void write(const std::string& path, const Array& array);
    /// The file's bytes. Call last.
    [[nodiscard]] std::string bytes();

  private:
    void make_groups_above(const std::string& path);

    Handle file_;
    std::map<std::string, Handle> groups_;
};

/// A file in memory, read only.
class Reader {
  public:
    explicit Reader(std::string_view bytes);
    [[nodiscard]] std::int64_t integer_attribute(const char* name) const;
    [[nodiscard]] std::string text_attribute(const char* name) const;
    /// Paths of all datasets, without a leading '/'.
    [[nodiscard]] std::vector<std::string> dataset_paths() const;
    [[nodiscard]] Array read(const std::string& path) const;

  private:
    Handle file_;
};

}  // namespace dln::h5
