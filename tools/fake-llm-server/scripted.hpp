#pragma once
// Replies and scores from a file, in the format of the program's scripted backend
// (include/dln/llm/scripted.hpp), so that a job can be trained through the server with a known outcome.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fake_llm {

class ScriptedLines {
  public:
    ScriptedLines() = default;
    /// Throws dln::UsageError naming file and line.
    [[nodiscard]] static ScriptedLines read(const std::string& path);

    /// The continuation of `context`: of the first line that fits.
    [[nodiscard]] std::optional<std::string> text(std::string_view context) const;

    /// The server is given context and target as one text, so a line fits when the text ends with its
    /// target and has its match before that.
    struct Tail {
        std::size_t begin;  ///< where the target begins, in bytes
        double log_prob;    ///< of each of its tokens
    };
    [[nodiscard]] std::optional<Tail> scored_tail(std::string_view text) const;

    /// For clients that ask for one token of a target after the other: the log-probability of `piece`
    /// after `text`, when some line's target is reached by it.
    [[nodiscard]] std::optional<double> next_piece(std::string_view text,
                                                   std::string_view piece) const;

  private:
    struct TextLine {
        std::string match;
        std::string text;
    };
    struct ScoreLine {
        std::string match;
        std::string target;
        double log_prob;
    };
    void add_line(const std::string& line, const std::string& place);

    std::vector<TextLine> texts_;
    std::vector<ScoreLine> scores_;
};

}  // namespace fake_llm
