"""The tests' own cluster: nothing of it is left, even when the test process is killed."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import cluster
from slurm_job import SlurmTest

USER = """
import sys
import cluster
mine = cluster.Cluster()
print(mine.keeper.pid, mine.environment["SLURM_CONF"], flush=True)
sys.stdin.read()
"""
LONG_JOB = "srun --ntasks=1 sleep 1000 & setsid sleep 1000 & wait"


class Leftovers(SlurmTest):
    def setUp(self):
        super().setUp()
        # A second cluster, beside the one of the class.
        self.user = subprocess.Popen(
            [sys.executable, "-B", "-c", USER],
            cwd=pathlib.Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.user.stdout.close)
        self.addCleanup(self.user.stdin.close)
        self.addCleanup(self.user.wait)
        self.addCleanup(self.user.kill)
        keeper, config = self.user.stdout.readline().split()
        self.keeper, self.config = int(keeper), pathlib.Path(config)
        environment = self.environment | cluster.environment_of(self.config.parent)
        job = ("sbatch", "--ntasks=2", "--output=/dev/null", "--wrap", LONG_JOB)
        self.run_slurm(*job, env=environment)

    def sleepers(self):
        words = ("sleep 1000", "/usr/bin/sleep 1000", "/bin/sleep 1000")
        return [pid for pid in cluster.descendants_of(self.keeper) if command(pid) in words]

    @contextlib.contextmanager
    def expect_nothing_left(self):
        """After what is done inside."""
        self.wait_until(lambda: len(self.sleepers()) == 2, "the job runs")
        processes = [self.keeper, *cluster.descendants_of(self.keeper)]
        self.assertGreaterEqual(len(processes), 1 + 4 + 4, "keeper, daemons, the job's steps and processes")
        yield
        self.wait_until(lambda: not any(command(pid) for pid in processes), "all processes have ended")
        self.assertFalse(self.config.parent.exists())

    def test_killed_test_process_leaves_nothing(self):
        with self.expect_nothing_left():
            os.kill(self.user.pid, signal.SIGKILL)

    def test_ended_test_process_leaves_nothing(self):
        with self.expect_nothing_left():
            self.user.stdin.close()


def command(pid):
    """Its words; empty when it has ended, reaped or not."""
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode("utf-8", "replace").strip()
