#pragma once
// Which calls of an exchange are still open, and what each of them was for. Pure.

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace dln::http {

/// One thing that a call asks.
struct Ask {
    enum class Purpose { render, tokenise_context, tokenise_target, tokenise_ending, prompt };
    static constexpr std::size_t kContext = std::numeric_limits<std::size_t>::max();
    Purpose purpose = Purpose::prompt;
    std::size_t item = 0;           ///< of the request; of an ending: its text's place
    std::size_t target = kContext;  ///< kContext: the context alone
    std::size_t place = 0;          ///< the target's token, where one call forces one token
    bool as_text = false;           ///< sent before its tokens are known
    friend auto operator<=>(const Ask&, const Ask&) = default;
};

class CallBook {
  public:
    /// Notes a call that is handed out now.
    void open(std::vector<Ask> asks);
    /// Throws InternalError unless the call is open.
    [[nodiscard]] const std::vector<Ask>& asks(std::size_t index) const;
    void close(std::size_t index);
    /// Closes all calls, and those that may still be opened.
    void close_for_good();
    [[nodiscard]] bool is_closed_for_good() const noexcept { return closed_for_good_; }
    void note_malformed(std::size_t index);
    /// True when a failed call has a list and may have failed for one of its prompts only, so that each is worth
    /// a call of its own: the last reply was malformed, or `status` says as much.
    [[nodiscard]] bool may_split(std::size_t index, int status) const;
    [[nodiscard]] bool none_open() const noexcept { return open_ == 0; }
    /// Calls that render or tokenise.
    [[nodiscard]] bool none_preparing() const noexcept { return preparing_ == 0; }

  private:
    struct Entry {
        std::vector<Ask> asks;
        bool is_open = true;
        bool was_malformed = false;
    };
    [[nodiscard]] const Entry& entry(std::size_t index) const;
    std::vector<Entry> entries_;
    std::size_t open_ = 0;
    std::size_t preparing_ = 0;
    bool closed_for_good_ = false;
};

}  // namespace dln::http
