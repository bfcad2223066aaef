"""What the tests under Slurm share: a cluster for the tests of a class, and jobs on it."""

import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "e2e"))
sys.path.insert(0, str(TESTS / "support"))

# pylint: disable=wrong-import-position
import cluster
from dln_program import PROGRAM, ProgramTest, job
from fake_llm_server import PROGRAM as FAKE_SERVER, FakeServer  # pylint: disable=unused-import

SCRIPTS = TESTS.parent / "slurm"
SECONDS = 120  # that a state may be waited for: a loaded machine is slow
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL")
NEVER = 100000  # steps of a job that is to be interrupted

# In front of dln: a job that is started again waits for the test to give its run an end.
GATE = f"""#!/bin/sh
while [ -n "$SLURM_RESTART_COUNT" ] && [ ! -e go ]; do sleep 0.1; done
exec {PROGRAM} "$@"
"""


def environment_of_user():
    """Without what the tests set for Open MPI: the scripts must do that. dln-batch is on PATH."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("OMPI_", "SLURM_", "SBATCH_", "DLN_"))
    }
    kept["PATH"] = f"{pathlib.Path(PROGRAM).parent}:{kept['PATH']}"
    # Not shared memory between ranks: those that are killed leave their segments in /dev/shm.
    kept["OMPI_MCA_btl"] = "tcp,self"
    # mpirun waits for twice as many seconds once a rank has ended with another code than 0.
    kept["OMPI_MCA_odls_base_sigkill_timeout"] = "1"
    return kept


class SlurmTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        reason = cluster.why_not()
        if reason:
            raise unittest.SkipTest(f"no Slurm cluster can be started here: {reason}")
        try:
            cls.cluster = cluster.Cluster()
        except cluster.NoCluster as failure:  # a container may forbid what the daemons want
            raise unittest.SkipTest(f"no Slurm cluster can be started here: {failure}") from failure
        cls.addClassCleanup(cls.cluster.close)
        cls.environment = environment_of_user() | cls.cluster.environment

    def setUp(self):
        super().setUp()
        self.jobs = []
        self.environment = self.environment | {"PATH": f"{self.dir}/bin:{self.environment['PATH']}"}
        self.addCleanup(self.end_jobs)

    def end_jobs(self):
        """No job of this test disturbs the next one; all that they said is shown when it failed."""
        outcome = self._outcome
        if outcome and not outcome.success:
            for path in sorted(self.dir.glob("*.log")):
                print(f"--- {path.name}\n{path.read_text(errors='replace')}", file=sys.stderr)
        if self.jobs:
            self.run_slurm("scancel", "--quiet", *self.jobs, check=False)
            running = ("squeue", "--noheader", "--format=%i")
            self.wait_until(lambda: not self.run_slurm(*running).strip(), "the queue is empty")

    # Slurm -----------------------------------------------------------------------------------------

    def run_slurm(self, *words, env=None, check=True):
        done = subprocess.run(
            ["timeout", "60", *map(str, words)],
            cwd=self.dir,
            env=self.environment | (env or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def submit(self, script, *arguments, options=(), env=None):
        """Submits slurm/SCRIPT as a user would, from the test's directory; returns the job's number."""
        words = ("sbatch", "--parsable", *options, SCRIPTS / script, *arguments)
        number = self.run_slurm(*words, env=env).strip()
        self.jobs.append(number)
        return number

    def field(self, number, name):
        """A field of `scontrol show job`."""
        said = self.run_slurm("scontrol", "--oneliner", "show", "job", number)
        return re.search(rf"\b{name}=(\S*)", said).group(1)

    def state(self, number):
        return self.field(number, "JobState")

    def log(self, number):
        """What the job wrote so far."""
        paths = list(self.dir.glob(f"*-{number}.log"))
        return paths[0].read_text(errors="replace") if paths else ""

    def wait_until(self, condition, what):
        end = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end, f"never happened: {what}")
            time.sleep(0.1)

    def wait_for_end(self, number):
        """Of the whole job: one that is put back into the queue has not ended."""
        self.wait_until(lambda: self.state(number) in ENDED, f"the end of job {number}")

    def expect_completed(self, number, restarts=0):
        self.wait_for_end(number)
        said = f"{self.state(number)}\n{self.log(number)}"
        self.assertEqual(self.state(number), "COMPLETED", said)
        self.assertEqual(self.field(number, "Restarts"), str(restarts), said)

    def put_on_path(self, name, script):
        """A program of the test's own, before all others."""
        self.write(f"bin/{name}", script).chmod(0o755)

    # dln -------------------------------------------------------------------------------------------

    def write_endless_job(self, **changes):
        """job.json whose run never ends by itself, so that an interruption never comes too late."""
        self.write_data()
        self.write_steps(NEVER, **changes)
        self.put_on_path("dln", GATE)

    def write_steps(self, steps, **changes):
        train = {"steps": steps, "batch_size": 8, "candidates": 5, "memory": 2}
        self.write("job.json", job(train=train, **changes))

    def steps_done(self, run="run"):
        latest = self.dir / run / "LATEST"
        return int(re.search(r"\d+", latest.read_text()).group()) if latest.exists() else 0

    def wait_for_steps(self, steps, run="run"):
        self.wait_until(lambda: self.steps_done(run) >= steps, f"{steps} steps")

    def let_it_end(self, steps, **changes):
        """Gives the job an end, and jobs that were started again their way (GATE)."""
        self.write_steps(steps, **changes)
        self.write("go", "")
