#pragma once
// A directory with the files that jobs name, and verbs to read jobs from it.

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dln/error.hpp"
#include "dln/job/job.hpp"

#include "support/temporary_directory.hpp"

namespace dln {

class JobFixture : public ::testing::Test {
  protected:
    /// A valid job to start from; it has dev and test, two classes and one layer.
    static constexpr const char* kValid = R"({
        "data": {"train": "train.jsonl", "dev": "dev.csv"},
        "classes": ["no", {"name": "yes", "verbalizers": ["yes", "true"]}],
        "network": {"layers": [{"prompt": "Even?", "template": "{{prompt}} {{input}}"}]}
    })";

    void SetUp() override {
        write("train.jsonl", R"({"input": "1", "target": "no"})");
        write("dev.csv", "input,target\n2,yes\n");
        write("bbh.json", R"({"examples": []})");
        write("prompt.txt", "From a file.\n");
        write("latin1.txt", "caf\xE9\n");
        write("replies.jsonl", "");
    }

    void write(const std::string& name, const std::string& content) const {
        testing::write_bytes(path(name), content);
    }
    [[nodiscard]] std::string path(const std::string& name) const { return directory_ / name; }

    [[nodiscard]] Job parse(const std::string& text, const std::vector<Override>& set = {}) const {
        return parse_job(text, path("tiny.json"), set);
    }
    [[nodiscard]] Job valid_with(const std::vector<Override>& set) const {
        return parse(kValid, set);
    }
    /// What the user is told about the job, without the directory's name; "" when it is accepted.
    [[nodiscard]] std::string fault(const std::string& text,
                                    const std::vector<Override>& set = {}) const {
        try {
            (void)parse(text, set);
            return "";
        } catch (const UsageError& error) {
            EXPECT_EQ(error.exit_code(), ExitCode::usage);
            std::string message = error.what();
            const auto prefix = directory_ / "";
            for (auto at = message.find(prefix); at != std::string::npos;
                 at = message.find(prefix)) {
                message.erase(at, prefix.size());
            }
            return message;
        }
    }

  private:
    testing::TemporaryDirectory directory_;
};

}  // namespace dln
