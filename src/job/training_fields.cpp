// The fields of scoring and training: a part of the table in fields.cpp.

#include "job/fields.hpp"
#include "job/object_codec.hpp"

namespace dln::job {

// ---- scoring -----------------------------------------------------------------------------------

Codec<ScoringSpec> scoring_fields() {
    ObjectCodec<ScoringSpec> spec("scoring", "What a prompt is worth on an example.");
    spec.field(
            "objective", &ScoringSpec::objective,
            choice<Objective>({{Objective::class_log_prob, "class_log_prob"},
                               {Objective::log_prob, "log_prob"},
                               {Objective::accuracy, "accuracy"}}),
            "`class_log_prob`: log-probability of the target's class, normalised over the classes; "
            "`log_prob`: of the target text; `accuracy`: answer, then compare.")
        .field("separator", &ScoringSpec::separator, text(),
               "What stands between context and target; scored with the target.")
        .field("length_normalise", &ScoringSpec::length_normalise,
               choice<LengthNormalise>({{LengthNormalise::mean, "mean"},
                                        {LengthNormalise::sum, "sum"},
                                        {LengthNormalise::bytes, "bytes"}}),
               "A text's score: mean or sum over its tokens, or sum per byte.")
        .field("burn_in", &ScoringSpec::burn_in, number({.high = 1.0, .high_open = true}),
               "Share of a target's first tokens that is not scored.")
        .field("verbalizers", &ScoringSpec::verbalizers,
               choice<VerbalizerCombine>(
                   {{VerbalizerCombine::sum, "sum"}, {VerbalizerCombine::max, "max"}}),
               "How the probabilities of a class's verbalizers become the class's.")
        .field("leading_space", &ScoringSpec::leading_space, boolean(),
               "Score each verbalizer also with a space before it.")
        .field("metric", &ScoringSpec::metric,
               choice<Metric>({{Metric::exact_match, "exact_match"}, {Metric::number, "number"}}),
               "When an answer is right: equal first lines, or the target number occurs in it.")
        .field("ignore_case", &ScoringSpec::ignore_case, boolean(),
               "`exact_match` folds ASCII letters.")
        .field("calibration", &ScoringSpec::calibration,
               choice<Calibration>({{Calibration::none, "none"},
                                    {Calibration::content_free, "content_free"},
                                    {Calibration::batch, "batch"}}),
               "Which class prior is taken off class log-probabilities: the mean probabilities on "
               "`content_free_inputs`, or on the inputs that are scored together (`batch`).")
        .field("content_free_inputs", &ScoringSpec::content_free_inputs,
               list(text(), Brackets::optional, 1),
               "Inputs that say nothing; scored once for each candidate of a step with "
               "`content_free`.")
        .field("min_scored", &ScoringSpec::min_scored, number({.high = 1.0, .low_open = true}),
               "Share of a batch's examples that must have a score for a candidate to win.")
        .field("block", &ScoringSpec::block, integer<std::size_t>(1, 100'000),
               "Examples a unit of work; results may depend on it in their last digits, never on "
               "ranks.");
    return spec.build();
}

// ---- training ----------------------------------------------------------------------------------

Codec<TrainSpec> train_fields() {
    ObjectCodec<TrainSpec> spec("train", "The loop: propose, score, select.");
    spec.field("steps", &TrainSpec::steps, integer<std::int64_t>(0), "Mini-batches to train on.")
        .field("batch_size", &TrainSpec::batch_size, integer<std::size_t>(1),
               "Examples of a mini-batch.")
        .field("class_balanced", &TrainSpec::class_balanced, boolean(),
               "Batches hold the classes in equal shares (jobs with classes).")
        .field("candidates", &TrainSpec::candidates, integer<std::size_t>(1, 100'000),
               "Prompts compared in a step: the incumbent and `candidates` - 1 proposals.")
        .field("proposals", &TrainSpec::proposals, proposal_fields(),
               "How candidate prompts are generated.")
        .field(
            "select", &TrainSpec::select,
            choice<SelectMode>({{SelectMode::exact, "exact"}, {SelectMode::racing, "racing"}}),
            "`exact`: all candidates are scored on all examples; `racing`: proposals are scored "
            "block by block, and those that surely lose are dropped, so that more can be compared "
            "for the same requests.")
        .field("racing_block", &TrainSpec::racing_block, integer<std::size_t>(1, 100'000),
               "Examples scored between two decisions of a race.")
        .field("racing_risk", &TrainSpec::racing_risk,
               number({.high = 0.5, .low_open = true, .high_open = true}),
               "Chance that a decision drops a candidate that is as good as the leader.")
        .field("posterior", &TrainSpec::posterior, posterior_fields(),
               "Latents of a network of several layers.")
        .field("trust_factor", &TrainSpec::trust_factor, number(),
               "A last layer's candidate loses so many times its divergence (KL) from the "
               "incumbent's class probabilities.")
        .field("logp_penalty", &TrainSpec::logp_penalty, number(),
               "A hidden layer's candidate loses so many times its log-probability of latents that "
               "led to errors.")
        .field("logp_penalty_decay", &TrainSpec::logp_penalty_decay, boolean(),
               "That penalty falls linearly to 0 over the steps.")
        .field("nce", &TrainSpec::nce, boolean(),
               "Hidden layers score each sample against the others of its example.")
        .field("hidden_steps", &TrainSpec::hidden_steps, integer<std::size_t>(1, 1000),
               "Rounds of propose and select in a step, for hidden layers.")
        .field("held_out_ranking", &TrainSpec::held_out_ranking, boolean(),
               "Propose from one half of the batch and rank on the other.")
        .field("memory", &TrainSpec::memory, integer<std::size_t>(0, 100'000),
               "So many prompts that were best on dev are candidates in every step.")
        .field(
            "tolerance", &TrainSpec::tolerance, integer<std::size_t>(0),
            "Go back to the best prompts after so many dev evaluations without a gain; 0: never.")
        .field("eval_every", &TrainSpec::eval_every, integer<std::int64_t>(1),
               "Steps between dev evaluations.")
        .field(
            "eval_candidates", &TrainSpec::eval_candidates, integer<std::size_t>(1, 100'000),
            "So many of the best candidates of a step are evaluated on dev: the next incumbent and "
            "those behind it, which can become the best or enter the memory.")
        .field("eval_initial", &TrainSpec::eval_initial, boolean(),
               "Evaluate the initial prompts on dev, too.")
        .field(
            "tie_margin", &TrainSpec::tie_margin, number(),
            "A candidate must beat the incumbent's score by more than this and the backend's noise "
            "floor.");
    return spec.build();
}

}  // namespace dln::job
