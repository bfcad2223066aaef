#include "train/built_in_proposals.hpp"

namespace dln {

const std::vector<ProposalTemplateSpec>& built_in_proposals() {
    static const std::vector<ProposalTemplateSpec> known{
        {.name = "errors",
         .text =
             "An assistant follows this instruction:\n{{prompt}}\n\n"
             "{{#errors}}Input: {{input}}\nAnswer given: {{output}}\nRight answer: {{target}}\n\n"
             "{{/errors}}{{#successes}}Input: {{input}}\nAnswer given and right: {{output}}\n\n"
             "{{/successes}}{{message}}",
         .messages =
             {"Write a better instruction, one that leads to the right answers. Reply with the "
              "instruction only.",
              "Write one clear sentence that tells the assistant how to answer rightly."},
         .chat = true},
        {.name = "induction",
         .text = "{{#examples}}Input: {{input}}\nOutput: {{target}}\n\n{{/examples}}{{message}}",
         .messages =
             {"Write the instruction that turns each input into its output. Reply with the "
              "instruction only.",
              "What question about the input does each output answer? Reply with the question "
              "only."},
         .chat = true},
        {.name = "paraphrase",
         .text = "{{message}}\n\n{{prompt}}",
         .messages = {"Rewrite this instruction in other words, keeping its meaning:",
                      "Make this instruction clearer and more specific:"},
         .chat = true},
    };
    return known;
}

}  // namespace dln
