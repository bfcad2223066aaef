#pragma once
// What the tests of data share: a folder of their own with files in it, and sets as lists.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "dln/data/dataset.hpp"
#include "dln/data/read.hpp"
#include "dln/error.hpp"

namespace dln {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline Pairs pairs_of(const Dataset& examples) {
    Pairs result;
    for (std::size_t i = 0; i < examples.size(); ++i) {
        result.emplace_back(examples[i].input, examples[i].target);
    }
    return result;
}

/// A folder that is there for one test.
class DataFolder : public ::testing::Test {
  protected:
    DataFolder() {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        folder_ =
            std::filesystem::temp_directory_path() / ("dln_" + std::to_string(::getpid()) + "_" +
                                                      test->test_suite_name() + "_" + test->name());
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
    }
    ~DataFolder() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    [[nodiscard]] std::string path(const std::string& name) const {
        return (folder_ / name).string();
    }
    std::string file(const std::string& name, std::string_view content) const {
        std::ofstream(path(name), std::ios::binary) << content;
        return path(name);
    }
    [[nodiscard]] static std::string content(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    /// The spec of a new file with `content`, whose format its name tells.
    [[nodiscard]] SplitSpec spec(const std::string& name, std::string_view content) const {
        return {.path = file(name, content),
                .format = *format_by_extension(name),
                .input_field = "input",
                .target_field = "target",
                .task_field = {},
                .labels = {},
                .limit = 0};
    }
    /// What read_split throws, without the folder.
    [[nodiscard]] std::string refusal(const SplitSpec& split,
                                      const std::vector<std::string>& classes = {}) const {
        try {
            (void)read_split(split, classes);
        } catch (const UsageError& error) {
            std::string message = error.what();
            const auto folder = folder_.string() + "/";
            return message.compare(0, folder.size(), folder) == 0 ? message.substr(folder.size())
                                                                  : message;
        }
        return "nothing was thrown";
    }

    std::filesystem::path folder_;
};

}  // namespace dln
