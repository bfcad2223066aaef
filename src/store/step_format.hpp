#pragma once
// A step file as bytes (docs/checkpoint-format.md): a seal of 512 bytes, then an HDF5 file. Private
// to src/store and its tests.

#include <cstdint>
#include <string>
#include <string_view>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"

namespace dln {

inline constexpr std::size_t kSealBytes = 512;

/// A sound file of a format that this program does not read. Never passed over in favour of an
/// older step: the run was continued by another program version.
class FormatVersionError : public CheckpointError {
  public:
    using CheckpointError::CheckpointError;
};

/// Throws InternalError when a path or a shape of `document` cannot be stored: an empty path or
/// component, a path below another array's, a shape whose product is not the number of values.
void check_storable(const StepDocument& document);

/// `header` is written as it is, digest included.
[[nodiscard]] std::string encode_step(const StepHeader& header, const StepDocument& document);

/// Verifies seal, file type, format version and digest, in this order. Throws CheckpointError with
/// the reason (without the file's name).
[[nodiscard]] StepFile decode_step(std::string_view bytes);

/// The seal of the HDF5 file `hdf5`.
[[nodiscard]] std::string make_seal(std::string_view hdf5);

}  // namespace dln
