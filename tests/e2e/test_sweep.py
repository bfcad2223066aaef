"""Sweeps: many trials of a scripted job, planned, run, killed and resumed, and what they came to."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import (
    ALONE,
    ProgramTest,
    command_line,
    environment_with,
    killable,
    pid_of_rank,
)
from fake_llm_server import FakeServer

CANDIDATES = {"pointer": "/train/candidates", "values": [3, 4]}


class Sweeps(ProgramTest):
    def write_sweep(self, space=None, job_parts=None, **fields):
        """sweep.json over job.json; returns its name."""
        parts = {"train": {"steps": 2, "batch_size": 4, "candidates": 3}}
        self.write_job(**{**parts, **(job_parts or {})})
        sweep = {"job": "job.json", "space": space or [CANDIDATES], "runs_dir": "sweep", **fields}
        self.write("sweep.json", sweep)
        return "sweep.json"

    def sweep(self, command, *arguments, **options):
        return self.succeed("sweep", command, "sweep.json", *arguments, **options)

    def status(self):
        return json.loads(self.sweep("status", "--json").out)

    def collected(self):
        """What trials came to, without what differs from one time to the next."""
        found = json.loads(self.sweep("collect", "--json").out)
        return [
            (one["settings"], one.get("mean"), [trial["state"] for trial in one["trials"]])
            for one in found["configurations"]
        ]

    def run_until(self, failpoint, *arguments):
        done = subprocess.run(
            ["timeout", "-k", "5", "60"]
            + command_line(["sweep", "run", "sweep.json", *arguments], ALONE),
            cwd=self.dir,
            env=environment_with({"DLN_FAILPOINT": failpoint, **killable()}),
            capture_output=True,
            check=False,
        )
        self.assertIn(done.returncode, (-9, 137), done)


class Plan(Sweeps):
    def test_lists_every_trial_and_writes_nothing(self):
        self.write_sweep(seeds=[5, 6])
        table = self.sweep("plan").out.splitlines()
        self.assertEqual(table[0], "sweep: 2 configurations, 4 trials")
        self.assertEqual(
            table[4].split(), ["3", "/train/candidates=4,", "/seed=6", "sweep/000003"]
        )
        plan = json.loads(self.sweep("plan", "--json").out)
        self.assertEqual(plan["trials"][2]["settings"], {"/train/candidates": 4})
        self.assertEqual(plan["trials"][2]["seed"], 5)
        self.assertFalse((self.dir / "sweep").exists())

    def test_unknown_field_is_named(self):
        self.write_sweep([{"pointer": "/train/candidate", "values": [3]}])
        result = self.dln("sweep", "plan", "sweep.json")
        self.assertEqual(result.code, 2, result)
        self.assertIn("/train/candidate: unknown field", result.err)
        self.assertIn('Did you mean "candidates"?', result.err)

    def test_missing_sweep_file_is_named(self):
        result = self.dln("sweep", "plan", "none.json", ranks=2)
        self.expect_message(result, 2, "none.json: cannot be read. Expected the path of a sweep")


class Trial(Sweeps):
    def test_is_the_run_that_train_would_make(self):
        self.write_sweep(seeds=[5, 6])
        self.sweep("trial", "3", ranks=2)
        self.train("/train/candidates=4", "/seed=6", '/name="sweep-1"', run="straight")
        self.expect_same_run("sweep/000003", "straight")
        again = self.sweep("trial", env={"SLURM_ARRAY_TASK_ID": 3})
        self.assertIn("complete after 2 steps", again.out)

    def test_number_out_of_range_is_refused_and_writes_nothing(self):
        self.write_sweep()
        result = self.dln("sweep", "trial", "sweep.json", "2", ranks=2)
        self.expect_message(result, 2, "there is no trial 2. Expected 0 to 1.")
        self.assertFalse((self.dir / "sweep").exists())

    def test_compact_trial_leaves_five_files_and_stays_complete(self):
        self.write_sweep(compact=True)
        self.sweep("trial", "0")
        run = self.dir / "sweep/000000"
        files = [path.name for path in run.rglob("*") if path.is_file()]
        self.assertCountEqual(
            files, ["job.json", "job.hash", "model.id", "prompts.json", "result.json"]
        )
        self.assertIn("complete after 2 steps", self.sweep("trial", "0").out)
        self.succeed("predict", "--run", str(run), stdin='{"input": "a"}\n')


class Run(Sweeps):
    def test_results_are_the_same_on_any_number_of_ranks(self):
        rate = {"pointer": "/train/proposals/temperature", "min": 0.1, "max": 1, "log": True}
        self.write_sweep([CANDIDATES, rate], method="sobol", configurations=3, seeds=[5, 6])
        self.sweep("run")
        alone = self.collected()
        self.assertTrue(all(state == ["finished"] * 2 for _, _, state in alone))
        for ranks, size in ((3, 1), (4, 3)):
            shutil.rmtree(self.dir / "sweep")
            result = self.sweep("run", "--group-size", str(size), ranks=ranks)
            self.assertIn("6 finished", result.out)
            self.assertEqual(self.collected(), alone)

    def test_goes_on_after_a_kill(self):
        self.write_sweep(seeds=[5, 6])
        self.sweep("run")
        straight = self.collected()
        (self.dir / "sweep").rename(self.dir / "straight")
        # Each trial passes the end of a step twice.
        self.run_until("step_end:3")
        status = self.status()
        self.assertEqual(status["finished"], [0])
        self.assertEqual(status["stopped"], [1])
        result = self.sweep("run", ranks=2)
        self.assertIn("3 to run", result.out)
        self.assertEqual(self.collected(), straight)
        for trial in ("000000", "000001", "000002", "000003"):
            self.expect_same_run(f"sweep/{trial}", f"straight/{trial}")
        self.assertIn("0 to run", self.sweep("run").out)

    def test_stops_in_time_and_goes_on(self):
        self.write_sweep()
        result = self.dln("sweep", "run", "sweep.json", "--max-hours", "1e-9", ranks=2)
        self.assertEqual(result.code, 75, result)
        self.assertEqual(self.status()["finished"] + self.status()["failed"], [])
        result = self.dln("sweep", "trial", "sweep.json", "1", "--max-hours", "1e-9")
        self.assertEqual(result.code, 75, result)
        self.assertEqual(self.status()["stopped"], [1])
        self.sweep("run")
        self.assertEqual(self.status()["finished"], [0, 1])

    def test_signal_that_only_one_group_gets_stops_all(self):
        for signalled in (0, 1):
            with self.subTest(rank=signalled):
                self.write_sweep(
                    [{"pointer": "/train/candidates", "values": [3, 4, 5]}],
                    {"train": {"steps": 1_000_000, "batch_size": 4}},
                )
                process = subprocess.Popen(
                    command_line(["sweep", "run", "sweep.json"], 2),
                    cwd=self.dir,
                    env=environment_with({}),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                self.addCleanup(process.kill)
                begun = [self.dir / f"sweep/00000{i}/steps/000001.h5" for i in (0, 1)]
                while process.poll() is None and not all(path.exists() for path in begun):
                    time.sleep(0.01)
                os.kill(pid_of_rank(process.pid, signalled), signal.SIGUSR1)
                said, _ = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 75, said)
                status = self.status()
                self.assertEqual((status["stopped"], status["waiting"]), ([0, 1], [2]))
                shutil.rmtree(self.dir / "sweep")

    def test_failing_trial_is_recorded_and_does_not_end_the_sweep(self):
        self.write("broken.jsonl", "no json\n")
        values = ["broken.jsonl", "train.jsonl"]
        self.write_sweep([{"pointer": "/data/train/path", "values": values}])
        result = self.dln("sweep", "run", "sweep.json", ranks=2)
        self.assertEqual(result.code, 2, result)
        self.assertIn("trial 000000  failed: ", result.out)
        self.assertIn("2 trials: 1 finished, 1 failed", result.out)
        status = self.status()
        self.assertEqual(status["finished"], [1])
        self.assertEqual(status["failed"][0]["trial"], 0)
        self.assertIn("broken.jsonl", status["failed"][0]["reason"])
        self.assertIn("0 to run", self.dln("sweep", "run", "sweep.json").out)
        self.write("broken.jsonl", (self.dir / "train.jsonl").read_bytes())
        self.sweep("run", "--retry-failed")
        self.assertEqual(self.status()["finished"], [0, 1])


class Changed(Sweeps):
    def test_changed_files_are_refused_with_the_difference(self):
        self.write_sweep()
        self.sweep("trial", "0")
        self.write_sweep([{"pointer": "/train/candidates", "values": [3, 5]}])
        for command in ("run", "status", "collect", "best"):
            result = self.dln("sweep", command, "sweep.json")
            self.assertEqual(result.code, 2, result)
            self.assertIn("/space/0/values/1: was 4, is 5", result.err)
        self.write_sweep(job_parts={"seed": 8})
        result = self.dln("sweep", "trial", "sweep.json", "1", ranks=2)
        self.assertEqual(result.code, 2, result)
        self.assertIn("/seed: was 7, is 8", result.err)
        self.assertFalse((self.dir / "sweep/000001").exists())


class Results(Sweeps):
    def test_best_and_collect_tell_mean_interval_and_cost(self):
        self.write_sweep(seeds=[5, 6], metric="/dev/log_likelihood")
        refused = self.dln("sweep", "best", "sweep.json")
        self.expect_message(refused, 2, "no configuration has finished with all its seeds")
        self.sweep("run")
        found = json.loads(self.sweep("collect", "--json").out)
        first = found["configurations"][0]
        metrics = [trial["metric"] for trial in first["trials"]]
        self.assertAlmostEqual(first["mean"], sum(metrics) / 2)
        self.assertLess(first["interval_95"][0], first["mean"])
        self.assertGreater(first["cost"]["requests"], 0)
        rows = list(csv.DictReader(io.StringIO(self.sweep("collect", "--csv").out)))
        self.assertEqual([float(row["metric"]) for row in rows[:2]], metrics)
        self.assertEqual(rows[3]["/train/candidates"], "4")
        best = json.loads(self.sweep("best", "--json").out)
        means = [one["mean"] for one in found["configurations"]]
        self.assertEqual(best["mean"], max(means))
        text = self.sweep("best").out
        self.assertIn(f"dln predict --run sweep/{best['best_trial']:06}", text)
        self.assertIn("4 of 4 trials finished", self.sweep("collect").out)

    def test_metric_that_no_trial_reports_is_refused(self):
        self.write_sweep(metric="/usage/cals")
        self.sweep("run")
        result = self.dln("sweep", "collect", "sweep.json")
        self.expect_message(result, 2, "/usage/cals", 'Did you mean "/usage/calls"?')


class Journal(Sweeps):
    def test_trials_find_the_replies_that_others_paid_for(self):
        with FakeServer() as server:
            backend = {"kind": "http", "endpoints": f"http://127.0.0.1:{server.port}"}
            # The same calls: what is kept differs, not what is asked.
            space = [{"pointer": "/train/tie_margin", "values": [0, 1e-9]}]
            self.write_sweep(space, job_parts={"backend": backend})
            self.sweep("trial", "0", timeout=120)
            paid = self.journal_lines()
            self.sweep("trial", "1", timeout=120)
        self.assertGreater(len(paid), 0)
        self.assertEqual(self.journal_lines(), paid, "nothing was paid for twice")
        found = json.loads(self.sweep("collect", "--json").out)["configurations"]
        saved = [one["cost"]["saved"] for one in found]
        self.assertGreater(saved[1], saved[0])
        self.assertIn("replies saved", self.sweep("collect").out)
        self.assertEqual(list((self.dir / "sweep/000001/journal").glob("*")), [])

    def journal_lines(self):
        return [
            line
            for path in sorted((self.dir / "sweep/journal").glob("*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]

    def test_processes_that_run_side_by_side_share_journal_and_limits(self):
        with FakeServer("--latency-ms", "5") as server:
            address = f"http://127.0.0.1:{server.port}"
            backend = {"kind": "http", "endpoints": [{"address": address, "in_flight": 3}]}
            space = [{"pointer": "/train/tie_margin", "values": [0, 1e-9, 2e-9, 3e-9, 4e-9, 5e-9]}]
            self.write_sweep(space, job_parts={"backend": backend})
            self.sweep("run", ranks=2, timeout=120)
            self.assertLessEqual(server.stats()["max_in_flight"], 3)  # of both groups together
        # At most both processes paid for everything once.
        lines = self.journal_lines()
        self.assertLessEqual(len(lines), 2 * len(set(json.loads(line)["key"] for line in lines)))
        found = json.loads(self.sweep("collect", "--json").out)["configurations"]
        self.assertEqual(len(set(one["mean"] for one in found)), 1)


if __name__ == "__main__":
    unittest.main()
