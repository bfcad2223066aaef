"""What the campaign trains: small jobs that between them pass every failpoint."""

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
    """One call of dln train in the life of a run: its --set options, and how it ends unless it is killed."""

    sets: tuple = ()
    code: int = 0


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Stages that end in a complete run. `points` begins the names of the failpoints that are visited; `first`
    is a kill that comes before all others, so that restarts are what is visited. Samples leave out what is slow."""

    name: str
    stages: tuple
    points: tuple = ("",)
    first: str = ""
    server: tuple = ()  # options of the fake model server; none: no server is asked
    is_slow: bool = False
    training: dict = dataclasses.field(default_factory=dict)

    def job(self, port):
        train = {"steps": 3, **TRAINING, **self.training}
        if not self.server:
            return job(train=train)
        endpoint = {"address": f"http://127.0.0.1:{port}", "in_flight": 10}
        return job(train=train, backend={"kind": "http", "endpoints": endpoint, "prompts_a_call": 2})


SCENARIOS = (
    Scenario("train", (Stage(),)),
    # Killed with a line in metrics.jsonl that no step file knows, so that the restart takes it off.
    Scenario("restart", (Stage(),), first="before_save:3"),
    Scenario(
        "extend, keep=1",
        (Stage(("/train/steps=2", "/keep=1")), Stage(("/keep=1",))),
        points=("result.json", "step.", "metrics.jsonl", "LATEST.after", "lock", "step_begin"),
    ),
    Scenario(
        "budget",
        (Stage(("/budget/tokens=2000",), 4), Stage()),
        points=("spent.json", "before_stop", "lock", "job.json"),
    ),
    Scenario(
        "server",
        (Stage(),),
        points=("journal", "server.json", "model.id", "job.hash", "step.after", "step_", "after_", "before_"),
        server=("--slots", 0),
        training={"steps": 2, "candidates": 4},
    ),
    # The journal is synced every few seconds.
    Scenario(
        "slow server",
        (Stage(),),
        points=("journal.before_fsync", "journal.after_fsync"),
        server=("--latency-ms", 150),
        is_slow=True,
        training={"steps": 2, "candidates": 4},
    ),
)
