// Step files in a directory: <directory>/000012.h5.

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/durable_write.hpp"

#include "store/hdf5.hpp"
#include "store/prune.hpp"
#include "store/step_format.hpp"

namespace dln {
namespace {

/// The step that a file name stands for: at least six digits and ".h5", no more zeros than that
/// needs.
std::optional<std::int64_t> step_of(const std::string& name) {
    if (!name.ends_with(".h5")) {
        return std::nullopt;
    }
    const char* end = name.data() + name.size() - 3;
    std::int64_t step = 0;
    const auto [stop, error] = std::from_chars(name.data(), end, step);
    if (error != std::errc() || stop != end || step < 0 || name != step_file_name(step)) {
        return std::nullopt;
    }
    return step;
}

class Hdf5Store final : public CheckpointStore {
  public:
    Hdf5Store(std::string directory, std::string job_hash)
        : directory_(std::move(directory)), job_hash_(std::move(job_hash)) {
        remove_stale_temporaries(directory_);
    }

    void save(const StepHeader& header, const StepDocument& document) override {
        DLN_ASSERT(header.step >= 0, "step {}", header.step);
        StepHeader complete = header;
        complete.digest = document.digest();
        const std::string path = path_of(header.step);
        try {
            durable_write(path, encode_step(complete, document));
        } catch (const h5::Failure& failure) {
            throw InternalError(fmt::format("{}: {}", path, failure.what()));
        }
    }

    std::optional<LoadedStep> load_newest() override {
        const std::vector<std::int64_t> present = steps();
        LoadedStep loaded;
        for (auto step = present.rbegin(); step != present.rend(); ++step) {
            try {
                loaded.file = load(*step);
                return loaded;
            } catch (const FormatVersionError&) {
                throw;
            } catch (const CheckpointError& error) {
                loaded.skipped.emplace_back(error.what());
            }
        }
        if (present.empty()) {
            return std::nullopt;
        }
        throw CheckpointError(fmt::format("{}: none of {} step files can be used:\n  {}",
                                          directory_, present.size(),
                                          fmt::join(loaded.skipped, "\n  ")));
    }

    StepFile load(std::int64_t step) override {
        const std::string path = path_of(step);
        StepFile file = read_step_file(path);
        if (file.header.step != step) {
            throw CheckpointError(
                fmt::format("{}: holds step {}, not the step of its name", path, file.header.step));
        }
        if (!job_hash_.empty() && file.header.job_hash != job_hash_) {
            throw UsageError(fmt::format(
                "{}: belongs to another job (its job hash is {}, this job's is {}). Give this job "
                "another run_dir, or remove the old run",
                path, file.header.job_hash, job_hash_));
        }
        return file;
    }

    [[nodiscard]] std::vector<std::int64_t> steps() const override {
        std::vector<std::int64_t> found;
        std::error_code failure;  // no directory: no steps
        for (const auto& entry : std::filesystem::directory_iterator(directory_, failure)) {
            if (const auto step = step_of(entry.path().filename().string())) {
                found.push_back(*step);
            }
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    void prune(const KeepRule& rule) override {
        for (const std::int64_t step : steps_to_remove(steps(), rule)) {
            // What cannot be removed costs space, not correctness.
            static_cast<void>(remove_file(path_of(step)));
        }
    }

  private:
    [[nodiscard]] std::string path_of(std::int64_t step) const {
        return directory_ + "/" + step_file_name(step);
    }

    std::string directory_;
    std::string job_hash_;
};

}  // namespace

std::string step_file_name(std::int64_t step) { return fmt::format("{:06}.h5", step); }

std::unique_ptr<CheckpointStore> make_hdf5_store(const std::string& directory,
                                                 const std::string& job_hash) {
    return std::make_unique<Hdf5Store>(directory, job_hash);
}

StepFile read_step_file(const std::string& path) {
    std::string bytes;
    try {
        bytes = read_whole_file(path);
    } catch (const Error& error) {
        throw CheckpointError(error.what());
    }
    try {
        return decode_step(bytes);
    } catch (const FormatVersionError& error) {
        throw FormatVersionError(fmt::format("{}: {}", path, error.what()));
    } catch (const CheckpointError& error) {
        throw CheckpointError(fmt::format("{}: {}", path, error.what()));
    }
}

}  // namespace dln
