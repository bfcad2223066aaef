"""Kills: a run or sweep is killed at a failpoint, started again on other ranks, and must end as if nothing had
happened."""

import collections
import concurrent.futures
import dataclasses
import json
import os
import random
import shutil
import subprocess

from scenarios import SCENARIOS

# pylint: disable=wrong-import-order
from dln_program import ProgramTest, Result, bytes_of, command_line, environment_with, killable
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


def some_of(passings, most=3):
    """Which of them are visited: all of few, else the first, for `most` 3 the middle one, and the last."""
    passings = list(passings)
    if len(passings) <= most:
        return passings
    return [passings[0], *passings[(len(passings) - 1) // 2 :][: most - 2], passings[-1]]


def passings_in(log, behind=""):
    """By point, which of its passings the log tells of, of the rank that made most of them. With `behind`, such as
    "step_end:2", only those that came after that one."""
    point, _, number = behind.partition(":")
    has_come = not behind
    count, numbers = collections.Counter(), collections.defaultdict(list)
    for line in log.splitlines():
        count[line] += 1
        if has_come:
            numbers[line].append(count[line])
        has_come = has_come or (line.split()[1] == point and count[line] == int(number))
    most = {}
    for line, its in numbers.items():
        point = line.split()[1]
        most[point] = max(most.get(point, []), its, key=len)
    return most


class Workshop(ProgramTest):
    """Runs of one scenario in a directory of their own."""

    def __init__(self, scenario):
        super().__init__()
        self.scenario = scenario
        self.server = None
        self.passed = []  # by stage: which passings of each point there are
        self.runs = 0

    def runTest(self):  # pylint: disable=invalid-name
        """unittest wants one."""

    def __enter__(self):
        self.setUp()
        # No example comes twice, so that no call does.
        self.write_data(train=40, test=10)
        self.write("broken.txt", "no examples")
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

    def command(self, run):
        return ["train", "job.json", "--set", f"/run_dir={run}"]

    def launch(self, number, run, ranks, **env):
        stage = self.scenario.stages[number]
        for old, new in stage.copies:
            shutil.copyfile(self.dir / old, self.dir / new)
        if stage.stop:
            env["DLN_FAILPOINT_STOP"] = stage.stop
        done = subprocess.run(
            ["timeout", "-k", "5", "120", *command_line([*self.command(run), *stage.options], ranks)],
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
        its = self.scenario.stages[stage]
        # Over more ranks none may come to the passing at which the stage is asked to stop.
        self.assertIn(result.code, (its.code, 0) if its.stop else (its.code,), str(result))
        return False

    def train_whole(self):
        """The run that is never killed or stopped, and what the stages of the scenario pass."""
        ranks = 2 if self.server else 1
        is_disturbed = self.scenario.first or any(stage.stop for stage in self.scenario.stages)
        for number, stage in enumerate(self.scenario.stages):
            log = self.dir / f"passed-{number}"
            if not stage.stop:
                self.finish(number, "whole", ranks, **({} if is_disturbed else {"DLN_FAILPOINT_LOG": log}))
            if is_disturbed:
                if self.scenario.first:
                    self.assertTrue(self.is_killed(number, "logged", ranks, self.scenario.first))
                self.finish(number, "logged", ranks, DLN_FAILPOINT_LOG=log)
            self.passed.append(passings_in(log.read_text(), stage.stop))
        if is_disturbed:
            self.expect_same_end("logged")

    def kills(self):
        """All that this scenario visits."""
        return [
            Kill(stage, point, passing)
            for stage, passed in enumerate(self.passed)
            for point, numbers in sorted(passed.items())
            if point.startswith(self.scenario.points)
            for passing in some_of(numbers, self.scenario.most)
        ]

    def expect_same_end(self, run):
        self.expect_same_run(run, "whole")

    def expect_nothing_left_over(self, run, result):
        if "complete after" not in result.out:  # that only looks
            rest = [str(p) for p in (self.dir / run).rglob("*") if ".tmp" in p.name or p.name == "lock"]
            self.assertEqual(rest, [], "left over")

    # What the server was asked -----------------------------------------------------------------------

    def asked(self):
        """Lines of the server's log that say what came; none without a server."""
        path = self.dir / "server.log"
        return [line for line in path.read_text().splitlines() if '"arrive"' in line] if path.exists() else []

    def models(self):
        """As runs of this workshop name them."""
        names = {line for path in (self.dir / "whole").rglob("model.id") for line in path.read_text().splitlines()}
        return sorted(names - {""})

    def expect_nothing_held_is_asked(self, run, work):
        """Does `work`; nothing may be asked that the journal held before."""
        journal, before = self.dir / run / "journal", len(self.asked())
        held = self.dir / "held"
        if journal.exists():
            shutil.copytree(journal, held)
        result = work()
        if held.exists():
            asked = "\n".join(self.asked()[before:])
            for model in self.models():
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
        launches = [(trial.kill.stage, trial.scenario.first)] if trial.scenario.first else []
        launches += [(one.stage, one.variable()) for one in (trial.kill, trial.again) if one]
        for stage, variable in launches:
            there = ranks[0]
            kills += self.expect_nothing_held_is_asked(run, lambda: self.is_killed(stage, run, there, variable))
            ranks = ranks[1:] + ranks[:1]
        result = None
        for stage in range(trial.scenario.restart_of(trial.kill.stage), len(self.scenario.stages)):
            result = self.expect_nothing_held_is_asked(run, lambda: self.finish(stage, run, ranks[0]))
        self.expect_same_end(run)
        self.expect_nothing_left_over(run, result)
        shutil.rmtree(self.dir / run)
        return kills


class SweepWorkshop(Workshop):
    """The same with sweeps, in whose directories the trials are runs."""

    def command(self, run):
        name = f"{run}.json"
        self.write(name, {"name": "sweep", "job": "job.json", "runs_dir": run, **self.scenario.sweep})
        return ["sweep", "run", name]

    def parts_of(self, run):
        """What a sweep keeps beside its trials."""
        directory = self.dir / run
        spec = json.loads((directory / "sweep.json").read_text())
        failures = {path.name: path.read_text() for path in (directory / "failures").iterdir()}
        files = {name: bytes_of(directory / name) for name in ("job.json", "decisions.jsonl")}
        return {**spec, "runs_dir": "."}, files, failures

    def files_in(self, directory):
        """But for locks and temporary files: see expect_nothing_left_over."""
        names = [p.relative_to(self.dir / directory) for p in (self.dir / directory).rglob("*") if p.is_file()]
        return sorted(str(name) for name in names if name.name != "lock" and ".tmp" not in name.name)

    def expect_same_end(self, run):
        self.assertEqual(self.parts_of(run), self.parts_of("whole"))
        trials, others = (sorted(p.name for p in (self.dir / one).glob("0*")) for one in (run, "whole"))
        self.assertEqual(trials, others)
        for trial in trials:
            same = self.expect_same_results if self.scenario.sweep.get("compact") else self.expect_same_run
            same(f"{run}/{trial}", f"whole/{trial}")
            kept, whole = (self.files_in(f"{one}/{trial}") for one in (run, "whole"))
            self.assertEqual(kept, whole)

    def expect_nothing_left_over(self, run, result):
        # A trial that was killed behind its results keeps its lock, and one without budget what was being written:
        # nobody runs them again.
        is_spent = self.scenario.parts.get("budget")
        rest = [str(p) for p in (self.dir / run).rglob("*.tmp*") if not (is_spent and p.name.startswith("spent.json"))]
        self.assertEqual(rest, [], "left over")


def workshop_for(scenario):
    return SweepWorkshop(scenario) if scenario.sweep else Workshop(scenario)


def trials_of(workshop, chance):
    """All trials of a scenario, in an order and with ranks that only the seed decides."""
    scenario, kills = workshop.scenario, workshop.kills()
    for number, kill in enumerate(kills):
        at = number % len(RANKS)
        ranks = RANKS[at:] + RANKS[:at]
        # A later passing of what any rank may do comes for certain only where one rank does all.
        if kill.passing > 1 and (scenario.sweep or kill.point.startswith("journal.")):
            ranks = (1, *(r for r in ranks if r != 1))
        restart = [k for k in kills if k.stage == scenario.restart_of(kill.stage)]
        again = chance.choice(restart) if number % AGAIN == 0 and restart else None
        yield Trial(scenario, kill, again, ranks)


def may_visit(scenario, only):
    return any(only.startswith(begin) or begin.startswith(only) for begin in scenario.points)


class Table:
    """What was done at each point."""

    def __init__(self):
        self.points = collections.defaultdict(lambda: [0, 0, 0, 0])  # trials, kills, kills more, failures
        self.failures = []
        self.missed = []  # runs that did not come to their point

    def add(self, trial, kills, failure):
        row = self.points[trial.kill.point]
        row[0] += 1
        row[1] += min(kills, 1)
        row[2] += max(kills - 1, 0)
        row[3] += failure is not None
        if failure is not None:
            self.failures.append(f"{trial.scenario.name}: {trial}\n{failure}")
        elif kills == 0:
            self.missed.append(f"{trial.scenario.name}: {trial}")

    def show(self, names):
        print(f"\n{'failpoint':40} {'runs':>6} {'killed':>7} {'again':>6} {'failed':>7}")
        for name in [n for n in names if n in self.points]:
            runs, kills, more, failed = self.points[name]
            print(f"{name:40} {runs:6} {kills:7} {more:6} {failed:7}")
        runs, kills, more, failed = map(sum, zip(*self.points.values()))
        print(f"{len(self.points):3} points{'':30} {runs:6} {kills:7} {more:6} {failed:7}")
        print(f"kills: {kills + more} in {runs} runs; {failed} runs did not end like the uninterrupted one")
        for missed in self.missed:
            print(f"not killed, and ended well: {missed}")
        for failure in self.failures:
            print(f"\nFAILED {failure}")


def try_out_share(workshop, trials):
    outcomes = []
    for trial in trials:
        try:
            outcomes.append((trial, workshop.try_out(trial), None))
        except AssertionError as failure:
            print(f"FAILED {workshop.scenario.name}: {trial}", flush=True)
            outcomes.append((trial, 0, failure))
    return outcomes


def try_out_all(workshop, trials, jobs):
    """Tries out all, so many at a time, in this workshop and others of its kind: (trial, kills, failure) of each."""

    def try_out_elsewhere(share):
        with type(workshop)(workshop.scenario) as place:
            return try_out_share(place, share)

    shares = [trials[i::jobs] for i in range(jobs)]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        elsewhere = pool.map(try_out_elsewhere, [share for share in shares[1:] if share])
        outcomes = try_out_share(workshop, shares[0])
        return outcomes + [outcome for done in elsewhere for outcome in done]


def run(options, names):
    """Visits the failpoints; true when every run came through. `names` are those that there are."""
    table, passed = Table(), set()
    for number, scenario in enumerate(SCENARIOS):
        if not scenario.name.startswith(options.scenario) or not may_visit(scenario, options.only):
            continue
        if options.sample and scenario.is_slow:
            passed.update(name for name in names if name.startswith(scenario.points))
            continue
        chance = random.Random(options.seed * 1000 + number)
        with workshop_for(scenario) as workshop:
            trials = [t for t in trials_of(workshop, chance) if t.kill.point.startswith(options.only)]
            passed.update(point for points in workshop.passed for point in points)
            if options.sample:
                trials = chance.sample(trials, min(len(trials), options.sample))
            print(f"kills, {scenario.name}: {len(trials)} runs", flush=True)
            for outcome in try_out_all(workshop, trials, options.jobs):
                table.add(*outcome)
    table.show(names)
    unknown = passed - set(names)
    unseen = set() if options.only or options.scenario else set(names) - passed
    if unknown:
        print(f"points that failpoint.hpp does not list: {', '.join(sorted(unknown))}")
    if unseen:
        print(f"points that no scenario passes: {', '.join(sorted(unseen))}")
    return not table.failures and not unknown and not unseen
