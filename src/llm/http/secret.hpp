#pragma once
// An API key that stays where it is: it cannot be printed, formatted, compared or copied by accident, and
// its memory is wiped when it goes. A process that has read one writes no core dumps any more, because the
// key is also in its environment and in the buffers of libcurl and OpenSSL, where nobody wipes it.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace dln::http {

class Secret {
  public:
    Secret() = default;
    /// Pre: every byte of `text` is printable ASCII and none a space, as HTTP headers need it.
    explicit Secret(std::string_view text);
    ~Secret();
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;

    [[nodiscard]] Secret copy() const { return Secret(reveal()); }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    /// The key itself: for what sends it and for what takes it out of texts. Valid while this lives.
    [[nodiscard]] std::string_view reveal() const noexcept { return {bytes_.get(), size_}; }

    /// Reads the key from environment variable `name`; white space around it is dropped. `place` (file
    /// and pointer) begins messages. Throws UsageError when it is unset, empty or no key. Forbids cores.
    [[nodiscard]] static Secret from_environment(const std::string& name, std::string_view place);
    /// The same for the content of a file, which must be the user's own and closed to all others
    /// (mode 0600 or stricter).
    [[nodiscard]] static Secret from_file(const std::string& path, std::string_view place);

  private:
    void wipe() noexcept;
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
};

/// `text` without the key (also where a cut has left its beginning at the end), without the user part of
/// URLs and without the values of their queries.
[[nodiscard]] std::string redact(std::string_view text, const Secret& key);

/// From now on this process leaves no core dump, neither as a file nor in a collector's pipe. Done with
/// RLIMIT_CORE: an undumpable process (PR_SET_DUMPABLE) would lose MPI's copies between processes, and
/// MADV_DONTDUMP cannot reach copies that libraries have made.
void forbid_core_dumps();

}  // namespace dln::http
