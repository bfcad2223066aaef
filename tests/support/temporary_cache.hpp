#pragma once
// A model cache of its own for a test.

#include <cstdlib>
#include <optional>
#include <string>

#include "support/temporary_directory.hpp"

namespace dln::testing {

class TemporaryCache {
  public:
    TemporaryCache() {
        if (const char* set = std::getenv("DLN_CACHE")) old_ = set;
        ::setenv("DLN_CACHE", directory_.path().c_str(), 1);
    }
    ~TemporaryCache() {
        if (old_) {
            ::setenv("DLN_CACHE", old_->c_str(), 1);
        } else {
            ::unsetenv("DLN_CACHE");
        }
    }
    TemporaryCache(const TemporaryCache&) = delete;
    TemporaryCache& operator=(const TemporaryCache&) = delete;

    [[nodiscard]] const TemporaryDirectory& directory() const { return directory_; }

  private:
    TemporaryDirectory directory_;
    std::optional<std::string> old_;
};

}  // namespace dln::testing
