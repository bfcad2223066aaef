// Steps in memory: for programs without a run directory and for tests.

#include <map>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"

#include "store/prune.hpp"
#include "store/step_format.hpp"

namespace dln {
namespace {

class MemoryStore final : public CheckpointStore {
  public:
    void save(const StepHeader& header, const StepDocument& document) override {
        DLN_ASSERT(header.step >= 0, "step {}", header.step);
        check_storable(document);
        StepFile file{header, document};
        file.header.digest = document.digest();
        files_.insert_or_assign(header.step, std::move(file));
    }

    std::optional<LoadedStep> load_newest() override {
        if (files_.empty()) {
            return std::nullopt;
        }
        return LoadedStep{files_.rbegin()->second, {}};
    }

    StepFile load(std::int64_t step) override {
        const auto found = files_.find(step);
        if (found == files_.end()) {
            throw CheckpointError(fmt::format("step {} is not in memory", step));
        }
        return found->second;
    }

    [[nodiscard]] std::vector<std::int64_t> steps() const override {
        std::vector<std::int64_t> present;
        for (const auto& [step, file] : files_) {
            present.push_back(step);
        }
        return present;
    }

    void prune(const KeepRule& rule) override {
        for (const std::int64_t step : steps_to_remove(steps(), rule)) {
            files_.erase(step);
        }
    }

  private:
    std::map<std::int64_t, StepFile> files_;
};

}  // namespace

std::unique_ptr<CheckpointStore> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace dln
