"""Kills: a run is killed at a failpoint, started again on other ranks, and must end as if nothing had happened."""

import collections
import concurrent.futures
import dataclasses
import os
import random
import shutil
import subprocess

from scenarios import SCENARIOS

# pylint: disable=wrong-import-order
from dln_program import ProgramTest, Result, command_line, environment_with, killable
from fake_llm_server import FakeServer

TOOL = os.environ["DLN_FAULT_TOOL"]
RANKS = (1, 2, 3, 5)
AGAIN = 4  # one kill of so many is followed by another one


def tool(*words, stdin=""):
    done = subprocess.run([TOOL, *map(str, words)], input=stdin, text=True, capture_output=True, check=False)
    if done.returncode == 2:
        raise RuntimeError(done.stderr)
    return done


@dataclasses.dataclass(frozen=True)
class Kill:
    """The n-th passing of a point in a stage."""

    stage: int
    point: str
    passing: int

    def variable(self):
        return f"{self.point}:{self.passing}"


@dataclasses.dataclass(frozen=True)
class Trial:
    scenario: object
    kill: Kill
    again: object  # Kill in the restart, or None
    ranks: tuple  # of the process that is killed, and of those after it

    def __str__(self):
        again = f", then {self.again.variable()}" if self.again else ""
        ranks = ", ".join(map(str, self.ranks))
        return f"stage {self.kill.stage}, {self.kill.variable()}{again}; ranks {ranks}"


def some_of(count, most=3):
    """Which of `count` passings are visited: all of few, else the first, the middle one and the last."""
    return range(1, count + 1) if count <= most else sorted({1, (count + 1) // 2, count})


def most_passings(log):
    """By point, how often the rank passed it that passed it most often."""
    most = collections.Counter()
    for (point, _), count in collections.Counter(tuple(reversed(line.split())) for line in log.splitlines()).items():
        most[point] = max(most[point], count)
    return most


class Workshop(ProgramTest):
    """Runs of one scenario in a directory of their own."""

    def __init__(self, scenario):
        super().__init__()
        self.scenario = scenario
        self.server = None
        self.passed = []  # by stage: how often a rank passed each point
        self.runs = 0

    def runTest(self):  # pylint: disable=invalid-name
        """unittest wants one."""

    def __enter__(self):
        self.setUp()
        # No example comes twice, so that no call does.
        self.write_data(train=40, test=10)
        if self.scenario.server:
            log = self.dir / "server.log"
            self.server = FakeServer(*self.scenario.server, "--log", log, lifetime=3600)
        self.write("job.json", self.scenario.job(self.server.port if self.server else 0))
        self.train_whole()
        return self

    def __exit__(self, *_):
        if self.server:
            self.server.close()
        self.doCleanups()

    def launch(self, stage, run, ranks, **env):
        words = ["train", "job.json", "--set", f"/run_dir={run}"]
        for one in self.scenario.stages[stage].sets:
            words += ["--set", one]
        done = subprocess.run(
            ["timeout", "-k", "5", "120", *command_line(words, ranks)],
            cwd=self.dir,
            env=environment_with({**killable(), **env}),
            capture_output=True,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        self.assertNotEqual(result.code, 124, f"more than 120 s\n{result}")
        return result

    def finish(self, stage, run, ranks, **env):
        result = self.launch(stage, run, ranks, **env)
        self.assertEqual(result.code, self.scenario.stages[stage].code, str(result))
        return result

    def is_killed(self, stage, run, ranks, variable):
        """False when the point was not passed so often, and the stage ended well."""
        result = self.launch(stage, run, ranks, DLN_FAILPOINT=variable)
        if result.code in (-9, 137):
            return True
        self.assertEqual(result.code, self.scenario.stages[stage].code, str(result))
        return False

    def train_whole(self):
        """The run that is never killed, and what restarts of the scenario pass."""
        ranks = 2 if self.server else 1
        for stage in range(len(self.scenario.stages)):
            log = self.dir / f"passed-{stage}"
            self.finish(stage, "whole", ranks, DLN_FAILPOINT_LOG=log)
            if self.scenario.first:
                log.unlink()
                self.assertTrue(self.is_killed(stage, "logged", ranks, self.scenario.first))
                self.finish(stage, "logged", ranks, DLN_FAILPOINT_LOG=log)
            self.passed.append(most_passings(log.read_text()))

    def kills(self):
        """All that this scenario visits."""
        return [
            Kill(stage, point, passing)
            for stage, passed in enumerate(self.passed)
            for point, count in sorted(passed.items())
            if point.startswith(self.scenario.points)
            for passing in some_of(count)
        ]

    # What the server was asked -----------------------------------------------------------------------

    def asked(self):
        """Lines of the server's log that say what came; none without a server."""
        path = self.dir / "server.log"
        return [line for line in path.read_text().splitlines() if '"arrive"' in line] if path.exists() else []

    def expect_nothing_held_is_asked(self, run, work):
        """Does `work`; nothing may be asked that the journal held before."""
        journal, before = self.dir / run / "journal", len(self.asked())
        held = self.dir / "held"
        if journal.exists():
            shutil.copytree(journal, held)
        result = work()
        if held.exists():
            model = (self.dir / run / "model.id").read_text().splitlines()[0]
            asked = "\n".join(self.asked()[before:])
            paid_twice = tool("held", held, model, stdin=asked).stdout.splitlines()
            self.assertEqual(paid_twice, [], "asked again though the journal held the reply")
            shutil.rmtree(held)
        return result

    # Trials ------------------------------------------------------------------------------------------

    def try_out(self, trial):
        """How often the run was killed. Raises AssertionError when it did not come through."""
        self.runs += 1
        run, kills = f"run-{self.runs}", 0
        ranks = list(trial.ranks)
        for stage in range(trial.kill.stage):
            self.finish(stage, run, ranks[1])
        variables = [trial.scenario.first] if trial.scenario.first else []
        variables += [trial.kill.variable()] + ([trial.again.variable()] if trial.again else [])
        for variable in variables:
            there = ranks[0]
            kills += self.expect_nothing_held_is_asked(
                run, lambda: self.is_killed(trial.kill.stage, run, there, variable)
            )
            ranks = ranks[1:] + ranks[:1]
        result = None
        for stage in range(trial.kill.stage, len(self.scenario.stages)):
            result = self.expect_nothing_held_is_asked(run, lambda: self.finish(stage, run, ranks[0]))
        self.expect_same_run(run, "whole")
        if "complete after" not in result.out:  # that only looks
            rest = [str(p) for p in (self.dir / run).rglob("*") if ".tmp" in p.name or p.name == "lock"]
            self.assertEqual(rest, [], "left over")
        shutil.rmtree(self.dir / run)
        return kills


def trials_of(workshop, chance):
    """All trials of a scenario, in an order and with ranks that only the seed decides."""
    kills = workshop.kills()
    for number, kill in enumerate(kills):
        # A later passing of what any rank may do comes for certain only where one rank does all.
        at = 0 if kill.point.startswith("journal.") and kill.passing > 1 else number % len(RANKS)
        ranks = RANKS[at:] + RANKS[:at]
        again = chance.choice([k for k in kills if k.stage == kill.stage]) if number % AGAIN == 0 else None
        yield Trial(workshop.scenario, kill, again, ranks)


def may_visit(scenario, only):
    return any(only.startswith(begin) or begin.startswith(only) for begin in scenario.points)


class Table:
    """What was done at each point."""

    def __init__(self):
        self.points = collections.defaultdict(lambda: [0, 0, 0, 0])  # trials, kills, kills more, failures
        self.failures = []

    def add(self, trial, kills, failure):
        row = self.points[trial.kill.point]
        row[0] += 1
        row[1] += min(kills, 1)
        row[2] += max(kills - 1, 0)
        row[3] += failure is not None
        if failure is not None:
            self.failures.append(f"{trial.scenario.name}: {trial}\n{failure}")

    def show(self, names):
        print(f"\n{'failpoint':40} {'runs':>6} {'killed':>7} {'again':>6} {'failed':>7}")
        for name in [n for n in names if n in self.points]:
            runs, kills, more, failed = self.points[name]
            print(f"{name:40} {runs:6} {kills:7} {more:6} {failed:7}")
        runs, kills, more, failed = map(sum, zip(*self.points.values()))
        print(f"{len(self.points):3} points{'':30} {runs:6} {kills:7} {more:6} {failed:7}")
        print(f"kills: {kills + more} in {runs} runs; {failed} runs did not end like the uninterrupted one")
        for failure in self.failures:
            print(f"\nFAILED {failure}")


def try_out_all(scenario, trials, jobs, workshop=Workshop):
    """Tries out all, so many at a time: (trial, kills, failure) of each."""

    def try_out(share):
        outcomes = []
        with workshop(scenario) as place:
            for trial in share:
                try:
                    outcomes.append((trial, place.try_out(trial), None))
                except AssertionError as failure:
                    print(f"FAILED {scenario.name}: {trial}", flush=True)
                    outcomes.append((trial, 0, failure))
        return outcomes

    shares = [trials[i::jobs] for i in range(min(jobs, len(trials)))]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return [outcome for done in pool.map(try_out, shares) for outcome in done]


def run(options, names):
    """Visits the failpoints; true when every run came through. `names` are those that there are."""
    table, passed = Table(), set()
    for number, scenario in enumerate(SCENARIOS):
        if (options.sample and scenario.is_slow) or not may_visit(scenario, options.only):
            continue
        chance = random.Random(options.seed * 1000 + number)
        with Workshop(scenario) as workshop:
            trials = [t for t in trials_of(workshop, chance) if t.kill.point.startswith(options.only)]
            passed.update(point for points in workshop.passed for point in points)
        if options.sample:
            trials = chance.sample(trials, min(len(trials), options.sample))
        print(f"kills, {scenario.name}: {len(trials)} runs", flush=True)
        for outcome in try_out_all(scenario, trials, options.jobs):
            table.add(*outcome)
    table.show(names)
    is_whole = not options.sample and not options.only
    unknown, unseen = passed - set(names), set(names) - passed
    if unknown:
        print(f"points that failpoint.hpp does not list: {', '.join(sorted(unknown))}")
    if unseen and is_whole:
        print(f"points that no scenario passes: {', '.join(sorted(unseen))}")
    return not table.failures and not unknown and not (unseen and is_whole)
