"""Sweeps of scripted jobs: planning and looking at many trials, and running some hundreds.

Run by tools/bench, which sets DLN_PROGRAM.
"""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

PROGRAM = os.environ["DLN_PROGRAM"]
QUICK = "--quick" in sys.argv[1:]
MANY = 10_000
TRIALS = 60 if QUICK else 300
RANKS = 4


def figure(name, value, unit="", at_most=None):
    """The line that tools/bench reads; without a bound for information."""
    target, verdict = "-", "-"
    if at_most is not None:
        target, verdict = f"<= {at_most:g}{unit}", "met" if value <= at_most else "MISSED"
    print(f"figure\t{name}\t{value:.4g}{unit}\t{target}\t{verdict}", flush=True)


def write(folder, trials):
    """A job and a sweep of so many trials."""
    for name, count in (("train", 12), ("dev", 6), ("test", 8)):
        lines = [
            {"input": f"{name} word {i}", "target": ("no", "yes")[i % 2]} for i in range(count)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    job = {
        "data": {name: f"{name}.jsonl" for name in ("train", "dev", "test")},
        "classes": ["no", "yes"],
        "network": {"layers": [{"prompt": "Is it so?"}]},
        "train": {"steps": 2, "batch_size": 4, "candidates": 3},
        "backend": {"kind": "scripted"},
    }
    (folder / "job.json").write_text(json.dumps(job))
    sweep = {
        "job": "job.json",
        "space": [
            {"pointer": "/train/batch_size", "min": 2, "max": 8, "int": True},
            {"pointer": "/train/proposals/temperature", "min": 0.1, "max": 2, "log": True},
            {"pointer": "/train/select", "values": ["exact", "racing"]},
        ],
        "method": "sobol",
        "configurations": trials // 2,
        "seeds": [1, 2],
        "runs_dir": "sweep",
        "compact": True,
    }
    (folder / "sweep.json").write_text(json.dumps(sweep))


def timed(folder, *arguments, ranks=0):
    """Seconds and output of a command."""
    words = [PROGRAM, *arguments]
    if ranks:
        words = ["mpirun", "--oversubscribe", "-n", str(ranks), *words]
    start = time.monotonic()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return time.monotonic() - start, done.stdout + done.stderr


def many_trials(folder):
    write(folder, MANY)
    figure(f"sweep plan, {MANY} trials", timed(folder, "sweep", "plan", "sweep.json")[0], " s", 1)
    timed(folder, "sweep", "trial", "sweep.json", "0")
    run = folder / "sweep/000000"
    files = [path for path in run.rglob("*") if path.is_file()]
    for i in range(1, MANY):
        other = folder / f"sweep/{i:06}"
        other.mkdir()
        for path in files:
            if i % 5 or path.name != "result.json":  # a fifth of them is not finished
                os.link(path, other / path.name)
    for command in ("status", "collect"):
        seconds, _ = timed(folder, "sweep", command, "sweep.json")
        figure(f"sweep {command}, {MANY} trials", seconds, " s", 1 if command == "status" else None)


def some_trials(folder):
    write(folder, TRIALS)
    seconds, said = timed(folder, "--log-level", "debug", "sweep", "run", "sweep.json", ranks=RANKS)
    figure(f"sweep run, {TRIALS} trials on {RANKS} ranks, a trial and rank",
           seconds * RANKS / TRIALS, " s")  # fmt: skip
    serving, running = map(float, re.search(r"took ([\d.]+) s of ([\d.]+) s", said).groups())
    figure("of rank 0's processor time, for handing out trials", 100 * serving / running, " %", 1)
    files = [path for path in (folder / "sweep").rglob("*") if path.is_file()]
    figure("files a finished trial, compact", len(files) / TRIALS, "", 5.1)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    figure("memory of the largest process", peak, " MB", 200)


if __name__ == "__main__":
    for work in (many_trials, some_trials):
        with tempfile.TemporaryDirectory(prefix="dln-sweep-") as directory:
            work(pathlib.Path(directory))
