"""Test accuracy of the network and of the baselines to compare it with, on the small model: each method's job of
jobs/ with several seeds, then dln compare. Run by tools/bench, which sets DLN_PROGRAM.

Nothing is tuned here: prompts and templates are those of the project's jobs, all methods of a task have the same
templates, batches and proposals' limits, and seeds are 1, 2, 3. Test splits are read by the final evaluation of a
run only. Methods that search have about the requests that DLN-1 has; all are printed.
"""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import mop_quality

JOBS = pathlib.Path(__file__).resolve().parent.parent.parent / "jobs"
QUICK = "--quick" in sys.argv[1:]
SEEDS = (1,) if QUICK else (1, 2, 3)
STEPS, CANDIDATES = (1, 4) if QUICK else (4, 16)

METHODS = {
    "zero-shot": "baselines/zero_shot.json",
    "few-shot": "baselines/few_shot.json",
    "few-shot, balanced": "baselines/few_shot_balanced.json",
    "KATE": "baselines/kate.json",
    "KATE, n-grams": "baselines/kate.json",
    "APE": "baselines/ape.json",
    "APE, resampling": "baselines/ape_resampling.json",
    "OPRO": "baselines/opro.json",
    "DLN-1": "quickstart.json",
    "DLN-2": "two_layers.json",
}
# No seed makes a difference to these; APE proposes in one step what the others do in all of theirs.
WITHOUT_SEEDS = {"zero-shot", "KATE", "KATE, n-grams"}
SEARCHES = {"APE", "APE, resampling", "OPRO", "DLN-1"}
OWN_OF_METHOD = {
    "APE": {"/train/candidates": STEPS * (CANDIDATES - 1) + 1, "/train/steps": 1},
    "KATE, n-grams": {"/embedding": {"kind": "ngrams"}},
}

# What the hidden layer of two is first told, as no job says that of this task; none: the two-layer job does.
TASKS = {
    "polarity": None,
    "subj": "Say what kind of sentence this is.",
    "navigate": "Say where the steps lead.",
}


# Mixture layers against one prompt, on word polarity and the order of adjectives in one data set. One prompt has as
# many candidates as both experts together.
MIXTURE = "mixture"
MIXTURE_JOB = "mixture_layers.json"
MIXTURE_METHODS = {"mixture layer": (2, CANDIDATES // 2), "DLN-1": (1, CANDIDATES)}


def read_job(name):
    text = (JOBS / name).read_text(encoding="utf-8")
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


def specification(task):
    """Classes, first prompt and templates of a task's own job; a second template for those that have one."""
    job = read_job("quickstart.json" if task == "polarity" else f"tasks/{task}.json")
    (layer,) = job["network"]["layers"]
    return {
        "classes": job["classes"],
        "scoring": job.get("scoring", {}),
        "prompt": layer["prompt"],
        "templates": layer.get("templates") or [layer["template"], "{{prompt}}\n{{input}}"],
        "hidden_prompt": TASKS[task],
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
        "/scoring": spec["scoring"],
    }
    if QUICK:
        for split in ("dev", "test"):
            changed["/data"][split] = {"path": changed["/data"][split], "limit": 20}
    if method == "DLN-2":
        if spec["hidden_prompt"]:
            changed["/network/layers/0/prompt"] = spec["hidden_prompt"]
            changed["/network/layers/0/template"] = "{{prompt}}\n{{input}}\n"
            changed["/network/layers/0/residual"] = "{{input}}\n{{output}}"
            changed["/network/layers/1/prompt"] = spec["prompt"]
            changed["/network/layers/1/template"] = spec["templates"][0]
        if QUICK:
            changed |= {"/train/steps": 1, "/train/candidates": 3, "/train/batch_size": 4}
        return changed
    changed["/network/layers/0/prompt"] = spec["prompt"]
    if method.startswith("KATE") and task != "polarity":
        changed["/embedding/template"] = "{{input}}"  # its job speaks of a word
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


def train(job, changed):
    options = []
    for pointer, value in changed.items():
        options += ["--set", f"{pointer}={json.dumps(value)}"]
    dln("train", str(JOBS / job), *options, ranks=2)


def mixed_data(polarity, scratch):
    """Both tasks' examples in one file a split."""
    order = scratch / "adjective-order"
    if not order.exists():
        dln("data", "generate", "adjective-order", "--out", str(order))
    data = {}
    for split in ("train", "dev", "test"):
        path = scratch / f"{MIXTURE}.{split}.jsonl"
        path.write_text("".join((folder / f"{split}.jsonl").read_text() for folder in (polarity, order)))
        data[split] = {"path": str(path), "limit": 20} if QUICK and split != "train" else str(path)
    return data


def measure_mixture(data, runs):
    directories = []
    for method, (experts, candidates) in MIXTURE_METHODS.items():
        for seed in SEEDS:
            run_dir = runs / f"{MIXTURE}-{experts}-{seed}"
            train(MIXTURE_JOB, {
                "/name": method, "/seed": seed, "/run_dir": str(run_dir), "/data": data,
                "/network/layers/0/mixture/experts": experts,
                "/train/steps": STEPS, "/train/candidates": candidates,
            })  # fmt: skip
            directories.append(str(run_dir))
    made = json.loads(dln("compare", *directories, "--group", "--against", "DLN-1", "--json"))
    groups = {group["name"]: group for group in made["groups"]}
    for method, group in groups.items():
        figure(f"{MIXTURE}, {method}: test accuracy, mean of {len(group['runs'])}", group["accuracy"]["mean"])
        figure(f"{MIXTURE}, {method}: requests", group["mean_spent"]["requests"])
    intervals = [run["test"]["accuracy_95"] for run in made["runs"] if run["name"] == "DLN-1"]
    half = statistics.mean(high - low for low, high in intervals) / 2
    gain = groups["mixture layer"]["accuracy"]["mean"] - groups["DLN-1"]["accuracy"]["mean"]
    figure(f"{MIXTURE} layer - DLN-1: test accuracy", gain, at_least=None if QUICK else half)


def measure(task, spec, folder, runs):
    directories = []
    for method in METHODS:
        for seed in SEEDS[:1] if method in WITHOUT_SEEDS else SEEDS:
            run_dir = runs / f"{task}-{method.replace(', ', '-').replace(' ', '-')}-{seed}"
            train(METHODS[method], settings(method, task, spec, folder, run_dir, seed))
            directories.append(str(run_dir))
    made = json.loads(dln("compare", *directories, "--group", "--against", "DLN-1", "--json"))
    intervals = {run["run"]: run["test"]["accuracy_95"] for run in made["runs"]}
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
            low, high = (statistics.mean(intervals[run][end] for run in group["runs"]) for end in (0, 1))
            figure(f"{task}, DLN-1 - {method}: test accuracy", ours - mean,
                   at_least=None if QUICK else -(high - low) / 2)  # fmt: skip


def main():
    options = sys.argv[1:]

    def given(option):
        return options[options.index(option) + 1] if option in options else None

    folder = pathlib.Path(given("--data")) if given("--data") else None
    tasks = given("--tasks").split(",") if given("--tasks") else [*TASKS, MIXTURE, *mop_quality.TARGETS]
    # In a folder that stays, runs that a kill interrupted go on, and those that are complete are not made again.
    runs = contextlib.nullcontext(given("--runs")) if given("--runs") else tempfile.TemporaryDirectory(prefix="dln-bench-")  # fmt: skip
    with runs as scratch:
        scratch = pathlib.Path(scratch)
        scratch.mkdir(parents=True, exist_ok=True)
        polarity = JOBS.parent / "build" / "data" / "polarity"
        for split in ("train", "dev", "test"):
            with contextlib.suppress(FileExistsError):
                (scratch / f"polarity.{split}.jsonl").symlink_to(polarity / f"{split}.jsonl")
        for task in tasks:
            if task == MIXTURE:
                measure_mixture(mixed_data(polarity, scratch), scratch)
                continue
            if task in mop_quality.TARGETS:
                mop_quality.measure(task, polarity, scratch, sys.modules[__name__], SEEDS, QUICK)
                continue
            where = scratch if task == "polarity" else folder
            if where is None or not (where / f"{task}.test.jsonl").exists():
                print(f"{task}: not measured, give a folder with {task}.train.jsonl, .dev and .test as --data")
                continue
            measure(task, specification(task), where, scratch)


if __name__ == "__main__":
    main()
