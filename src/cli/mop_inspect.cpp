#include "cli/mop_inspect.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/mop/state.hpp"
#include "dln/text/utf8.hpp"

#include "cli/mop_display.hpp"

namespace dln {
namespace {

std::string task_name(const nlohmann::json& job, std::size_t task) {
    const nlohmann::json::json_pointer place(fmt::format("/tasks/{}/name", task));
    if (job.is_object() && job.contains(place) && job[place].is_string()) {
        return printable(job[place].get<std::string>(), 20);
    }
    return fmt::format("task {}", task);
}

std::string train_loss(const StepDocument& document) {
    if (!document.contains("step/nll")) return "-";
    const auto tokens = static_cast<double>(document.integer("step/tokens"));
    return fmt::format("{:.4f}", document.real("step/nll") / std::max(1.0, tokens));
}

}  // namespace

void print_mixture_line(const StepFile& file) {
    const mop::MopState state = mop::read_mop_state(file.document);
    fmt::print("step {:>6}  loss {}  best dev perplexity {}\n", file.header.step,
               train_loss(file.document),
               state.best ? fmt::format("{:.4f} (step {})", state.best->dev.all().perplexity(),
                                        state.best->step)
                          : "-");
}

void print_mixture(const StepDocument& document, const nlohmann::json& job) {
    const mop::MopState state = mop::read_mop_state(document);
    const std::size_t experts = state.parameters.b2.columns;
    fmt::print("{} experts of {} vectors of {} numbers; gate of {} hidden units\n", experts,
               state.parameters.prompts.rows / experts, state.parameters.prompts.columns,
               state.parameters.b1.columns);
    fmt::print("{} answer tokens trained on so far\n", state.tokens);
    if (document.contains("step/nll")) {
        fmt::print("this step: loss {} nats a token, {} tokens\n", train_loss(document),
                   document.integer("step/tokens"));
    }
    if (document.contains("step/clients")) {
        fmt::print("clients of this round: {}\n",
                   fmt::join(document.integers("step/clients"), ", "));
    }
    if (!state.best) return;
    fmt::print("best on dev after step {}: {}\n", state.best->step,
               describe(state.best->dev.all()));
    for (std::size_t task = 0; task < state.best->dev.tasks.size(); ++task) {
        fmt::print("  {:<20} {}\n", task_name(job, task), describe(state.best->dev.tasks[task]));
    }
}

}  // namespace dln
