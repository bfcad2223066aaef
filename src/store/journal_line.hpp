#pragma once
// One line of a journal as bytes (docs/journal-format.md). Pure: no files. Private to src/store.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dln/store/journal.hpp"

namespace dln {

constexpr int kJournalVersion = 1;
/// Most bytes of a line with a reply of so many: a text takes at most twice its length, base64 less.
[[nodiscard]] constexpr std::size_t longest_line(std::size_t longest_reply) {
    return 2 * longest_reply + 512;
}

[[nodiscard]] JournalKey journal_key(const PaidRequest& request);

/// The whole line with its line feed.
[[nodiscard]] std::string journal_line(const JournalKey& key,
                                       const PaidRequest& request,
                                       std::string_view reply);

/// The format version of a sealed line; nullopt when it has none.
[[nodiscard]] std::optional<int> version_of(std::string_view line);

/// The key of a sealed line of this version; nullopt when it has none.
[[nodiscard]] std::optional<JournalKey> key_of(std::string_view line);

/// The reply of a sealed line of this version; nullopt when the line is none for `key` or its fields
/// contradict each other.
[[nodiscard]] std::optional<std::string> reply_of(std::string_view line, const JournalKey& key);

}  // namespace dln
