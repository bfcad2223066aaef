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
        {.name = "feedback",
         .text =
             "An assistant follows this instruction:\n{{prompt}}\n\n"
             "{{#errors}}Input: {{input}}\nAnswer given: {{output}}\nRight answer: {{target}}\n\n"
             "{{/errors}}The user says:\n{{feedback}}\n\n{{message}}",
         .messages = {"Write a better instruction that does what the user says. Reply with the "
                      "instruction only.",
                      "Rewrite the instruction as the user wants it, in one clear sentence."},
         .chat = true},
        {.name = "list",
         .text =
             "{{#examples}}Input: {{input}}\nOutput: {{target}}\n\n{{/examples}}"
             "An assistant follows this instruction:\n{{prompt}}\n\n"
             "{{message}} Reply with a numbered list of {{count}} instructions, one a line, and "
             "nothing else.",
         .messages = {"Write instructions that lead to the right outputs, each different "
                      "from the others.",
                      "Think of better instructions, from short to detailed."},
         .chat = true},
        {.name = "errors_few_shot",
         .text =
             "Instruction: Fruit or vegetable?\n"
             "Right: leek is vegetable, apple is fruit. Wrong: carrot is vegetable, plum is "
             "fruit.\n"
             "{{message}}: Decide for each item whether it is a fruit or a vegetable.\n\n"
             "Instruction: Is it about sports or politics?\n"
             "Right: cup final is sports. Wrong: election night is politics, team wins is sports.\n"
             "{{message}}: Label every headline with its topic, \"sports\" or \"politics\".\n\n"
             "Instruction: {{prompt}}\n"
             "Right: {{#successes}}{{input}} is {{target}}, {{/successes}}"
             " Wrong: {{#errors}}{{input}} is {{target}}, {{/errors}}\n"
             "{{message}}:",
         .messages = {"Better instruction", "Improved instruction", "Corrected instruction"},
         .chat = false},
        {.name = "induction_few_shot",
         .text =
             "carrot: vegetable, apple: fruit, leek: vegetable, plum: fruit\n"
             "{{message}}: Decide for each item whether it is a fruit or a vegetable.\n\n"
             "the sun is cold: false, ice is cold: true, birds fly: true\n"
             "{{message}}: Write \"true\" after each correct statement and \"false\" after each "
             "wrong one.\n\n"
             "{{#examples}}{{input}}: {{target}}, {{/examples}}\n"
             "{{message}}:",
         .messages = {"Task", "The instruction was", "Instruction"},
         .chat = false},
        {.name = "paraphrase_few_shot",
         .text = "Instruction: Fruit or vegetable?\n"
                 "{{message}}: Decide for each item whether it is a fruit or a vegetable.\n\n"
                 "Instruction: Is it about sports or politics?\n"
                 "{{message}}: Label every headline with its topic, \"sports\" or \"politics\".\n\n"
                 "Instruction: {{prompt}}\n"
                 "{{message}}:",
         .messages = {"Clearer instruction", "The same in full", "Longer instruction"},
         .chat = false},
        {.name = "new_words",
         .text = "{{#examples}}Input: {{input}}\nOutput: {{target}}\n\n{{/examples}}"
                 "An assistant follows this instruction:\n{{prompt}}\n\n"
                 "Below the instruction the {{field}} has the label \"{{word}}\".\n{{message}}",
         .messages = {"Which other label, of one to three words, says better what it is? Reply "
                      "with the label only.",
                      "Give it another name of one or two words. Reply with the name only."},
         .chat = true},
        {.name = "new_words_few_shot",
         .text = "carrot: vegetable, apple: fruit, leek: vegetable, plum: fruit\n"
                 "Label of the input: Item\n"
                 "{{message}}: Food\n\n"
                 "the sun is cold: false, ice is cold: true, birds fly: true\n"
                 "Label of the answer: Result\n"
                 "{{message}}: True or false\n\n"
                 "{{#examples}}{{input}}: {{target}}, {{/examples}}\n"
                 "Label of the {{field}}: {{word}}\n"
                 "{{message}}:",
         .messages = {"Better label", "Other label", "Clearer label"},
         .chat = false},
        {.name = "history",
         .text = "Instructions for a task, with their scores from 0 to 100, worst first:\n\n"
                 "{{#history}}Instruction: {{prompt}}\nScore: {{score}}\n\n{{/history}}"
                 "Examples of the task:\n"
                 "{{#examples}}Input: {{input}}\nOutput: {{target}}\n\n{{/examples}}"
                 "{{message}}",
         .messages =
             {"Write a new instruction that differs from all above and scores higher. Reply "
              "with the instruction only.",
              "What have the better instructions in common? Write one that takes it further. "
              "Reply with the instruction only."},
         .chat = true},
        {.name = "history_few_shot",
         .text = "Tasks and how well each way to put them worked:\n"
                 "{{#history}}{{score}} points: {{prompt}}\n{{/history}}"
                 "{{message}}:",
         .messages = {"100 points", "99 points", "Full points"},
         .chat = false},
    };
    return known;
}

}  // namespace dln
