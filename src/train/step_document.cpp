// A step's record as arrays of a step file (docs/checkpoint-format.md).

#include "dln/comm/fixed_point.hpp"
#include "dln/train/step.hpp"

namespace dln {
namespace {

Array indices(const std::vector<std::uint64_t>& values) {
    return Array::list(std::vector<std::int64_t>(values.begin(), values.end()));
}

void write_proposals(const StepRecord& record, StepDocument& document) {
    std::vector<std::string> templates;
    std::vector<std::string> replies;
    std::vector<std::string> prompts;
    for (const ProposalRecord& proposal : record.proposals) {
        templates.push_back(proposal.template_name);
        replies.push_back(proposal.reply);
        prompts.push_back(proposal.prompt);
    }
    document.arrays["step/proposals/template"] = Array::list(std::move(templates));
    document.arrays["step/proposals/reply"] = Array::list(std::move(replies));
    document.arrays["step/proposals/prompt"] = Array::list(std::move(prompts));
}

void write_candidates(const StepRecord& record, StepDocument& document) {
    std::vector<std::string> prompts;
    std::vector<std::int64_t> templates;
    std::vector<std::string> origins;
    std::vector<double> means;
    std::vector<std::int64_t> scored;
    for (std::size_t k = 0; k < record.candidates.size(); ++k) {
        prompts.push_back(record.candidates[k].parameters.prompt);
        templates.push_back(
            static_cast<std::int64_t>(record.candidates[k].parameters.template_index));
        origins.push_back(record.candidates[k].origin);
        means.push_back(record.scores[k].mean());
        scored.push_back(static_cast<std::int64_t>(record.scores[k].scored));
    }
    document.arrays["step/candidates/prompt"] = Array::list(std::move(prompts));
    document.arrays["step/candidates/template"] = Array::list(std::move(templates));
    document.arrays["step/candidates/origin"] = Array::list(std::move(origins));
    document.arrays["step/candidates/mean"] = Array::list(std::move(means));
    document.arrays["step/candidates/scored"] = Array::list(std::move(scored));
}

void write_scores(const StepRecord& record, StepDocument& document) {
    std::vector<std::int64_t> scores;
    std::vector<std::int64_t> measured;
    for (const auto& row : record.outcomes) {
        for (const ExampleOutcome& outcome : row) {
            scores.push_back(outcome.score);
            measured.push_back(outcome.measured ? 1 : 0);
        }
    }
    const std::size_t rows = record.outcomes.size();
    const std::size_t columns = record.ranked_on.size();
    document.arrays["step/scores"] = Array::table(rows, columns, std::move(scores));
    document.arrays["step/measured"] = Array::table(rows, columns, std::move(measured));
}

}  // namespace

void write_step(const StepRecord& record, StepDocument& document) {
    document.arrays["step/index"] = Array::scalar(record.step);
    document.arrays["step/batch"] = indices(record.batch);
    document.arrays["step/ranked_on"] = indices(record.ranked_on);
    std::vector<std::int64_t> right;
    for (const ExampleOutcome& outcome : record.forward) right.push_back(outcome.right ? 1 : 0);
    document.arrays["step/forward_right"] = Array::list(std::move(right));
    write_proposals(record, document);
    write_candidates(record, document);
    write_scores(record, document);
    document.arrays["step/chosen"] = Array::scalar(static_cast<std::int64_t>(record.chosen));
    document.arrays["step/failures"] = Array::scalar(record.failures);
    document.arrays["step/first_failure"] = Array::scalar(record.first_failure);
    document.arrays["step/calls"] = Array::scalar(record.usage.calls);
    document.arrays["step/standalone_tokens"] = Array::scalar(record.usage.standalone_tokens);
    document.arrays["step/generated_tokens"] = Array::scalar(record.usage.generated_tokens);
    document.arrays["timing/step_requests"] = Array::scalar(record.usage.requests);
    document.arrays["timing/step_prompt_tokens"] = Array::scalar(record.usage.prompt_tokens);
    document.arrays["timing/step_evaluated_tokens"] = Array::scalar(record.usage.evaluated_tokens);
}

}  // namespace dln
