"""Test perplexity of mixtures of prompts beside their baselines, central and federated, with several seeds: the jobs
jobs/mop-central.json and jobs/mop-federated.json, changed by one field a method. Used by quality.py.

Nothing is tuned here. The best mixture of a run is that of dev; test is read once, at its end.
"""

import json
import pathlib
import re
import statistics

# What a method changes of its job. Baselines with one prompt: as many vectors as one expert, or as all.
METHODS = {
    "one prompt": {"/mixture/experts": 1},
    "one long prompt": {"/mixture/experts": 1, "/mixture/vectors": 80},
    "mixture": {},
    "no gate": {"/mixture/gate/kind": "uniform"},
    "gate not taught": {"/mixture/gate/pretrain": False},
    "gate frozen": {"/mixture/gate/kind": "frozen"},
}
SINGLE = ("one prompt", "one long prompt")
# By how much the mixture is to be below the better single prompt: the lower ends of the paper's ranges.
TARGETS = {"mop-central": 0.03, "mop-federated": 0.20}


def tasks_of(job):
    text = (pathlib.Path(__file__).resolve().parents[2] / "jobs" / f"{job}.json").read_text(encoding="utf-8")
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))["tasks"]


def data_of(job, polarity, scratch, dln, limits):
    """Settings of where the job's tasks have their data, which is made if it is not there."""
    changed = {}
    for number, task in enumerate(tasks_of(job)):
        folder = polarity if task["name"] == "polarity" else scratch / task["name"]
        if not folder.exists():
            dln("data", "generate", task["name"], "--seed", "1", "--out", str(folder))
        for split in ("train", "dev", "test"):
            given = task["data"][split]
            changed[f"/tasks/{number}/data/{split}"] = {
                "path": str(folder / f"{split}.jsonl"),
                "limit": min(given["limit"], limits.get(split, given["limit"])),
            }
    return changed


def measure(job, polarity, scratch, tools, seeds, quick):
    """`tools`: the functions dln, train and figure of quality.py."""
    data = data_of(job, polarity, scratch, tools.dln, {"dev": 8, "test": 16} if quick else {})
    means = {}
    for method, changed in METHODS.items():
        found = []
        for seed in seeds:
            run_dir = scratch / f"{job}-{method.replace(' ', '-')}-{seed}"
            steps = {"/train/steps": 2, "/train/eval_every": 2} if quick else {}
            tools.train(f"{job}.json", {"/seed": seed, "/run_dir": str(run_dir)} | data | steps | changed)
            test = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))["test"]
            found.append(test["perplexity"])
            tools.figure(f"{job}, {method}, seed {seed}: test perplexity", test["perplexity"])
            tools.figure(f"{job}, {method}, seed {seed}: half of its 95 % interval",
                         (test["perplexity_95"][1] - test["perplexity_95"][0]) / 2)  # fmt: skip
        means[method] = statistics.mean(found)
        tools.figure(f"{job}, {method}: test perplexity, mean of {len(found)}", means[method])
    best = min(means[method] for method in SINGLE)
    gain = 1.0 - means["mixture"] / best
    tools.figure(f"{job}: perplexity below that of the better single prompt", gain,
                 at_least=None if quick else TARGETS[job])  # fmt: skip
