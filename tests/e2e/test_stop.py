"""Asked to stop, a run ends in order with 75, and the same command goes on as if nothing had been asked."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from dln_program import ALONE, ProgramTest, command_line, environment_with, job, pid_of_rank
from fake_llm_server import FakeServer

STOPPED = 75


class Stop(ProgramTest):
    def setUp(self):
        super().setUp()
        self.write_data(train=20)

    def write_steps(self, steps, **parts):
        train = {"steps": steps, "batch_size": 8, "candidates": 5, "memory": 2}
        self.write("job.json", job(train=train, **parts))

    def start(self, *options, ranks=ALONE, env=None):
        """The program, with its standard error in self.dir/err."""
        with open(self.dir / "err", "wb") as err:
            process = subprocess.Popen(
                ["timeout", "-k", "5", "--foreground", "60", *command_line(["train", "job.json", *options], ranks)],
                cwd=self.dir,
                env=environment_with(env),
                stdout=subprocess.PIPE,
                stderr=err,
            )
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait()

    def wait_for_step(self, process, steps):
        seen = 0
        while seen < steps:
            line = process.stdout.readline()
            self.assertTrue(line, f"ended after {seen} steps: {self.errors()}")
            seen += b" candidates, incumbent" in line

    def errors(self):
        return (self.dir / "err").read_text()

    def child(self, process):
        """timeout's child: the program, or mpirun."""
        (pid,) = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(pid)

    def expect_stopped(self, process, why):
        process.stdout.read()
        self.assertEqual(process.wait(), STOPPED, self.errors())
        self.assertIn(f"job.json: stopped ({why}) with ", self.errors())
        self.assertIn("Run the same command again to go on", self.errors())
        self.assertFalse((self.dir / "run/result.json").exists(), "stopped too late")
        self.assertFalse((self.dir / "run/lock").exists())

    def expect_goes_on(self, ranks):
        self.train(run="whole")
        result = self.train(ranks=ranks)
        self.assertIn("resumed after step", result.out)
        self.expect_same_run("run", "whole")


class Signals(Stop):
    def test_each_signal_stops_a_run_on_one_rank(self):
        self.write_steps(100)
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                process = self.start()
                self.wait_for_step(process, 2)
                os.kill(self.child(process), number)
                self.expect_stopped(process, number.name)
        self.expect_goes_on(2)

    def test_signal_to_mpirun_stops_all_ranks_with_75(self):
        self.write_steps(100)
        process = self.start(ranks=3)
        self.wait_for_step(process, 2)
        os.kill(self.child(process), signal.SIGUSR1)
        self.expect_stopped(process, "SIGUSR1")
        self.expect_goes_on(2)

    def test_signal_that_only_one_rank_gets_stops_all(self):
        self.write_steps(100)
        process = self.start(ranks=2)
        self.wait_for_step(process, 2)
        os.kill(pid_of_rank(self.child(process), 1), signal.SIGUSR1)
        self.expect_stopped(process, "rank 1: SIGUSR1")
        self.expect_goes_on(ALONE)


class Servers(Stop):
    """A server that gets calls and answers none, from some time on."""

    def setUp(self):
        super().setUp()
        self.server = FakeServer()
        self.addCleanup(self.server.close)
        endpoint = f"http://127.0.0.1:{self.server.port}"
        self.write_steps(3, backend={"kind": "http", "endpoints": endpoint, "deadline_seconds": 600})

    def start_stuck(self, ranks):
        """A run that is in its second step or later and waits for a reply that does not come."""
        process = self.start(ranks=ranks)
        self.wait_for_step(process, 1)
        self.server.post("/faults", {"faults": ["stall:1"]})
        while process.poll() is None and not self.server.stats()["by_fault"].get("stall"):
            time.sleep(0.01)
        return process

    def expect_goes_on(self, ranks):
        self.server.post("/faults", {"faults": []})
        super().expect_goes_on(ranks)

    def test_replies_that_do_not_come_are_not_waited_for(self):
        for ranks in (ALONE, 2):
            with self.subTest(ranks=ranks):
                process = self.start_stuck(ranks)
                os.kill(self.child(process), signal.SIGUSR1)
                self.expect_stopped(process, "SIGUSR1")
                self.expect_goes_on(3)
                shutil.rmtree(self.dir / "run")

    def test_second_interrupt_ends_at_once_and_loses_nothing(self):
        process = self.start_stuck(ALONE)
        pid = self.child(process)
        while process.poll() is None:
            os.kill(pid, signal.SIGINT)
            time.sleep(0.01)
        # timeout(1) ends with its child's signal.
        self.assertEqual(process.returncode, -signal.SIGINT, self.errors())
        self.expect_goes_on(2)

    def test_signal_before_the_first_step_ends_at_once_with_75(self):
        self.server.post("/faults", {"faults": ["stall:1"]})
        for ranks in (ALONE, 2):
            with self.subTest(ranks=ranks):
                self.server.post("/stats/reset", {})
                process = self.start(ranks=ranks)
                while process.poll() is None and not self.server.stats()["by_fault"].get("stall"):
                    time.sleep(0.01)
                os.kill(self.child(process), signal.SIGUSR1)
                process.stdout.read()
                self.assertEqual(process.wait(), STOPPED, self.errors())
        self.server.post("/faults", {"faults": []})
        self.train()


class Times(Stop):
    def test_run_stops_before_its_hours_are_over(self):
        self.write_steps(100000)
        process = self.start("--max-hours", "0.0005")
        self.expect_stopped(process, "--max-hours 0.0005")

    def test_hours_that_are_none_are_refused(self):
        self.write_steps(1)
        for hours in ("0", "-1", "soon"):
            result = self.dln("train", "job.json", "--max-hours", hours)
            self.assertEqual(result.code, 2)
            self.assertIn("--max-hours", result.err)


if __name__ == "__main__":
    unittest.main()
