#include "job/checks.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "dln/text/mustache.hpp"
#include "dln/text/utf8.hpp"

namespace dln::job {
namespace {

bool holds(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string in_braces(const std::vector<std::string>& names, const std::string& prefix) {
    std::string words;
    for (const auto& name : names) {
        words += fmt::format("{}{{{{{}{}}}}}", words.empty() ? "" : ", ", prefix, name);
    }
    return words;
}

/// What is wrong with one use of a variable, or nothing.
std::string fault_of(const TemplateUse& use, const Offered& offered) {
    const auto is_list = [&](const std::string& name) { return holds(offered.lists, name); };
    auto texts = offered.texts;
    if (std::any_of(use.inside.begin(), use.inside.end(), is_list)) {
        texts.insert(texts.end(), offered.inside.begin(), offered.inside.end());
    }
    if (holds(texts, use.name) || (use.section && is_list(use.name))) {
        return {};
    }
    if (is_list(use.name)) {
        return fmt::format(
            "{{{{{0}}}}} is a list. Write {{{{#{0}}}}}...{{{{/{0}}}}} with {1} inside.", use.name,
            in_braces(offered.inside, ""));
    }
    if (holds(offered.inside, use.name)) {
        return fmt::format("{{{{{}}}}} is known only inside {}.", use.name,
                           in_braces(offered.lists, "#"));
    }
    auto expected = in_braces(texts, "");
    if (!offered.lists.empty()) {
        expected += ", " + in_braces(offered.lists, "#");
    }
    auto known = texts;
    known.insert(known.end(), offered.lists.begin(), offered.lists.end());
    return fmt::format("unknown variable {{{{{}}}}}. Expected one of: {}.{}",
                       printable(use.name, 60), expected, hint_for(use.name, known));
}

void check_classes(Reader& reader, const Job& job) {
    if (job.classes.size() == 1) {
        reader.fail("there is only one class. Expected at least 2, or none for free text.",
                    {"classes"});
    }
    struct Owner {
        std::string verbalizer;
        std::size_t owner;
    };
    std::vector<Owner> seen;
    for (std::size_t i = 0; i < job.classes.size(); ++i) {
        const auto& verbalizers = job.classes[i].verbalizers;
        for (std::size_t j = 0; j < verbalizers.size(); ++j) {
            const std::string trimmed(trim(verbalizers[j]));
            for (const auto& [verbalizer, owner] : seen) {
                const bool is_same = verbalizer == verbalizers[j];
                const bool is_near =
                    trim(verbalizer) == trimmed && (owner != i || job.scoring.leading_space);
                if (is_same || is_near) {
                    reader.fail(
                        fmt::format("\"{}\" stands for class \"{}\" already{}. Each verbalizer may "
                                    "occur once.",
                                    printable(verbalizers[j], 60),
                                    printable(job.classes[owner].name, 60),
                                    is_same ? "" : " (white space at the ends does not count)"),
                        {"classes", std::to_string(i), "verbalizers", std::to_string(j)});
                    break;
                }
            }
            seen.push_back({verbalizers[j], i});
        }
    }
}

void check_scoring(Reader& reader, const Job& job) {
    if (job.scoring.objective == Objective::class_log_prob && job.classes.empty()) {
        reader.fail(
            "\"class_log_prob\" (the default) needs /classes, which is empty. Name the classes, or "
            "choose \"log_prob\" or \"accuracy\".",
            {"scoring", "objective"});
    }
    if (job.scoring.calibration == Calibration::none) return;
    if (job.classes.empty()) {
        reader.fail(
            "calibration corrects class probabilities, but /classes is empty. Name the classes, or "
            "expected \"none\".",
            {"scoring", "calibration"});
    } else if (job.scoring.objective == Objective::log_prob) {
        reader.fail(
            "calibration corrects class probabilities, by which \"log_prob\" does not compare. "
            "Expected /scoring/objective \"class_log_prob\" or \"accuracy\", or \"none\".",
            {"scoring", "calibration"});
    }
}

void check_train(Reader& reader, const Job& job) {
    const auto& train = job.train;
    if (train.held_out_ranking && train.batch_size < 2) {
        reader.fail(
            fmt::format("held-out ranking needs two halves of the batch, but batch_size is {}. "
                        "Expected batch_size of at least 2.",
                        train.batch_size),
            {"train", "held_out_ranking"});
    }
    for (const auto& [name, value] :
         {std::pair("memory", train.memory), std::pair("tolerance", train.tolerance)}) {
        if (value > 0 && !job.data.dev) {
            reader.fail(
                fmt::format("{} needs evaluations on dev, but /data/dev is absent. Name a dev "
                            "split, or set it to 0.",
                            value),
                {"train", name});
        }
    }
}

void check_budget(Reader& reader, const Job& job) {
    if (job.budget.money > 0.0 && !has_prices(job)) {
        reader.fail(
            fmt::format("{}, but without prices it would never be spent. Expected "
                        "/backend/price_input or /backend/price_output, in money for a million "
                        "tokens.",
                        job.budget.money),
            {"budget", "money"});
    }
}

// Built-in templates have no text here, and plain ones a name that says so.
template <class TemplateSpec>
bool is_plain(const TemplateSpec& entry) {
    return entry.text.empty() ? entry.name.ends_with("_few_shot") : !entry.chat;
}

template <class TemplateSpec>
void refuse_plain(Reader& reader,
                  const std::vector<TemplateSpec>& templates,
                  const std::string& part) {
    for (std::size_t t = 0; t < templates.size(); ++t) {
        if (!is_plain(templates[t])) continue;
        reader.fail(
            "a plain continuation, but the backward model's dialect, \"openai-chat\", takes chat "
            "contexts only. Expected a template with \"chat\", or another dialect.",
            {"train", part, "templates", std::to_string(t)});
    }
}

// What is known of a backward model without asking its servers.
void check_backward(Reader& reader, const Job& job) {
    const bool is_chat_only = job.backward_backend &&
                              job.backward_backend->kind == BackendKind::http &&
                              job.backward_backend->dialect == "openai-chat";
    if (!is_chat_only) return;
    refuse_plain(reader, job.train.proposals.templates, "proposals");
    if (job.network.layers.size() == 1) return;
    refuse_plain(reader, job.train.posterior.templates, "posterior");
    if (!job.train.posterior.log_q) return;
    reader.fail(
        "\"openai-chat\" cannot score, but with /train/posterior/log_q the backward model has to "
        "score its samples. Expected another dialect, or log_q: false.",
        {"backward_backend", "dialect"});
}

void check_trained_layers(Reader& reader, const Job& job) {
    for (std::size_t l = 0; l < job.network.layers.size(); ++l) {
        const auto& layer = job.network.layers[l];
        for (std::size_t t = 0; layer.train && t < layer.templates.size(); ++t) {
            const auto uses = Mustache(layer.templates[t].text).uses();
            const bool has_prompt = std::any_of(uses.begin(), uses.end(), [](const auto& use) {
                return use.name == "prompt" && !use.section;
            });
            if (!has_prompt) {
                reader.fail(
                    "a layer that is trained needs {{prompt}} in its templates. Add it, or set "
                    "the layer's \"train\" to false.",
                    {"network", "layers", std::to_string(l), "templates", std::to_string(t),
                     "text"});
            }
        }
    }
}

// `words` needs alternatives to try, a model that is asked for new ones a word to name otherwise.
void check_word_proposals(Reader& reader, const Job& job) {
    std::size_t most = 0;
    for (const LayerSpec& layer : job.network.layers) {
        if (!layer.train) continue;
        for (const WordSpec& word : layer.words) most = std::max(most, word.alternatives.size());
    }
    const auto& templates = job.train.proposals.templates;
    for (std::size_t t = 0; t < templates.size(); ++t) {
        const std::size_t needed = asks_no_model(templates[t]) ? 2 : 1;
        if (!changes_words(templates[t]) || most >= needed) continue;
        reader.fail(
            fmt::format("\"{}\" tries other words, but no trained layer has a word{}. Expected "
                        "such as \"words\": {{\"input\": [\"Text\", \"Review\"]}} in a "
                        "layer, with {{{{word.input}}}} in its template.",
                        templates[t].name, needed > 1 ? " with alternatives" : ""),
            {"train", "proposals", "templates", std::to_string(t)});
    }
}

}  // namespace

void check_template(Reader& reader,
                    const std::string& name,
                    const std::string& text,
                    const Offered& offered,
                    const std::string& needed) {
    std::vector<TemplateUse> uses;
    try {
        uses = Mustache(text).uses();
    } catch (const TemplateError& error) {
        reader.fail(error.what(), {name});
        return;
    }
    for (const auto& use : uses) {
        const auto fault = fault_of(use, offered);
        if (!fault.empty()) {
            reader.fail(fmt::format("line {}, column {}: {}", use.line, use.column, fault), {name});
        }
    }
    const bool is_complete =
        needed.empty() || std::any_of(uses.begin(), uses.end(), [&](const TemplateUse& use) {
            return use.name == needed && !use.section;
        });
    if (!is_complete) {
        reader.fail(
            fmt::format("the template has no {{{{{0}}}}}. Expected {{{{{0}}}}} where the {0} goes.",
                        needed),
            {name});
    }
}

void check_unique(Reader& reader,
                  const std::vector<std::string>& names,
                  const std::string& list,
                  const std::string& what) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto first = std::find(names.begin(), names.end(), names[i]) - names.begin();
        if (static_cast<std::size_t>(first) < i) {
            reader.fail(
                fmt::format("\"{}\" is the name of {} {} already. Each name may occur once.",
                            printable(names[i], 60), what, first),
                {list, std::to_string(i), "name"});
        }
    }
}

void check_job(Reader& reader, const Job& job) {
    check_classes(reader, job);
    check_scoring(reader, job);
    check_train(reader, job);
    check_budget(reader, job);
    check_backward(reader, job);
    check_trained_layers(reader, job);
    check_word_proposals(reader, job);
    check_latents(reader, job);
    check_mixtures(reader, job);
}

}  // namespace dln::job
