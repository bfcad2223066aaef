#pragma once
// A directory with a small base job, and verbs to make sweeps of it.

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/sweep/sweep_directory.hpp"
#include "dln/sweep/trials.hpp"

#include "support/temporary_directory.hpp"

namespace dln {

class SweepFixture : public ::testing::Test {
  protected:
    using Json = nlohmann::ordered_json;

    void SetUp() override {
        testing::write_bytes(directory_ / "train.jsonl", R"({"input": "1", "target": "no"})");
        testing::write_bytes(directory_ / "base.json", kBase);
    }

    /// A sweep with these fields beside job and runs_dir.
    [[nodiscard]] SweepSpec sweep(Json fields) const {
        fields["job"] = "base.json";
        fields["runs_dir"] = "runs";
        return parse_sweep_file(fields.dump(), directory_ / "sweep.json");
    }
    /// The same with `space` alone.
    [[nodiscard]] SweepSpec grid(const Json& space) const { return sweep({{"space", space}}); }
    [[nodiscard]] SweepSpec drawn(const Json& space, const std::string& method, int count) const {
        return sweep({{"space", space}, {"method", method}, {"configurations", count}});
    }

    /// The message of the UsageError that `work` throws, without the directory's name; "" without one.
    template <class Work>
    [[nodiscard]] std::string fault_of(Work work) const {
        try {
            work();
            return "";
        } catch (const UsageError& error) {
            std::string message = error.what();
            const auto prefix = directory_ / "";
            for (auto at = message.find(prefix); at != std::string::npos;
                 at = message.find(prefix)) {
                message.erase(at, prefix.size());
            }
            return message;
        }
    }
    [[nodiscard]] std::string fault(const Json& fields) const {
        return fault_of([&] { static_cast<void>(Trials(sweep(fields))); });
    }

    static constexpr const char* kBase = R"({
        "data": {"train": "train.jsonl", "dev": "train.jsonl"},
        "classes": ["no", "yes"],
        "network": {"layers": [{"prompt": "Even?"}]},
        "backend": {"kind": "scripted"}
    })";
    testing::TemporaryDirectory directory_;
};

/// "a=1 b=x" for a configuration with the pointers /a and /b.
inline std::string short_text(const Configuration& configuration) {
    std::string text;
    for (const Setting& setting : configuration) {
        text += (text.empty() ? "" : " ") + setting.pointer.substr(1) + "=" + setting.value.dump();
    }
    return text;
}

}  // namespace dln
