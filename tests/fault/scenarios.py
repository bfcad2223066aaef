"""What the campaign trains: small jobs and sweeps that between them pass every failpoint."""

import dataclasses
import os
import sys

_TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [os.path.join(_TESTS, "e2e"), os.path.join(_TESTS, "support")]

# pylint: disable=wrong-import-position
from dln_program import job

TRAINING = {"batch_size": 8, "candidates": 5, "memory": 2, "tolerance": 2, "eval_candidates": 2}


@dataclasses.dataclass(frozen=True)
class Stage:
    """One call of dln in the life of a run or sweep, and how it ends unless it is killed. With `stop`, a passing of
    a failpoint, it is asked to stop there: the kills come behind that, and a restart is the next stage. `copies` are
    (from, to): files that are other ones from here on."""

    options: tuple = ()
    code: int = 0
    stop: str = ""
    copies: tuple = ()


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Stages that end in a complete run or sweep. `points` begins the names of the failpoints that are visited, each
    at so many passings as `most` says; `first` is a kill that comes before all others, so that restarts are what is
    visited. Samples leave out what is slow."""

    name: str
    stages: tuple = (Stage(),)
    points: tuple = ("",)
    most: int = 3
    first: str = ""
    server: tuple = ()  # options of the fake model server; none: no server is asked
    served: str = "backend"  # which model the server has
    is_slow: bool = False
    training: dict = dataclasses.field(default_factory=dict)
    parts: dict = dataclasses.field(default_factory=dict)  # of the job
    sweep: dict = dataclasses.field(default_factory=dict)  # fields of the sweep's file; none: a run of dln train

    def job(self, port):
        parts = {"train": {"steps": 3, **TRAINING, **self.training}, **self.parts}
        if self.server:
            endpoint = {"address": f"http://127.0.0.1:{port}", "in_flight": 10}
            parts[self.served] = {"kind": "http", "endpoints": endpoint, "prompts_a_call": 2}
        return job(**parts)

    def restart_of(self, stage):
        """The stage that goes on when this one was killed."""
        return stage + 1 if self.stages[stage].stop else stage


SHORT = {"steps": 2, "candidates": 4}
TWO_LAYERS = {
    "layers": [
        {"prompt": "Think.", "template": "{{prompt}}\n{{input}}", "residual": "{{input}}\n{{output}}", "max_tokens": 8},
        {"prompt": "Is it so?", "template": "{{prompt}}\n{{input}}"},
    ]
}
LATENTS = {**SHORT, "posterior": {"samples": 3, "log_q": True}}
IN_A_STEP = ("step_", "after_", "before_")  # stages of a step and of a run
STOPPING = ("before_stop", "spent.json", "lock.before_remove", "lock.after_remove")
STOPPED = 75
SEEDS = {"space": [{"pointer": "/train/candidates", "values": [3, 4]}], "seeds": [5, 6]}
# The first two of four trials fail for as long as extra.jsonl is no data.
FAILING = {"space": [{"pointer": "/data/train/path", "values": ["extra.jsonl", "train.jsonl"]}], "seeds": [5, 6]}
ASHA = {
    "method": "asha",
    "configurations": 4,
    "halving": {"most_steps": 2, "least_steps": 1, "reduction": 2},
    "space": [{"pointer": "/train/proposals/temperature", "min": 0.1, "max": 1}],
}
BROKEN, MENDED = (("broken.txt", "extra.jsonl"),), (("train.jsonl", "extra.jsonl"),)

SCENARIOS = (
    Scenario("train"),
    # Killed with a line in metrics.jsonl that no step file knows, so that the restart takes it off.
    Scenario("restart", first="before_save:3"),
    Scenario(
        "extend, keep=1",
        (Stage(("--set", "/train/steps=2", "--set", "/keep=1")), Stage(("--set", "/keep=1"))),
        points=("result.json", "step.", "metrics.jsonl", "LATEST.after", "lock", "step_begin"),
    ),
    Scenario(
        "budget",
        (Stage(("--set", "/budget/tokens=2000"), 4), Stage()),
        points=("spent.json", "before_stop", "lock", "job.json"),
    ),
    Scenario("stop", (Stage(stop="step_begin:2", code=STOPPED), Stage()), points=STOPPING),
    Scenario(
        "two layers",
        points=("step.", "prompts.json.half", "metrics.jsonl", *IN_A_STEP),
        most=2,
        training=LATENTS,
        parts={"network": TWO_LAYERS},
    ),
    Scenario(
        "server",
        points=("journal", "server.json", "model.id", "job.hash", "step.after", *IN_A_STEP),
        server=("--slots", 0),
        training=SHORT,
    ),
    # The journal is synced every few seconds.
    Scenario(
        "slow server",
        points=("journal.before_fsync", "journal.after_fsync"),
        server=("--latency-ms", 150),
        is_slow=True,
        training=SHORT,
    ),
    # Asked by a signal that one rank gets, while calls are under way.
    Scenario(
        "stop, server",
        (Stage(stop="journal.after_line:9", code=STOPPED), Stage()),
        points=("journal", *STOPPING),
        server=("--slots", 0),
        training=SHORT,
    ),
    Scenario(
        "two models, server",
        points=("journal", "server.json", "model.id", "step.half", *IN_A_STEP),
        most=2,
        server=("--slots", 0),
        served="backward_backend",
        training=LATENTS,
        parts={"network": TWO_LAYERS},
    ),
    Scenario(
        "sweep",
        (Stage(("--group-size", 2), code=2, copies=BROKEN),),
        points=("sweep.json", "job.json.half", "job.json.after_r", "failure", "step.", "result.json", "lock.after", "run",
                *IN_A_STEP),
        most=2,
        training=SHORT,
        sweep=FAILING,
    ),
    Scenario(
        "sweep, failed trials again",
        (Stage(code=2, copies=BROKEN), Stage(("--retry-failed",), copies=MENDED)),
        points=("failure", "lock.after_r"),
        most=2,
        training=SHORT,
        sweep=FAILING,
    ),
    # Trials that fail when they have done something.
    Scenario(
        "sweep, budget",
        (Stage(code=4),),
        points=("failure", "before_stop", "spent.json"),
        most=2,
        training=SHORT,
        parts={"budget": {"tokens": 2000}},
        sweep={**SEEDS, "seeds": [5]},
    ),
    Scenario(
        "sweep, compact",
        points=("step.before_r", "step.after_r", "metrics.jsonl.before_r", "metrics.jsonl.after_r", "LATEST.before_r",
                "LATEST.after_r", "result.json", "lock.before_r", "lock.after_r"),
        training=SHORT,
        sweep={**SEEDS, "seeds": [5], "compact": True},
    ),
    # One group: what is decided depends on the order in which trials end.
    Scenario(
        "sweep, ASHA",
        (Stage(("--group-size", 5)),),
        points=("decisions.jsonl", "step_end", "result.json.after_r", "lock.after_remove"),
        training=SHORT,
        sweep=ASHA,
    ),
    # Killed in a line, which the restart takes off.
    Scenario(
        "sweep, ASHA restart",
        (Stage(("--group-size", 5)),),
        points=tuple(f"decisions.jsonl.{instant}" for instant in ("before_open", "after_o", "half_written", "after_w",
                                                                  "after_f", "after_c", "after_r", "after_d")),
        first="decisions.jsonl.half_appended:3",
        training=SHORT,
        sweep=ASHA,
    ),
    Scenario(
        "sweep, stop",
        (Stage(stop="step_begin:2", code=STOPPED), Stage()),
        points=STOPPING,
        most=2,
        training=SHORT,
        sweep=SEEDS,
    ),
    Scenario(
        "sweep, server",
        points=("journal", "sweep.json", "job.json.half", "step.half", "result.json.half", *IN_A_STEP),
        most=2,
        server=("--slots", 0),
        training=SHORT,
        sweep={**SEEDS, "seeds": [5]},
    ),
)  # fmt: skip
