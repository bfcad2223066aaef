#pragma once
// A scripted backend whose replies are written in the test.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "dln/llm/scripted.hpp"

namespace dln::testing {

/// A context that holds `match` is continued with `text`.
inline std::string says(const std::string& match, const std::string& text) {
    return nlohmann::json{{"match", match}, {"text", text}}.dump();
}

/// After a context that holds `match` every token of `target` has this log-probability.
inline std::string scores(const std::string& match, const std::string& target, double log_prob) {
    return nlohmann::json{{"match", match}, {"target", target}, {"log_prob", log_prob}}.dump();
}

/// The first reply that fits decides; where none does, the hash.
inline std::unique_ptr<Backend> scripted(const std::vector<std::string>& replies,
                                         ScriptedOptions options = {}) {
    std::string path = ::testing::TempDir() + "dln-replies-XXXXXX";
    ::close(::mkstemp(path.data()));
    std::ofstream file(path);
    for (const std::string& reply : replies) file << reply << "\n";
    file.close();
    options.replies_path = path;
    std::unique_ptr<Backend> backend = make_scripted_backend(options);
    std::filesystem::remove(path);
    return backend;
}

}  // namespace dln::testing
