"""A disk that refuses: each call of a run that changes something below its directory fails once, and, like on a
disk that is full, with all that follow. The run must end with 1 and name the file, and go on when there is room."""

import collections
import dataclasses
import errno
import os
import random
import re
import shutil

from kills import Workshop, some_of, try_out_all
from scenarios import SCENARIOS

# pylint: disable=wrong-import-order
from dln_program import ALONE

FAULT = os.environ["DLN_DISK_FAULT"]


@dataclasses.dataclass(frozen=True)
class Fault:
    """Call `number` of a run fails; with `stays`, so do all later ones that take space."""

    call: str
    file: str  # "steps/000001.h5"
    number: int
    error: int
    stays: bool

    def is_of_journal(self):
        return self.file.split("/")[0] == "journal" and self.call != "mkdir"

    def outcomes(self):
        """Exit codes that are right. Without its journal a run goes on: replies can be paid for again; but a disk
        that stays full ends it. What fails while the lock is made empty or given back does no harm."""
        if self.is_of_journal():
            return (1,) if self.stays else (0,)
        return (0, 1) if self.file == "lock" and self.call in ("close", "unlink") else (1,)

    def __str__(self):
        stays = " and later ones" if self.stays else ""
        return f"{self.call} of {self.file} (call {self.number}){stays}: {os.strerror(self.error)}"


class DiskWorkshop(Workshop):
    def preloaded(self, run, log, fault=None):
        return {
            "LD_PRELOAD": FAULT,
            "DLN_DISK_FAULT_BELOW": f"/{run}",
            "DLN_DISK_FAULT_LOG": log,
            "DLN_DISK_FAULT_AT": fault.number if fault else 0,
            "DLN_DISK_FAULT_ERRNO": fault.error if fault else 0,
            "DLN_DISK_FAULT_STAYS": int(fault.stays) if fault else 0,
        }

    def calls(self):
        """(call, file) in their order; a temporary file counts as what it will be."""
        log = self.dir / "calls"
        self.finish(0, "counted", ALONE, **self.preloaded("counted", log))
        calls = []
        for line in log.read_text().splitlines():
            call, path = line.split()
            file = re.sub(r"\.tmp-.*", "", path.partition("/counted")[2]).lstrip("/")
            calls.append((call, file))
        return calls

    def try_out(self, fault):  # pylint: disable=arguments-renamed
        self.runs += 1
        run = f"run-{self.runs}"
        log = self.dir / "log"
        result = self.launch(0, run, ALONE, **self.preloaded(run, log, fault))
        self.assertIn(" failed", log.read_text(), "the fault did not come")
        log.unlink()
        self.assertIn(result.code, fault.outcomes(), str(result))
        if result.code == 0:
            self.expect_same_run(run, "whole")
        if fault.is_of_journal():
            if fault.call != "close":  # at the end of the process, which has nothing more to write
                self.assertIn(f"/{fault.file}: {fault.call} failed: {os.strerror(fault.error)}", result.err)
        elif result.code == 1:
            self.expect_message(result, 1, fault.file, os.strerror(fault.error))
        self.finish(0, run, ALONE)
        self.expect_same_run(run, "whole")
        shutil.rmtree(self.dir / run)
        return 0


def faults_of(calls, visits_all):
    """Each call with each error; of those with the same file and name only some, unless all are visited."""
    numbers = collections.defaultdict(list)
    for number, call in enumerate(calls, 1):
        numbers[call].append(number)
    chosen = sorted(
        number
        for call in numbers.values()
        for number in (call if visits_all else some_of(call))
    )
    return [
        Fault(*calls[number - 1], number, error, stays)
        for number in chosen
        for error, stays in ((errno.ENOSPC, False), (errno.EIO, False), (errno.ENOSPC, True))
        if not stays or (calls[number - 1][0] in ("open", "write") and error == errno.ENOSPC)
    ]


def run(options, _names):
    """True when every refusal was told and survived."""
    count, failures = collections.Counter(), []
    for scenario in [one for one in SCENARIOS if one.name in ("train", "server")]:
        with DiskWorkshop(scenario) as workshop:
            faults = faults_of(workshop.calls(), visits_all=not scenario.server)
            if options.sample:
                faults = random.Random(options.seed).sample(faults, options.sample)
            print(f"disk faults, {scenario.name}: {len(faults)} runs", flush=True)
            for fault, _, failure in try_out_all(workshop, faults, options.jobs):
                count[fault.call, fault.stays] += 1
                if failure is not None:
                    failures.append(f"{scenario.name}: {fault}\n{failure}")
    print(f"\n{'call that fails':16} {'once':>6} {'stays':>6}")
    for call in sorted({call for call, _ in count}):
        print(f"{call:16} {count[call, False]:6} {count[call, True]:6}")
    print(f"disk faults: {sum(count.values())}; {len(failures)} were not told or not survived")
    for failure in failures:
        print(f"\nFAILED {failure}")
    return not failures
