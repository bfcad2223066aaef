"""Test accuracy of the network and of the baselines to compare it with, on the small model: each method's job of
jobs/ with several seeds, then dln compare. Run by tools/bench, which sets DLN_PROGRAM.

Nothing is tuned here: prompts and templates are those of the project's jobs, all methods of a task have the same
templates, batches and proposals' limits, and seeds are 1, 2, 3. Test splits are read by the final evaluation of a
run only. Methods that search have about the requests that DLN-1 has; all are printed.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

JOBS = pathlib.Path(__file__).resolve().parent.parent.parent / "jobs"
QUICK = "--quick" in sys.argv[1:]
SEEDS = (1,) if QUICK else (1, 2, 3)
STEPS, CANDIDATES = (1, 4) if QUICK else (4, 16)

METHODS = {
    "zero-shot": "baselines/zero_shot.json",
    "few-shot": "baselines/few_shot.json",
    "few-shot, balanced": "baselines/few_shot_balanced.json",
    "APE": "baselines/ape.json",
    "APE, resampling": "baselines/ape_resampling.json",
    "OPRO": "baselines/opro.json",
    "DLN-1": "quickstart.json",
    "DLN-2": "two_layers.json",
}
# One draw has no chance in it; APE proposes in one step what the others do in all of theirs.
WITHOUT_SEEDS = {"zero-shot"}
SEARCHES = {"APE", "APE, resampling", "OPRO", "DLN-1"}
OWN_OF_METHOD = {"APE": {"/train/candidates": STEPS * (CANDIDATES - 1) + 1, "/train/steps": 1}}

QUICKSTART_TEMPLATES = [
    "{{prompt}}\n{{input}}",
    {"name": "inline", "text": "{{prompt}} {{input}}:", "separator": ""},
    {"name": "task", "text": "Task: {{prompt}} {{input}}:", "separator": ""},
    {"name": "answers", "text": "{{prompt}}\n\nAnswers:\n- {{input}}:", "separator": ""},
    {"name": "numbers", "text": "{{prompt}}\n\nAnswers:\n1. {{input}}:", "separator": ""},
]
TASKS = {
    "polarity": {
        "classes": ["positive", "negative"],
        "prompt": "Is the following positive or negative?",
        "templates": QUICKSTART_TEMPLATES,
        "two_layers": None,  # as the job is
    },
    "subj": {
        "classes": ["subjective", "objective"],
        "prompt": "Read the sentence, then say whether it is subjective or objective.",
        "templates": ["{{prompt}}\n\n{{input}}\n\nAnswer:", "{{prompt}}\n{{input}}"],
        "two_layers": "Say what kind of sentence this is.",
    },
    "navigate": {
        "classes": ["Yes", "No"],
        "prompt": "Read the steps, then say whether they lead back to the starting point.",
        "templates": ["{{prompt}}\n\n{{input}}\n\nAnswer:", "{{prompt}}\n{{input}}"],
        "two_layers": "Say where the steps lead.",
    },
}


def figure(name, value, unit="", at_least=None):
    """The line that tools/bench reads; without a bound for information."""
    target, verdict = "-", "-"
    if at_least is not None:
        target, verdict = f">= {at_least:.3f}{unit}", "met" if value >= at_least else "MISSED"
    print(f"figure\t{name}\t{value:.4g}{unit}\t{target}\t{verdict}", flush=True)


def settings(method, task, spec, folder, run_dir, seed):
    """What a run changes of its method's job."""
    changed = {
        "/name": method,
        "/seed": seed,
        "/run_dir": str(run_dir),
        "/data": {split: str(folder / f"{task}.{split}.jsonl") for split in ("train", "dev", "test")},
        "/classes": spec["classes"],
    }
    if QUICK:
        for split in ("dev", "test"):
            changed["/data"][split] = {"path": changed["/data"][split], "limit": 20}
    if method == "DLN-2":
        if spec["two_layers"]:
            changed["/network/layers/0/prompt"] = spec["two_layers"]
            changed["/network/layers/0/template"] = "{{prompt}}\n{{input}}\n"
            changed["/network/layers/0/residual"] = "{{input}}\n{{output}}"
            changed["/network/layers/1/prompt"] = spec["prompt"]
            changed["/network/layers/1/template"] = spec["templates"][0]
        if QUICK:
            changed |= {"/train/steps": 1, "/train/candidates": 3, "/train/batch_size": 4}
        return changed
    changed["/network/layers/0/prompt"] = spec["prompt"]
    if method in SEARCHES:
        layer = {"prompt": spec["prompt"], "templates": spec["templates"]}
        changed["/network/layers/0"] = layer
        del changed["/network/layers/0/prompt"]
        changed |= {"/train/steps": STEPS, "/train/candidates": CANDIDATES}
    else:
        first = spec["templates"][0]
        changed["/network/layers/0/template"] = first if isinstance(first, str) else first["text"]
    return changed | OWN_OF_METHOD.get(method, {})


def dln(*arguments, ranks=0):
    command = [os.environ["DLN_PROGRAM"], *arguments]
    if ranks:
        command = ["timeout", "-k", "5", "3600", "mpirun", "-n", str(ranks), *command]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}")
    return done.stdout


def train(method, changed):
    options = []
    for pointer, value in changed.items():
        options += ["--set", f"{pointer}={json.dumps(value)}"]
    dln("train", str(JOBS / METHODS[method]), *options, ranks=2)


def half_width(accuracy, examples):
    """Half of Wilson's 95 % interval."""
    z = 1.959964
    spread = accuracy * (1 - accuracy) / examples + z * z / (4 * examples * examples)
    return z * math.sqrt(spread) / (1 + z * z / examples)


def measure(task, spec, folder, runs):
    directories = []
    for method in METHODS:
        for seed in SEEDS[:1] if method in WITHOUT_SEEDS else SEEDS:
            run_dir = runs / f"{task}-{method.replace(', ', '-').replace(' ', '-')}-{seed}"
            train(method, settings(method, task, spec, folder, run_dir, seed))
            directories.append(str(run_dir))
    of_first = str(runs / f"{task}-DLN-1-1")
    made = json.loads(dln("compare", *directories, "--group", "--against", "DLN-1", "--json"))
    examples = next(run for run in made["runs"] if run["run"] == of_first)["test"]["examples"]
    groups = {group["name"]: group for group in made["groups"]}
    ours = groups["DLN-1"]["accuracy"]["mean"]
    for method, group in groups.items():
        accuracy = group["accuracy"]
        figure(f"{task}, {method}: test accuracy, mean of {len(group['runs'])}", accuracy["mean"])
        if "deviation" in accuracy:
            figure(f"{task}, {method}: deviation over seeds", accuracy["deviation"])
        figure(f"{task}, {method}: requests", group["mean_spent"]["requests"])
    for method, group in groups.items():
        mean = group["accuracy"]["mean"]
        if method == "DLN-2":
            figure(f"{task}, DLN-2 - DLN-1: test accuracy", mean - ours)
        elif method != "DLN-1":
            figure(f"{task}, DLN-1 - {method}: test accuracy", ours - mean,
                   at_least=-half_width(mean, examples))  # fmt: skip


def main():
    options = sys.argv[1:]
    folder = pathlib.Path(options[options.index("--data") + 1]) if "--data" in options else None
    tasks = options[options.index("--tasks") + 1].split(",") if "--tasks" in options else TASKS
    with tempfile.TemporaryDirectory(prefix="dln-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        for split in ("train", "dev", "test"):
            made = JOBS.parent / "build" / "data" / "polarity" / f"{split}.jsonl"
            (scratch / f"polarity.{split}.jsonl").symlink_to(made)
        for task in tasks:
            where = scratch if task == "polarity" else folder
            if where is None or not (where / f"{task}.test.jsonl").exists():
                print(f"{task}: not measured, give a folder with {task}.train.jsonl, .dev and .test as --data")
                continue
            measure(task, TASKS[task], where, scratch)


if __name__ == "__main__":
    main()
