#pragma once
// Codecs of fields that name files, and of the few fields with a form of their own.

#include <string>
#include <utility>
#include <vector>

#include "job/codec.hpp"

namespace dln::job {

/// Path of a file that must exist; becomes absolute.
[[nodiscard]] Codec<std::string> input_path();
/// The same, or "".
[[nodiscard]] Codec<std::string> optional_input_path();
/// Path that need not exist; becomes absolute.
[[nodiscard]] Codec<std::string> output_path();
/// A model's name as it is, or a path (it holds "/" or ends in .gguf), which becomes absolute.
[[nodiscard]] Codec<std::string> model_reference();
/// A name that can be a directory's.
[[nodiscard]] Codec<std::string> file_name();
/// A text, or {"file": path}, which becomes the file's text without its last line break.
[[nodiscard]] Codec<std::string> text_or_file();
/// "all" (0) or a number of at least 1.
[[nodiscard]] Codec<std::size_t> all_or_count();
/// {"value in the file": "target", ...}
[[nodiscard]] Codec<std::vector<std::pair<std::string, std::string>>> renamings();

}  // namespace dln::job
