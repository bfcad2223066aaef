// The fields of proposals: a part of the table in training_fields.cpp.

#include <algorithm>

#include "dln/text/mustache.hpp"

#include "job/asked_template.hpp"
#include "job/fields.hpp"

namespace dln::job {
namespace {

std::vector<std::string> builtin_proposals() {
    std::vector<std::string> names{kBuiltInProposals.begin(), kBuiltInProposals.end()};
    names.insert(names.end(), kLocalProposals.begin(), kLocalProposals.end());
    return names;
}

// What an absent list means: requests to an instruct model.
const std::vector<std::string> kDefaultProposals{"errors", "induction", "paraphrase"};

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
    if (!entry.text.empty()) {
        check_template(reader, "text", entry.text,
                       {.texts = {"message", "prompt", "classes", "feedback", "count"},
                        .lists = {"successes", "errors", "examples", "history"},
                        .inside = {"input", "target", "output", "score"}});
    } else if (asks_no_model(entry)) {
        check_local_template(reader, entry);
    } else if (entry.name == "list") {
        if (!json.contains("prompts_a_reply")) entry.prompts_a_reply = kPromptsOfList;
    } else {
        check_is_built_in(reader, entry.name, builtin_proposals(), "proposal");
        if (changes_words(entry) && entry.prompts_a_reply > 1) {
            reader.fail(fmt::format("{}, but \"{}\" asks for one word a reply. Expected 1.",
                                    entry.prompts_a_reply, entry.name),
                        {"prompts_a_reply"});
        }
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
        "(several prompts a reply) and `new_words` (another word for one of the layer's `words`, "
        "in "
        "the list or not), which ask an instruct model; the first four names and `new_words` with "
        "`_few_shot`, plain completions for small models; and four that ask no model and cost "
        "no request: `edit` (phrases of a prompt: one deleted, two swapped, or one of another "
        "known "
        "prompt added) and `crossover` (the beginning of one good prompt and the end of another; "
        "an edit while there is only one), `demonstrations` (a known prompt with some examples "
        "of the batch written out behind it, in place of those that it has) and `words` (a known "
        "prompt with other `words` of its layer in the template around it).");
    add_template_fields(
        spec, "Alternatives for `{{message}}`, cycled over the steps: one step uses one of them.");
    spec.field("share", &ProposalTemplateSpec::share, number({.high = 1e6, .low_open = true}),
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

}  // namespace

Codec<ProposalSpec> proposal_fields() {
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
        .field("demonstrations", &ProposalSpec::demonstrations, integer<std::size_t>(1, 1000),
               "Examples that a prompt of `demonstrations` ends with.")
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

}  // namespace dln::job
