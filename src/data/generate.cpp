#include "dln/data/generate.hpp"

#include <functional>
#include <optional>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "generators.hpp"

namespace dln {
namespace {

struct Task {
    std::string name;
    std::uint64_t number;              ///< enters the random key: do not change
    std::vector<std::string> classes;  ///< empty: targets are free text
    std::function<QuestionMaker(EntityPart)> maker;
};

/// A task whose targets are classes, each of them a kind of question.
Task class_task(const std::string& name,
                std::uint64_t number,
                const std::vector<std::string>& classes,
                std::string (*make)(CounterRng&, std::size_t target)) {
    QuestionMaker maker{.kinds = classes.size(),
                        .make = [classes, make](CounterRng& rng, std::size_t target) {
                            return Question{make(rng, target), classes[target]};
                        }};
    return {name, number, classes, [maker](EntityPart /*all*/) { return maker; }};
}

const std::vector<Task>& tasks() {
    static const std::vector<Task> kTasks{
        class_task("adjective-order", 1, {"(A)", "(B)"}, make_adjective_order),
        class_task("navigate", 2, {"Yes", "No"}, make_navigate),
        class_task("seven-object-deduction", 3, {"(A)", "(B)", "(C)", "(D)", "(E)", "(F)", "(G)"},
                   make_seven_object_deduction),
        {"arithmetic", 4, {}, arithmetic_questions},
        {"capitals", 5, {}, capital_questions},
        {"antonyms", 6, {}, antonym_questions},
        {"reversal", 7, {}, reversal_questions},
        {"extraction", 8, {}, extraction_questions},
        {"number-words", 9, {}, number_word_questions},
        {"sorting", 10, {}, sorting_questions},
    };
    return kTasks;
}

const Task& task_named(std::string_view name) {
    for (const auto& task : tasks()) {
        if (task.name == name) {
            return task;
        }
    }
    const auto& known = generated_task_names();
    const auto near = near_miss(name, known);
    throw UsageError(fmt::format("no task \"{}\". Expected one of: {}.{}", printable(name, 60),
                                 fmt::join(known, ", "),
                                 near ? fmt::format(" Did you mean \"{}\"?", *near) : ""));
}

/// Makes one example after the other; remembers inputs so that none comes twice.
class Generator {
  public:
    Generator(const Task& task, std::uint64_t seed) : task_(task), seed_(seed) {}

    Dataset make_part(std::size_t part, const PartSize& wanted) {
        Dataset examples;
        const auto maker = task_.maker(static_cast<EntityPart>(part));
        std::vector<std::size_t> order;
        const auto before = index_;
        for (std::size_t i = 0; i < wanted.size; ++i) {
            if (i % maker.kinds == 0) {  // every block of examples has each kind once
                order = CounterRng({.seed = seed_,
                                    .step = task_.number,
                                    .layer = 1 + part,
                                    .role = RandomRole::data_generator,
                                    .example = i / maker.kinds})
                            .permutation(maker.kinds);
            }
            const auto question = new_question(maker, order[i % maker.kinds]);
            if (!question) {
                throw UsageError(fmt::format(
                    "task {} has hardly more than {} different examples for {}, after {} for the "
                    "parts before: ask for fewer",
                    task_.name, i, wanted.name, before));
            }
            examples.add(question->input, question->target);
        }
        return examples;
    }

  private:
    /// One that was not there before; none when hardly any is left.
    std::optional<Question> new_question(const QuestionMaker& maker, std::size_t kind) {
        constexpr std::uint64_t kAttempts = 1000;
        for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
            CounterRng rng({.seed = seed_,
                            .step = task_.number,
                            .role = RandomRole::data_generator,
                            .example = index_,
                            .sample = attempt});
            auto question = maker.make(rng, kind);
            if (inputs_.insert(question.input).second) {
                ++index_;
                return question;
            }
        }
        return std::nullopt;
    }

    const Task& task_;
    std::uint64_t seed_;
    std::uint64_t index_ = 0;
    std::unordered_set<std::string> inputs_;
};

}  // namespace

const std::vector<std::string>& generated_task_names() {
    static const std::vector<std::string> kNames = [] {
        std::vector<std::string> names;
        for (const auto& task : tasks()) {
            names.push_back(task.name);
        }
        return names;
    }();
    return kNames;
}

std::vector<std::string> generated_task_classes(std::string_view task) {
    return task_named(task).classes;
}

std::vector<Part> generate_parts(std::string_view task,
                                 const std::vector<PartSize>& sizes,
                                 std::uint64_t seed) {
    DLN_ASSERT(sizes.size() <= 3, "{} parts; there are train, dev and test", sizes.size());
    Generator generator(task_named(task), seed);
    std::vector<Part> parts;
    for (std::size_t p = 0; p < sizes.size(); ++p) {
        parts.push_back({.name = sizes[p].name, .examples = generator.make_part(p, sizes[p])});
    }
    return parts;
}

}  // namespace dln
