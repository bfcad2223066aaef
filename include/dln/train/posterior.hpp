#pragma once
// The contexts that ask for posterior samples of a latent: q(h | x, y, prompts) of arXiv 2306.12509, section
// 3.2. Pure; rank 0 only.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dln/job/job.hpp"
#include "dln/llm/backend.hpp"
#include "dln/text/mustache.hpp"

namespace dln {

/// An example as a posterior template may show it.
struct PosteriorExample {
    std::string input;   ///< what the latent's layer sees
    std::string target;  ///< y
    std::string output;  ///< the forward pass's latent; empty when it is not known yet
};

/// What a sample is made from.
struct PosteriorInput {
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
    std::uint64_t layer = 0;
    std::uint64_t example = 0;  ///< its index in the split
    PosteriorExample shown;
    std::optional<PosteriorExample> illustration;
    std::string prompt;
    std::string next_prompt;
    std::string classes;  ///< names of the classes, comma separated
};

/// A built-in posterior template by name, if there is one.
[[nodiscard]] std::optional<PosteriorTemplateSpec> built_in_posterior(std::string_view name);

class PosteriorSampler {
  public:
    /// Replaces built-in names by their templates; compiles all.
    explicit PosteriorSampler(const PosteriorSpec& spec);
    [[nodiscard]] const PosteriorSpec& spec() const noexcept { return spec_; }
    /// The request of sample `sample` of an example: templates are cycled over the samples, and the messages
    /// of each over its uses. Samples of one context differ by their seed.
    [[nodiscard]] GenerateItem item(const PosteriorInput& input, std::size_t sample) const;
    /// True when some template shows another example of the batch.
    [[nodiscard]] bool shows_illustration() const noexcept { return shows_illustration_; }

  private:
    struct Template {
        PosteriorTemplateSpec spec;
        Mustache text;
    };
    PosteriorSpec spec_;
    std::vector<Template> templates_;
    bool shows_illustration_ = false;
};

}  // namespace dln
