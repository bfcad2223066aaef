#pragma once
// A job: all that a training run is told, with every default written out. Read from JSON with comments by
// read_job (rank 0), broadcast as resolved JSON, rebuilt on every rank by job_from_json. Pure data.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "dln/data/split_spec.hpp"
#include "dln/job/mixture_layer_spec.hpp"

namespace dln {

// ---- data --------------------------------------------------------------------------------------

struct DataSpec {
    SplitSpec train;
    std::optional<SplitSpec> dev;   ///< absent: best prompts are those of the last step
    std::optional<SplitSpec> test;  ///< read for the final evaluation only
};

/// A class of a class-constrained last layer. Verbalizers are the texts that stand for it.
struct ClassSpec {
    std::string name;  ///< what examples have as target
    std::vector<std::string> verbalizers;
};

// ---- network -----------------------------------------------------------------------------------

/// A word that templates show as {{word.<name>}}, and that training may choose.
struct WordSpec {
    std::string name;
    std::vector<std::string> alternatives;  ///< at least one; the first is there to begin with
};

/// The name of the template variable that shows it.
[[nodiscard]] inline std::string word_variable(const WordSpec& word) { return "word." + word.name; }

/// The words around prompt and input. Variables: {{prompt}}, {{input}}, {{examples}}, {{word.<name>}}.
struct TemplateSpec {
    std::string name;
    std::string text;
    bool chat = false;  ///< send as one user message of the model's chat template
    std::optional<std::string> separator;  ///< before the target; default: scoring's, "" with chat
};

/// Which training examples a layer shows.
enum class FewShotChoice {
    random,    ///< any
    balanced,  ///< the classes in equal shares
    nearest,   ///< for each input those whose embeddings are nearest to its own (KATE)
};

struct LayerSpec {
    std::vector<std::string> prompts;  ///< initial prompts; the first is the incumbent
    std::vector<TemplateSpec> templates;
    std::vector<WordSpec> words;  ///< of the templates, each used by one at least
    bool train = true;
    std::size_t few_shot = 0;  ///< training examples shown in {{examples}} or before the template
    FewShotChoice few_shot_choice = FewShotChoice::random;
    int max_tokens = 64;  ///< of a generated output
    double temperature = 0.0;
    std::vector<std::string> stop;
    /// What the next layer sees: {{input}} and {{output}}; absent: the output alone.
    std::optional<std::string> residual;
    MixtureLayerSpec mixture;
};

/// The first alternative of each word.
[[nodiscard]] std::vector<std::string> initial_words(const LayerSpec& layer);

/// True for a layer of several experts.
[[nodiscard]] inline bool is_mixture(const LayerSpec& layer) { return layer.mixture.experts > 1; }

struct NetworkSpec {
    std::vector<LayerSpec> layers;  ///< at least one
    bool strip_options = false;     ///< hidden layers do not see a trailing "Options:" block
};

// ---- scoring -----------------------------------------------------------------------------------

enum class Objective {
    class_log_prob,  ///< log p(class of y) normalised over the classes
    log_prob,        ///< log p(y) by length_normalise
    accuracy,        ///< generate or classify, then compare by metric
};
enum class LengthNormalise { mean, sum, bytes };
enum class VerbalizerCombine { sum, max };
enum class Metric { exact_match, number };
/// Which class prior is taken off the last layer's class log-probabilities.
enum class Calibration {
    none,
    content_free,  ///< the classes' mean probability on inputs that say nothing
    batch,         ///< their mean probability on the inputs that are scored together
};

struct ScoringSpec {
    Objective objective = Objective::class_log_prob;
    std::string separator = "\n";
    LengthNormalise length_normalise = LengthNormalise::mean;
    double burn_in = 0.05;  ///< share of a target's first tokens that is not scored, [0, 1)
    VerbalizerCombine verbalizers = VerbalizerCombine::sum;
    bool leading_space = true;  ///< score each verbalizer also with a space before it
    Metric metric = Metric::exact_match;
    bool ignore_case = false;
    Calibration calibration = Calibration::none;
    std::vector<std::string> content_free_inputs = {"N/A", "[MASK]", ""};
    double min_scored = 1.0;  ///< share of examples that must have a score for a candidate to win
    std::size_t block = 16;   ///< examples a unit
};

// ---- training ----------------------------------------------------------------------------------

/// How proposals are asked for. Variables: {{message}}, {{prompt}}, {{#successes}}, {{#errors}},
/// {{#examples}} (each with {{input}}, {{target}}, {{output}}), {{#history}} (with {{prompt}}, {{score}}),
/// {{classes}}, {{feedback}}, {{count}}.
struct ProposalTemplateSpec {
    std::string name;  ///< a built-in name when `text` is empty
    std::string text;
    std::vector<std::string> messages;  ///< alternatives for {{message}}, cycled over the steps
    bool chat = true;
    double share = 1.0;               ///< of a step's proposals, by weight
    std::size_t prompts_a_reply = 1;  ///< a list of so many is asked for
};

/// Names of the templates that a job may use without writing them out; those in "_few_shot" are plain
/// completions that show how it is done, for models that follow a pattern better than a request.
inline constexpr std::array<std::string_view, 12> kBuiltInProposals{
    "errors",     "errors_few_shot",
    "induction",  "induction_few_shot",
    "paraphrase", "paraphrase_few_shot",
    "history",    "history_few_shot",
    "feedback",   "list",
    "new_words",  "new_words_few_shot"};

/// Names that stand in the same list and ask no model: phrases of the prompts that are known, put together
/// otherwise; an instruction with examples of the batch behind it; other words around a known prompt.
inline constexpr std::string_view kWordsProposal = "words";
inline constexpr std::array<std::string_view, 4> kLocalProposals{"edit", "crossover",
                                                                 "demonstrations", kWordsProposal};

[[nodiscard]] inline bool asks_no_model(const ProposalTemplateSpec& spec) {
    for (const std::string_view name : kLocalProposals) {
        if (spec.text.empty() && spec.name == name) return true;
    }
    return false;
}

/// True for proposals that are other words around a known prompt.
[[nodiscard]] inline bool changes_words(const ProposalTemplateSpec& spec) {
    const bool asks_model = spec.name == "new_words" || spec.name == "new_words_few_shot";
    return spec.text.empty() && (asks_model || spec.name == kWordsProposal);
}

struct ProposalSpec {
    std::vector<ProposalTemplateSpec> templates;  ///< share the proposals of a step
    std::string feedback;  ///< the user's own words on what prompts should do; empty: none
    double temperature = 0.7;
    double top_p = 1.0;
    int max_tokens = 48;             ///< of one prompt
    std::vector<std::string> stop;   ///< a reply ends before the first of these
    std::size_t examples = 6;        ///< most examples shown of each kind
    std::size_t history = 20;        ///< most scored prompts shown in {{#history}}
    std::size_t demonstrations = 2;  ///< examples that a prompt of `demonstrations` ends with
    std::size_t block = 6;           ///< generations decoded together: one unit
};

/// How posterior samples of the latents are asked for: the paper's q(h | x, y, prompts). Variables:
/// {{message}}, {{prompt}} (of the latent's layer), {{next_prompt}}, {{input}}, {{target}}, {{output}} (what
/// the forward pass said), {{classes}}, and {{#illustration}}, another example of the batch, with {{input}},
/// {{target}} and {{output}}.
struct PosteriorTemplateSpec {
    std::string name;  ///< a built-in name when `text` is empty
    std::string text;
    std::vector<std::string> messages;  ///< alternatives for {{message}}, cycled over the samples
    bool chat = true;
};

inline constexpr std::array<std::string_view, 2> kBuiltInPosteriors{"target", "target_few_shot"};

/// Latents of a network of several layers: how they are sampled, and how samples are weighted (docs/design.md,
/// "Training several layers").
struct PosteriorSpec {
    std::size_t samples = 5;                       ///< an example; the paper's K
    std::vector<PosteriorTemplateSpec> templates;  ///< cycled over the samples
    double temperature = 1.0;
    double top_p = 1.0;
    std::size_t block = 8;           ///< samples drawn together: one unit
    bool rewrite_loss_only = false;  ///< right examples keep the forward pass's latents
    bool speculate = false;  ///< sample beside the forward pass, whether or not it will be needed
    // weights
    bool prior = true;  ///< without effect where only right answers count
    bool mutual_information = false;
    bool log_q = false;
    double weight_temperature = 1.0;
    bool argmax = false;
};

/// How candidates are compared.
enum class SelectMode {
    exact,   ///< each on all ranked examples
    racing,  ///< those that surely lose are not scored further
};

struct TrainSpec {
    std::int64_t steps = 10;
    std::size_t batch_size = 20;
    bool class_balanced = true;   ///< batches balanced by target (class jobs)
    std::size_t candidates = 10;  ///< the incumbent and candidates-1 proposals
    ProposalSpec proposals;
    SelectMode select = SelectMode::exact;
    std::size_t racing_block = 4;  ///< examples between two decisions of a race
    double racing_risk =
        0.05;  ///< of dropping a candidate that is as good as the leader, a decision
    PosteriorSpec posterior;
    double trust_factor = 0.0;  ///< weight of the last layer's KL from the incumbent
    double logp_penalty = 0.0;  ///< weight of hidden layers' log p of latents that led to errors
    bool logp_penalty_decay = false;  ///< it falls linearly to 0 over the steps
    bool nce = false;              ///< hidden layers: each sample against the others of its example
    std::size_t hidden_steps = 1;  ///< rounds of propose and select in a step, hidden layers
    bool held_out_ranking = false;  ///< propose from one half of the batch, rank on the other
    std::size_t memory = 0;         ///< prompts best on dev that are candidates in every step
    std::size_t tolerance = 0;      ///< dev evaluations without a gain before going back; 0: never
    std::int64_t eval_every = 1;
    std::size_t eval_candidates = 1;  ///< best candidates of a step that are evaluated on dev
    bool eval_initial = true;         ///< evaluate on dev before step 0
    double tie_margin =
        0.0;  ///< a candidate must beat the incumbent by more than this and the noise floor
};

// ---- backend -----------------------------------------------------------------------------------

enum class BackendKind { scripted, embedded, http };

/// A server, see HttpEndpoint in dln/llm/http.hpp.
struct EndpointSpec {
    std::string address;
    std::string unix_socket;
    std::string key_env;  ///< the name of a variable, never the key
    std::string key_file;
    bool allow_insecure_key = false;
    std::string ca_file;
    std::size_t in_flight = 16;
    std::int64_t requests_per_minute = 0;
    std::int64_t tokens_per_minute = 0;
    friend bool operator==(const EndpointSpec&, const EndpointSpec&) = default;
};

struct BackendSpec {
    BackendKind kind = BackendKind::embedded;
    // embedded
    std::string model =
        "SmolLM2-135M-Instruct.Q4_1";  ///< a name in the model cache or a path to a GGUF
    std::string weights = "f32";       ///< f32 | f16 | as_is
    std::string kv_cache = "f32";      ///< f32 | f16
    int context_tokens = 2048;         ///< of one context with its target
    int threads = 1;
    // http
    std::string dialect = "openai";
    std::vector<EndpointSpec> endpoints;
    std::string served_model;  ///< name on the server; empty: the only one that it has
    std::size_t prompts_a_call = 8;
    std::string begin_text;
    double deadline_seconds = 120;
    double patience_seconds = 600;
    int tries = 10;
    double hedge_after_medians = 0;
    double price_input = 0;   ///< money for a million prompt tokens, in whatever currency
    double price_output = 0;  ///< money for a million generated tokens
    // scripted
    std::string replies;  ///< JSON lines file of replies; empty: replies by hash
    friend bool operator==(const BackendSpec&, const BackendSpec&) = default;
};

// ---- embedding ---------------------------------------------------------------------------------

enum class EmbeddingKind { ngrams, embedded, http };

/// What makes vectors of texts. Fields are named as in BackendSpec.
struct EmbeddingSpec {
    EmbeddingKind kind = EmbeddingKind::ngrams;
    std::string text = "{{input}}";  ///< the words around an input; what is embedded
    // ngrams
    std::size_t dimension = 1024;
    // embedded
    std::string model = "SmolLM2-135M-Instruct.Q4_1";
    std::string weights = "f32";
    int context_tokens = 512;  ///< of one text
    int threads = 1;
    // http
    std::vector<EndpointSpec> endpoints;
    std::string served_model;
    std::size_t prompts_a_call = 32;
    double deadline_seconds = 120;
    double patience_seconds = 600;
    int tries = 10;
    friend bool operator==(const EmbeddingSpec&, const EmbeddingSpec&) = default;
};

// ---- budget ------------------------------------------------------------------------------------

/// What a run may use in all, over all its processes and ranks; 0: no limit.
struct BudgetSpec {
    std::int64_t requests = 0;  ///< Usage::requests
    std::int64_t tokens = 0;    ///< prompt and generated tokens
    double money = 0;           ///< at the backends' prices
    double hours = 0;           ///< of wall time
};

// ---- the whole ---------------------------------------------------------------------------------

struct Job {
    std::string path;  ///< where it was read, for messages; not part of its identity
    std::string system = "dln";
    std::string name;
    std::uint64_t seed = 0;
    std::string run_dir;   ///< absolute once resolved
    std::size_t keep = 0;  ///< newest step files that stay (and the best); 0: all
    DataSpec data;
    std::vector<ClassSpec> classes;  ///< empty: the last layer generates
    NetworkSpec network;
    ScoringSpec scoring;
    TrainSpec train;
    BackendSpec
        backend;  ///< of the forward model, and of the backward model where it has none of its own
    /// Of the backward model, which writes proposals and posterior samples; never equal to `backend`.
    std::optional<BackendSpec> backward_backend;
    /// Present in every job whose examples are chosen by it, and in every job with a mixture layer.
    std::optional<EmbeddingSpec> embedding;
    BudgetSpec budget;
};

/// Where models are described in a job, for messages.
inline constexpr const char* kBackendPointer = "/backend";
inline constexpr const char* kBackwardPointer = "/backward_backend";
inline constexpr const char* kEmbeddingPointer = "/embedding";

/// A backend that asks the backward model, and where the job says so.
[[nodiscard]] const BackendSpec& backward_spec(const Job& job);
[[nodiscard]] const char* backward_pointer(const Job& job);

/// How many training examples the last layer shows with each input, by its embedding; 0: none, or the same with
/// every input.
[[nodiscard]] std::size_t nearest_shown(const Job& job);
/// True when some layer has several experts.
[[nodiscard]] bool has_mixtures(const Job& job);
/// True when a command that asks the network embeds its inputs first.
[[nodiscard]] bool embeds_inputs(const Job& job);
/// The embedding as a backend is described, for whoever makes one. Pre: it is no matter of n-grams.
[[nodiscard]] BackendSpec backend_of(const EmbeddingSpec& spec);

/// True when one of the two models is behind a server: its replies are paid for, and kept in a journal.
[[nodiscard]] bool uses_servers(const Job& job);
/// True when a server is asked for embeddings.
[[nodiscard]] bool embeds_by_servers(const Job& job);
/// True when any model is behind a server, that of embeddings too: the run has a journal.
[[nodiscard]] bool has_journal(const Job& job);
/// True when some backend has a price.
[[nodiscard]] bool has_prices(const Job& job);

/// "/train/steps=5" from the command line: a JSON pointer and a value (JSON, else taken as a string).
struct Override {
    std::string pointer;
    std::string value;
};

/// Reads, overrides, checks and resolves the job file at `path`. Prompts given as {"file": ...} are read
/// and become text. Touches the files that it names (exists, readable) but writes nothing. Throws
/// UsageError with one message a fault: file, JSON pointer, what is wrong, what would be right.
[[nodiscard]] Job read_job(const std::string& path, const std::vector<Override>& overrides = {});

/// The same from text; `path` serves messages and relative paths only.
[[nodiscard]] Job parse_job(std::string_view text,
                            const std::string& path,
                            const std::vector<Override>& overrides = {});

/// A job from what job_to_json wrote, on ranks that may not see the files that it names: the same checks,
/// but no file is touched.
[[nodiscard]] Job job_from_json(std::string_view resolved, const std::string& path = "");

/// The resolved job with every default written out; parse_job of it gives the same job again.
[[nodiscard]] nlohmann::ordered_json job_to_json(const Job& job);

/// What of a job decides what is trained: the resolved job without path, name, run_dir, keep and the paths of
/// data files. Steps, budget, prices and threads do not count, so that a run can be extended; nor does what
/// names a model: the run directory holds the identity of its content.
[[nodiscard]] nlohmann::ordered_json job_identity(const Job& job);

/// Identity of the training that a job describes: SHA-256 (hex) over job_identity and over the digests of the
/// splits' content, in the order train, dev, test.
[[nodiscard]] std::string job_hash(const Job& job, const std::vector<std::string>& data_digests);

}  // namespace dln
