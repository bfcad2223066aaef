// The fields of scoring, training and the backend: the second half of the table in fields.cpp.

#include <algorithm>

#include "dln/text/mustache.hpp"
#include "dln/text/utf8.hpp"

#include "job/checks.hpp"
#include "job/fields.hpp"
#include "job/file_codecs.hpp"
#include "job/object_codec.hpp"

namespace dln::job {
namespace {

std::vector<std::string> builtin_proposals() {
    std::vector<std::string> names{kBuiltInProposals.begin(), kBuiltInProposals.end()};
    names.insert(names.end(), kLocalProposals.begin(), kLocalProposals.end());
    return names;
}

// What an absent list means: requests to an instruct model.
const std::vector<std::string> kDefaultProposals{"errors", "induction", "paraphrase"};

}  // namespace

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
        .field("min_scored", &ScoringSpec::min_scored, number({.high = 1.0, .low_open = true}),
               "Share of a batch's examples that must have a score for a candidate to win.")
        .field("block", &ScoringSpec::block, integer<std::size_t>(1, 100'000),
               "Examples a unit of work; results may depend on it in their last digits, never on "
               "ranks.");
    return spec.build();
}

namespace {

// ---- training ----------------------------------------------------------------------------------

constexpr std::size_t kPromptsOfList = 4;

// What a template that asks no model has no use for.
void check_local_template(Reader& reader, const ProposalTemplateSpec& entry) {
    const auto refuse = [&](bool is_given, const std::string& field) {
        if (!is_given) return;
        reader.fail(
            fmt::format("\"{}\" asks no model. Expected `share` at most beside its name, or "
                        "\"text\" for a template of your own.",
                        entry.name),
            {field});
    };
    refuse(!entry.messages.empty(), "messages");
    refuse(entry.prompts_a_reply > 1, "prompts_a_reply");
}

void finish_proposal_template(Reader& reader, const Json& json, ProposalTemplateSpec& entry) {
    const auto builtins = builtin_proposals();
    const bool is_builtin =
        std::find(builtins.begin(), builtins.end(), entry.name) != builtins.end();
    if (!entry.text.empty()) {
        check_template(reader, "text", entry.text,
                       {.texts = {"message", "prompt", "classes", "feedback", "count"},
                        .lists = {"successes", "errors", "examples", "history"},
                        .inside = {"input", "target", "output", "score"}});
    } else if (asks_no_model(entry)) {
        check_local_template(reader, entry);
    } else if (entry.name == "list") {
        if (!json.contains("prompts_a_reply")) entry.prompts_a_reply = kPromptsOfList;
    } else if (!is_builtin) {
        reader.fail(
            fmt::format("\"{}\" is no built-in proposal template. Expected one of: {}; or an "
                        "object with \"text\".{}",
                        printable(entry.name, 60), quoted_list(builtins),
                        hint_for(entry.name, builtins)),
            {"name"});
    }
}

Codec<ProposalTemplateSpec> proposal_template() {
    ObjectCodec<ProposalTemplateSpec> spec(
        "proposal template",
        "How a new prompt is made. Variables: `{{message}}`, `{{prompt}}`, `{{classes}}`, "
        "`{{feedback}}`, `{{count}}` (`prompts_a_reply`), and the sections `{{#successes}}`, "
        "`{{#errors}}`, `{{#examples}}` with `{{input}}`, `{{target}}` and `{{output}}` inside, "
        "and `{{#history}}`, prompts tried so far in ascending order of their score, with "
        "`{{prompt}}` and `{{score}}` inside. "
        "Built in: `errors`, `induction`, `paraphrase`, `history`, `feedback` (your own words), "
        "`list` "
        "(several prompts a reply), which ask an instruct model; the first four names with "
        "`_few_shot`, plain completions for small models; and two that ask no model and cost no "
        "request: `edit` (phrases of a prompt: one deleted, two swapped, or one of another known "
        "prompt added) and `crossover` (the beginning of one good prompt and the end of another; "
        "an edit while there is only one).");
    spec.shorthand(text_shorthand("name", "a text, which is the `name` of a built-in template"))
        .field("name", &ProposalTemplateSpec::name, non_empty_text(),
               "For reports, unique; without `text` that of a built-in template.",
               {.default_text = "`p1`, `p2`, ... by position"})
        .field("text", &ProposalTemplateSpec::text, text(), "The template.",
               {.default_text = "the built-in template's"})
        .field("messages", &ProposalTemplateSpec::messages, list(text(), Brackets::optional),
               "Alternatives for `{{message}}`, cycled over the steps: one step uses one of them.",
               {.default_text = "the built-in template's"})
        .field("chat", &ProposalTemplateSpec::chat, boolean(),
               "Send it as one user message of the model's own chat template.")
        .field("share", &ProposalTemplateSpec::share, number({.high = 1e6, .low_open = true}),
               "Weight of the template when a step's proposals are shared out.")
        .field("prompts_a_reply", &ProposalTemplateSpec::prompts_a_reply,
               integer<std::size_t>(1, 100),
               "The model is asked for a list of so many prompts in one reply, each a proposal; "
               "what is missing in the reply is no proposal, and what is too much is not used.",
               {.default_text = "1; 4 of `list`"});
    return spec.build(finish_proposal_template);
}

void check_feedback(Reader& reader, const ProposalSpec& spec) {
    const auto shows = [](const ProposalTemplateSpec& entry) {
        if (entry.text.empty()) return entry.name == "feedback";
        return Mustache(entry.text).names().contains("feedback");
    };
    const auto first = std::ranges::find_if(spec.templates, shows);
    if (spec.feedback.empty() && first != spec.templates.end()) {
        reader.fail(fmt::format("missing, but template \"{}\" shows it. Expected a text: what "
                                "prompts should do in your own words.",
                                printable(first->name, 60)),
                    {"feedback"});
    }
    if (!spec.feedback.empty() && first == spec.templates.end()) {
        reader.fail(
            "no template shows it. Expected \"feedback\" in `templates`, or a template of your own "
            "with {{feedback}}.",
            {"feedback"});
    }
}

void check_lists(Reader& reader, const ProposalSpec& spec) {
    const auto has_list = [](const ProposalTemplateSpec& entry) {
        return entry.prompts_a_reply > 1;
    };
    const auto list = std::ranges::find_if(spec.templates, has_list);
    const auto has_break = [](const std::string& text) { return text.find('\n') != text.npos; };
    if (list == spec.templates.end() || std::ranges::none_of(spec.stop, has_break)) return;
    reader.fail(fmt::format("a line break would end the lists that template \"{}\" asks for after "
                            "their first prompt. Expected other texts, or prompts_a_reply 1.",
                            printable(list->name, 60)),
                {"stop"});
}

// Templates can be looked into where they have no fault.
void check_proposals(Reader& reader, const ProposalSpec& spec) {
    try {
        check_feedback(reader, spec);
    } catch (const TemplateError&) {
        return;
    }
    check_lists(reader, spec);
}

Codec<ProposalSpec> proposals() {
    ObjectCodec<ProposalSpec> spec("proposals", "How candidate prompts are generated.");
    spec.field(
            "templates", &ProposalSpec::templates, list(proposal_template(), Brackets::optional, 1),
            "The proposals of a step are shared out among them, evenly by `share`.",
            {.alias = "template", .default_text = "`[\"errors\", \"induction\", \"paraphrase\"]`"})
        .field("feedback", &ProposalSpec::feedback, text(),
               "What prompts should do, in your own words, for the template `feedback` and those "
               "with `{{feedback}}`.")
        .field("temperature", &ProposalSpec::temperature, number({.high = 100.0}),
               "Of proposals; 0 makes all proposals of one template equal.")
        .field("top_p", &ProposalSpec::top_p, number({.high = 1.0, .low_open = true}),
               "Draw from the most probable tokens that have this share together.")
        .field("max_tokens", &ProposalSpec::max_tokens, integer<int>(1, kMostTokens),
               "Most tokens of a proposed prompt; a list has so many for each.")
        .field("stop", &ProposalSpec::stop, list(text(), Brackets::optional),
               "A reply ends before the first of these texts.")
        .field("examples", &ProposalSpec::examples, integer<std::size_t>(0, 1000),
               "Most examples of each kind shown in a proposal template.")
        .field("history", &ProposalSpec::history, integer<std::size_t>(1, 1000),
               "Most tried prompts shown in `{{#history}}`, those with the best scores.")
        .field("block", &ProposalSpec::block, integer<std::size_t>(1, 100'000),
               "Proposals a unit of work.");
    return spec.build([](Reader& reader, const Json& json, ProposalSpec& value) {
        if (!json.contains("templates") && !json.contains("template")) {
            for (const auto& name : kDefaultProposals) {
                value.templates.push_back({.name = name, .text = "", .messages = {}, .chat = true});
            }
        }
        name_entries(reader, "p", value.templates);
        check_proposals(reader, value);
    });
}

}  // namespace

Codec<TrainSpec> train_fields() {
    ObjectCodec<TrainSpec> spec("train", "The loop: propose, score, select.");
    spec.field("steps", &TrainSpec::steps, integer<std::int64_t>(0), "Mini-batches to train on.")
        .field("batch_size", &TrainSpec::batch_size, integer<std::size_t>(1),
               "Examples of a mini-batch.")
        .field("class_balanced", &TrainSpec::class_balanced, boolean(),
               "Batches hold the classes in equal shares (jobs with classes).")
        .field("candidates", &TrainSpec::candidates, integer<std::size_t>(1, 100'000),
               "Prompts compared in a step: the incumbent and `candidates` - 1 proposals.")
        .field("proposals", &TrainSpec::proposals, proposals(),
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

// ---- backend -----------------------------------------------------------------------------------

namespace {

void check_endpoint(Reader& reader, const Json&, EndpointSpec& endpoint) {
    if (!endpoint.key_env.empty() && !endpoint.key_file.empty()) {
        reader.fail("beside key_env. Expected one of the two.", {"key_file"});
    }
}

Codec<EndpointSpec> endpoint_fields() {
    ObjectCodec<EndpointSpec> spec("endpoint", "A model server.");
    spec.shorthand(text_shorthand("address", "its address"))
        .field("address", &EndpointSpec::address, non_empty_text(),
               "`http://` or `https://`, host, port; without the paths of its API.",
               {.required = true})
        .field("unix_socket", &EndpointSpec::unix_socket, text(),
               "Path of a socket to connect to instead; empty: TCP.")
        .field(
            "key_env", &EndpointSpec::key_env, text(),
            "Name of the environment variable that holds the key. A key itself never stands in a "
            "job file.")
        .field("key_file", &EndpointSpec::key_file, text(),
               "Path of a file that holds the key: absolute, your own, mode 0600.")
        .field("allow_insecure_key", &EndpointSpec::allow_insecure_key, boolean(),
               "Send the key over `http` to another machine, where others may read it on its way.")
        .field("ca_file", &EndpointSpec::ca_file, text(),
               "Absolute path of the certificates to trust instead of the system's.")
        .field("in_flight", &EndpointSpec::in_flight, integer<std::size_t>(1, 100'000),
               "Most calls at a time, of all ranks together.")
        .field("requests_per_minute", &EndpointSpec::requests_per_minute, integer<std::int64_t>(0),
               "Of all ranks together; 0: no limit.")
        .field("tokens_per_minute", &EndpointSpec::tokens_per_minute, integer<std::int64_t>(0),
               "In and out, of all ranks together; 0: no limit.");
    return spec.build(check_endpoint);
}

void check_backend(Reader& reader, const Json&, BackendSpec& backend) {
    if (backend.kind == BackendKind::http && backend.endpoints.empty()) {
        reader.fail(
            "missing, but \"kind\" is \"http\". Expected at least one address, such as "
            "\"http://127.0.0.1:8000\".",
            {"endpoints"});
    }
    if (backend.kind != BackendKind::http && !backend.endpoints.empty()) {
        reader.fail("only \"kind\": \"http\" has endpoints.", {"endpoints"});
    }
}

}  // namespace

Codec<BackendSpec> backend_fields() {
    ObjectCodec<BackendSpec> spec("backend", "The language model.");
    spec.field("kind", &BackendSpec::kind,
               choice<BackendKind>({{BackendKind::embedded, "embedded"},
                                    {BackendKind::http, "http"},
                                    {BackendKind::scripted, "scripted"}}),
               "`embedded`: llama.cpp in this process; `http`: model servers; `scripted`: replies "
               "from a hash or a file, for "
               "tests and dry runs.")
        .field(
            "model", &BackendSpec::model, model_reference(),
            "Embedded: a name in the model cache, or the path of a GGUF file (with a `/` or ending "
            "in `.gguf`).")
        .field("weights", &BackendSpec::weights, choice_text({"f32", "f16", "as_is"}),
               "Embedded: type of the weights in memory; `as_is` keeps the file's.")
        .field("kv_cache", &BackendSpec::kv_cache, choice_text({"f32", "f16"}),
               "Embedded: type of the cache of keys and values.")
        .field("context_tokens", &BackendSpec::context_tokens, integer<int>(16, kMostTokens),
               "Most tokens of one context with its target; a server's own limit counts when it is "
               "smaller.")
        .field("threads", &BackendSpec::threads, integer<int>(1, 1024), "Embedded: threads a rank.")
        .field("dialect", &BackendSpec::dialect,
               choice_text({"openai", "openai-chat", "together", "sglang", "tgi", "llama-server"}),
               "Http: how the servers are spoken to; `openai` for vLLM and llama-cpp-python.")
        .field("endpoints", &BackendSpec::endpoints, list(endpoint_fields(), Brackets::optional),
               "Http: the servers, all with the same model. Calls go to whichever has room.")
        .field("served_model", &BackendSpec::served_model, text(),
               "Http: the model's name on the servers; empty: the only one there.")
        .field("prompts_a_call", &BackendSpec::prompts_a_call, integer<std::size_t>(1, 1024),
               "Http: most texts that one call scores, where the server takes lists.")
        .field(
            "begin_text", &BackendSpec::begin_text, text(),
            "Put before every context that is no chat, for servers that score right only behind a "
            "begin-of-sequence token; `dln probe` says when. llama-server ignores it.")
        .field("deadline_seconds", &BackendSpec::deadline_seconds,
               number({.high = 86'400.0, .low_open = true}), "Http: of one call.")
        .field("patience_seconds", &BackendSpec::patience_seconds, number({.high = 604'800.0}),
               "Http: how long no server may answer before the run stops with exit code 3.")
        .field(
            "tries", &BackendSpec::tries, integer<int>(1, 100),
            "Http: most tries of a call that goes wrong by itself (5xx, no full reply, an unusable "
            "one). A server that is busy or away is waited for instead.")
        .field("hedge_after_medians", &BackendSpec::hedge_after_medians, number(),
               "Http: send a second copy of a call that takes so many times the median; 0: never.")
        .field("price_input", &BackendSpec::price_input, number(),
               "Money for a million prompt tokens, in any currency: for `budget.money` and plans.")
        .field("price_output", &BackendSpec::price_output, number(),
               "Money for a million generated tokens.")
        .field("replies", &BackendSpec::replies, optional_input_path(),
               "Scripted: JSON lines file of replies; empty: replies by hash.");
    return spec.build(check_backend);
}

// ---- budget ------------------------------------------------------------------------------------

Codec<BudgetSpec> budget_fields() {
    ObjectCodec<BudgetSpec> spec(
        "budget",
        "What the run may use in all, over all its processes and ranks; 0: no limit. When one of "
        "them is spent, the run stops with exit code 4; the same command with a larger budget goes "
        "on.");
    spec.field("requests", &BudgetSpec::requests, integer<std::int64_t>(0),
               "Prompts that a model scores or continues, as servers count them.")
        .field("tokens", &BudgetSpec::tokens, integer<std::int64_t>(0),
               "Tokens of prompts and of what is generated, as servers count them.")
        .field("money", &BudgetSpec::money, number(),
               "In the currency of the backend's `price_input` and `price_output`.")
        .field("hours", &BudgetSpec::hours, number(), "Of wall time.");
    return spec.build();
}

}  // namespace dln::job
