#pragma once
// Files that are made once in the model cache.

#include <functional>
#include <string>

namespace dln {

struct CachedFile {
    std::string name;
    std::string remedy;  ///< what to do when the cache cannot hold it, for messages
    /// Whether the file at this path can be used; it may be absent.
    std::function<bool(const std::string& path)> is_usable;
    /// Writes it at this path, which is not its place yet. May throw.
    std::function<void(const std::string& path)> make;
};

/// The path of the file in the model cache, which is usable then. If it is not yet, it is made beside its place and
/// renamed: one process of a node makes it, the others wait. Throws BackendError when the cache cannot be written, and
/// what `make` throws; nothing is left of what was written then.
[[nodiscard]] std::string find_or_make(const CachedFile& file);

}  // namespace dln
