"""Small files in the formats that the tasks of tools/get-data are published in."""

import json
import string

SENTENCE_CLASSES = {
    "mpqa": ["negative", "positive"],
    "trec": ["description", "entity", "expression", "human", "location", "number"],
    "subj": ["subjective", "objective"],
}
TWEET_LABELS = {"disaster": ["Not Relevant", "Relevant"], "airline": ["positive", "negative", "neutral"]}
ORDER_INTRO = (
    "The following paragraphs each describe a set of seven objects arranged in a fixed order. "
    "The statements are logically consistent within each paragraph. "
)
STEPS_INTRO = "If you follow these instructions, do you return to the starting point? "
ADJECTIVES = "Which sentence has the correct adjective order:"


def lines(objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


def sentences(task, name, count):
    """[(sentence, number of its class)]"""
    return [(f"{name} sentence {i}", i % len(SENTENCE_CLASSES[task])) for i in range(count)]


def ordered_prompt(pairs):
    return lines({"sentence": sentence, "label": str(number)} for sentence, number in pairs)


def leopard(task, count):
    labels = TWEET_LABELS[task]
    return json.dumps(
        [
            {
                "sentence1": f"tweet {i}\nof two lines",
                "label": labels[i % len(labels)],
                "processed_sent": "[CLS]",
            }
            for i in range(count)
        ]
    )


def gsm8k(name, count):
    return lines(
        {
            "question": f"{name}: what is {i} plus {i}?",
            "answer": f"It is <<{i}+{i}={2 * i}>>{2 * i}.\n#### {2 * i}",
        }
        for i in range(count)
    )


def bbh(examples):
    """Of (input, target)."""
    return json.dumps(
        {"canary": "x", "examples": [{"input": one, "target": target} for one, target in examples]}
    )


def big_bench(examples):
    """Of (input, options, the right option), pretty-printed as BIG-bench has it."""
    entries = [
        {"input": one, "target_scores": {option: int(option == right) for option in options}}
        for one, options, right in examples
    ]
    return json.dumps({"name": "x", "metrics": ["multiple_choice_grade"], "examples": entries}, indent=4)


def lettered(question, options, right):
    """(input, target) as BIG-Bench Hard has it."""
    letters = [f"({letter})" for letter in string.ascii_uppercase[: len(options)]]
    rows = [f"{letter} {option}" for letter, option in zip(letters, options)]
    return "\n".join([question, "Options:", *rows]), letters[options.index(right)]


def choices(task, i):
    """Example i of a BIG-bench task: its (input, options, right option), and what BIG-Bench Hard makes of it."""
    if task == "navigate":
        right = ["True", "False"][i % 2]
        there = (f"Take {i} steps.", ["True", "False"], right)
        yes = {"True": "Yes", "False": "No"}[right]
        return there, (f"{STEPS_INTRO}Take {i} steps.\nOptions:\n- Yes\n- No", yes)
    if task == "hyperbaton":
        first, second = f"big red dog {i}", f"red big dog {i}"
        there = (f'{ADJECTIVES} a " {first} " b " {second} " ?', ["a", "b"], "ab"[i % 2])
        return there, lettered(ADJECTIVES, [first, second], [first, second][i % 2])
    if task == "date_understanding":
        options = [f"0{day}/01/20{i:02}" for day in range(1, 7)]
        return (f"It is day {i}. Which?", options, options[0]), lettered(
            f"It is day {i}. Which?", options, options[0]
        )
    options = [f"Object {k} is at place {i}" for k in range(7)]
    there = (f"There are {i} things.", [f"{option}." for option in options], f"{options[i % 7]}.")
    return there, lettered(f"{ORDER_INTRO}There are {i} things.", options, options[i % 7])


BIG_BENCH_TASKS = ("hyperbaton", "navigate", "date_understanding", "logical_deduction_seven_objects")
TASKS = (*BIG_BENCH_TASKS, *SENTENCE_CLASSES, *TWEET_LABELS, "gsm8k")


def public_files(task):
    """{file name: content} of a task's sources, small, in the formats and with the names that they have in public."""
    if task in BIG_BENCH_TASKS:
        made = [choices(task, i) for i in range(60)]
        return {
            f"{task}.json": bbh([hard for _, hard in made[:20]]),
            "task.json": big_bench([there for there, _ in made]),
        }
    if task in SENTENCE_CLASSES:
        return {f"{name}.jsonl": ordered_prompt(sentences(task, name, 60)) for name in ("train", "test")}
    if task in TWEET_LABELS:
        return {f"{task}_eval.json": leopard(task, 90)}
    return {f"{name}.jsonl": gsm8k(name, 60) for name in ("train", "test")}


def sizes(task):
    """Options of get-data: small parts, where the paper's are too large for these files."""
    if task in BIG_BENCH_TASKS:
        return []
    return ["--train", "24", "--dev", "12", "--test", "18"]
