#pragma once
// A job of the system "mop": a mixture of prompt vectors before the upper blocks of a frozen model (arXiv 2310.02842),
// trained by gradients. Read as jobs of networks are, from a table of fields of its own. Pure data.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "dln/job/job.hpp"
#include "dln/llm/compression.hpp"

namespace dln {

/// Examples that ask for the same skill, and the words around their inputs.
struct MopTaskSpec {
    std::string name;
    DataSpec data;
    TemplateSpec text;  ///< variables: {{input}}
    std::vector<std::string>
        classes;  ///< answers that dln predict chooses from; empty: it generates
};

struct MopModelSpec {
    std::string model = "SmolLM2-135M-Instruct.Q4_1";  ///< as BackendSpec::model
    Compression compression;
    std::size_t calibration_texts = 32;  ///< training texts that Wanda looks at
    std::size_t longest_text = 256;      ///< tokens of a text with its answer
};

enum class GateKind { learned, frozen, uniform };

struct GateSpec {
    GateKind kind = GateKind::learned;
    std::size_t hidden = 64;
    bool pretrain = true;  ///< on the tasks' labels, before the first step
    std::size_t pretrain_steps = 300;
    double pretrain_rate = 1e-3;
};

struct MixtureSpec {
    std::size_t experts = 8;
    std::size_t vectors = 10;  ///< of each expert
    std::size_t injection_block = 10;
    GateSpec gate;
};

struct MopTrainSpec {
    std::int64_t steps = 100;  ///< of the optimiser; rounds of a federation
    std::size_t batch_size = 8;
    std::size_t micro_batch = 4;  ///< texts that one rank takes together
    double prompts_rate = 1e-2;
    double gate_rate = 1e-4;
    double clip = 1.0;  ///< longest gradient of the mean loss; 0: any
    std::int64_t eval_every = 10;
};

enum class ClientSkew { tasks, dirichlet };
enum class Averaging { examples, gate_mass };

struct FederatedSpec {
    std::size_t clients = 8;
    ClientSkew skew = ClientSkew::tasks;
    double alpha = 0.1;  ///< of the Dirichlet distribution
    std::size_t local_steps = 5;
    double participation = 1.0;  ///< share of the clients that are asked in a round
    double drop_out = 0.0;       ///< probability that one of these does not answer
    Averaging averaging = Averaging::examples;
};

struct MopJob {
    std::string path;  ///< where it was read, for messages; not part of its identity
    std::string system = "mop";
    std::string name;
    std::uint64_t seed = 0;
    std::string run_dir;   ///< absolute once resolved
    std::size_t keep = 3;  ///< newest step files that stay (and the best); 0: all
    std::vector<MopTaskSpec> tasks;
    MopModelSpec model;
    MixtureSpec mixture;
    MopTrainSpec train;
    std::optional<FederatedSpec> federated;  ///< none: central
};

/// As their namesakes of job.hpp.
[[nodiscard]] MopJob parse_mop_job(std::string_view text,
                                   const std::string& path,
                                   const std::vector<Override>& overrides = {});
[[nodiscard]] MopJob mop_job_from_json(std::string_view resolved, const std::string& path = "");
[[nodiscard]] nlohmann::ordered_json mop_job_to_json(const MopJob& job);
/// Without what does not change what is trained: name, run_dir, keep, steps, paths, and what names the model.
[[nodiscard]] nlohmann::ordered_json mop_job_identity(const MopJob& job);
/// `data_digests`: of train, dev and test of each task in turn.
[[nodiscard]] std::string mop_job_hash(const MopJob& job,
                                       const std::vector<std::string>& data_digests);

}  // namespace dln
