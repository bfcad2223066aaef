#include <cstdio>
#include <filesystem>

#include <gtest/gtest.h>

#include "support/embedded_model.hpp"

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    const std::string path = dln::testing::model_path();
    if (!std::filesystem::exists(path)) {
        std::printf("no model: %s (tools/setup fetches it)\n", path.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
