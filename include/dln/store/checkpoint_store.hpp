#pragma once
// Immutable files of named arrays, one a step, and the promise that a kill at any instant leaves a
// usable one. MemoryStore and the HDF5 store (src/store/, the only place of hdf5.h) implement it.
// Rank 0 only.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace dln {

/// A dense row-major array of 64-bit integers, doubles or byte strings. An empty shape is a scalar.
struct Array {
    std::vector<std::size_t> shape;
    std::variant<std::vector<std::int64_t>, std::vector<double>, std::vector<std::string>> values;
    friend bool operator==(const Array&, const Array&) = default;

    [[nodiscard]] static Array scalar(std::int64_t value) {
        return {{}, std::vector<std::int64_t>{value}};
    }
    [[nodiscard]] static Array scalar(double value) { return {{}, std::vector<double>{value}}; }
    [[nodiscard]] static Array scalar(std::string value) {
        return {{}, std::vector<std::string>{std::move(value)}};
    }
    template <class T>
    [[nodiscard]] static Array list(std::vector<T> items) {
        return {{items.size()}, std::move(items)};
    }
    template <class T>
    [[nodiscard]] static Array table(std::size_t rows, std::size_t columns, std::vector<T> items) {
        return {{rows, columns}, std::move(items)};
    }
};

/// The content of a step file: path such as "state/layers/0/prompt" -> array. Paths below "timing/"
/// are measurements: kept in the file, left out of its digest and of comparisons between runs.
struct StepDocument {
    std::map<std::string, Array> arrays;

    /// Typed access; throws CheckpointError that names the path when it is absent or of another
    /// type.
    [[nodiscard]] const Array& at(const std::string& path) const;
    [[nodiscard]] std::int64_t integer(const std::string& path) const;
    [[nodiscard]] double real(const std::string& path) const;
    [[nodiscard]] const std::string& text(const std::string& path) const;
    [[nodiscard]] const std::vector<std::int64_t>& integers(const std::string& path) const;
    [[nodiscard]] const std::vector<double>& reals(const std::string& path) const;
    [[nodiscard]] const std::vector<std::string>& texts(const std::string& path) const;
    [[nodiscard]] bool contains(const std::string& path) const;
    /// SHA-256 (hex) over a canonical serialisation of everything outside "timing/".
    [[nodiscard]] std::string digest() const;
};

/// The version of docs/checkpoint-format.md that step files are written in, the only one that is read.
inline constexpr std::int64_t kStepFormatVersion = 3;

/// What a file says of itself before its content (attributes of the root group).
struct StepHeader {
    std::string file_type = "dln-step";
    std::int64_t format_version = kStepFormatVersion;
    std::string program_version;
    std::string job_hash;
    std::int64_t step = 0;
    std::string digest;  ///< filled in by the store
};

struct StepFile {
    StepHeader header;
    StepDocument document;
};

/// A loaded step and what had to be passed over to get it (a message each: file, reason).
struct LoadedStep {
    StepFile file;
    std::vector<std::string> skipped;
};

/// Which step files stay. `newest` = 0 keeps all; `best_step` is kept besides when not negative.
struct KeepRule {
    std::size_t newest = 0;
    std::int64_t best_step = -1;
};

class CheckpointStore {
  public:
    virtual ~CheckpointStore() = default;
    /// Writes a step durably: afterwards a crash of the machine cannot lose it. Throws Error (exit
    /// 1) with path and reason when the disk refuses; the earlier steps are then untouched.
    virtual void save(const StepHeader& header, const StepDocument& document) = 0;
    /// The newest usable step. Damaged or foreign files are passed over and reported in `skipped`;
    /// no file at all is nullopt; files but none usable throws CheckpointError. So does a sound
    /// file of another format version: the run went on with another program, and an older step
    /// would undo that.
    [[nodiscard]] virtual std::optional<LoadedStep> load_newest() = 0;
    /// One step; throws CheckpointError with the reason when it is absent or damaged.
    [[nodiscard]] virtual StepFile load(std::int64_t step) = 0;
    /// Steps present, ascending; nothing is verified.
    [[nodiscard]] virtual std::vector<std::int64_t> steps() const = 0;
    /// Removes what `rule` does not keep. The newest step always stays.
    virtual void prune(const KeepRule& rule) = 0;
};

[[nodiscard]] std::unique_ptr<CheckpointStore> make_memory_store();
/// Files `<directory>/000012.h5`; `job_hash` must match (another hash throws UsageError on load)
/// unless it is empty. The directory must exist when a step is saved. Removes temporary files of
/// dead writers.
[[nodiscard]] std::unique_ptr<CheckpointStore> make_hdf5_store(const std::string& directory,
                                                               const std::string& job_hash);
/// "000012.h5": six digits, more if needed.
[[nodiscard]] std::string step_file_name(std::int64_t step);
/// Reads and verifies one file wherever it lies; for `dln inspect`. Throws CheckpointError.
[[nodiscard]] StepFile read_step_file(const std::string& path);

}  // namespace dln
