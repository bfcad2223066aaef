#pragma once
// What commands of a mixture of prompts share: its job and examples on all ranks, the frozen model, and texts ready to
// train on.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dln/comm/communicator.hpp"
#include "dln/data/dataset.hpp"
#include "dln/job/any_job.hpp"
#include "dln/job/mop_job.hpp"
#include "dln/llm/gguf_weights.hpp"
#include "dln/llm/tokenizer.hpp"
#include "dln/mop/hidden_states.hpp"
#include "dln/mop/llama.hpp"
#include "dln/mop/mixture.hpp"
#include "dln/mop/ranks.hpp"
#include "dln/mop/texts.hpp"
#include "dln/text/mustache.hpp"

#include "cli/session.hpp"

namespace dln {

class MopSession {
  public:
    /// Reads the examples of all tasks on rank 0 and shares them. `job` is the same on all ranks. Collective; throws
    /// SharedError.
    MopSession(Communicator& comm, MopJob job, const SplitsWanted& wanted);

    /// Opens the model, compresses it if the job says so, and prepares all texts. Collective; throws SharedError.
    void start();

    [[nodiscard]] Communicator& comm() noexcept { return comm_; }
    [[nodiscard]] const MopJob& job() const noexcept { return job_; }
    /// Train, dev, test; of the tasks in turn.
    [[nodiscard]] const std::array<Dataset, 3>& examples() const noexcept { return examples_; }
    /// The task of each of them.
    [[nodiscard]] const std::array<std::vector<std::size_t>, 3>& task_of() const noexcept {
        return task_of_;
    }
    /// Identity of the job with its data. Pre: all splits are wanted.
    [[nodiscard]] const std::string& hash() const noexcept { return hash_; }

    // After start().
    [[nodiscard]] const GgufWeights& base() const noexcept { return base_; }
    [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }
    [[nodiscard]] const std::array<mop::MixtureTexts, 3>& texts() const noexcept { return texts_; }
    [[nodiscard]] mop::MixtureModel model() const;
    [[nodiscard]] mop::MixtureShape shape() const;
    /// The context that a task makes of an input.
    [[nodiscard]] Context context(std::size_t task, std::string_view input) const;
    /// Where the ranks work together; `is_stop_asked` and `on_turn` as there.
    [[nodiscard]] mop::MixtureRanks make_ranks(std::function<bool()> is_stop_asked = {},
                                               std::function<void()> on_turn = {});

  private:
    struct Tokenised;
    void share_examples(const SplitsWanted& wanted);
    void open_model();
    void check_fits() const;
    [[nodiscard]] Tokenised tokenise(std::size_t split) const;
    void prepare(std::size_t split, const Tokenised& texts);

    Communicator& comm_;
    MopJob job_;
    std::array<Dataset, 3> examples_;
    std::array<std::vector<std::size_t>, 3> task_of_;
    std::string hash_;
    std::vector<Mustache> templates_;  // by task
    GgufWeights base_;
    mop::LlamaWeights weights_;
    std::unique_ptr<Tokenizer> tokenizer_;
    std::shared_ptr<const mop::HiddenStates> states_;
    std::array<mop::MixtureTexts, 3> texts_;
};

/// Whether the model cannot be opened without the training texts: Wanda measures what goes in with some of them.
[[nodiscard]] bool needs_training_texts(const MopJob& job);

/// The job that rank 0 reads by `read`, on all ranks. Collective; throws SharedError.
[[nodiscard]] AnyJob share_any_job(Communicator& comm, const std::function<AnyJob()>& read);

}  // namespace dln
