"""Sweeps that decide by results: ASHA, Hyperband, TPE."""

import json
import pathlib
import re
import shutil
import unittest

# It puts tests/support on the path, so it comes first.
from test_sweep import CANDIDATES, Sweeps  # isort: skip
from fake_llm_server import FakeServer  # pylint: disable=wrong-import-order

JOBS = pathlib.Path(__file__).resolve().parents[2] / "jobs"
HALVING = {"most_steps": 2, "least_steps": 1, "reduction": 2}
RATE = {"pointer": "/train/proposals/temperature", "min": 0.1, "max": 1}


class Adaptive(Sweeps):
    def write_asha(self, space=None, **fields):
        asha = {"method": "asha", "configurations": 4, "halving": HALVING, **fields}
        self.write_sweep(space or [RATE], **asha)

    def decisions(self):
        return (self.dir / "sweep/decisions.jsonl").read_bytes()

    def steps_done(self):
        """Steps of each trial that has results, by its number."""
        return {
            int(path.parent.name): json.loads(path.read_bytes())["steps_done"]
            for path in (self.dir / "sweep").glob("0*/result.json")
        }


class Halving(Adaptive):
    def test_the_best_get_more_steps_and_are_the_runs_that_train_makes(self):
        self.write_asha(seeds=[5, 6])
        plan = self.sweep("plan").out
        self.assertIn("configurations 0 to 3 have 1 step, about 2 go on to 2 steps\n", plan)
        result = self.sweep("run", ranks=3)
        self.assertIn("4 configurations, 0 decisions made before, 3 groups of 1 rank", result.out)
        self.assertIn("had 1 step, /dev/accuracy 0.", result.out)
        (rungs,) = self.status()["brackets"]
        self.assertEqual([rung["observed"] for rung in rungs], [4, 2])
        self.assertIn("2        2         2", self.sweep("status").out)
        steps = self.steps_done()
        self.assertEqual(sorted(steps.values()), [1, 1, 1, 1, 2, 2, 2, 2])
        told = self.sweep("best").out
        self.assertIn("best of 2 configurations that had 2 steps", told)
        self.assertIn("train it: dln train job.json --set /train/steps=2 --set /train/proposals", told)
        best = json.loads(self.sweep("best", "--json").out)
        trial = next(one for one in best["trials"] if one["trial"] == best["best_trial"])
        self.assertEqual(trial["steps_done"], 2)
        settings = [f"{pointer}={value}" for pointer, value in best["settings"].items()]
        job = ["/train/steps=2", f"/name=sweep-{best['configuration']}"]
        self.train(*settings, f"/seed={trial['seed']}", *job, run="straight")
        self.expect_same_run("straight", f"sweep/{trial['trial']:06}")
        for number, had in steps.items():
            path = self.dir / f"sweep/{number:06}/result.json"
            self.assertEqual("test" in json.loads(path.read_bytes()), had == 2, "test is for the end")
        again = self.sweep("run")
        self.assertIn("6 decisions made before", again.out)
        self.assertNotIn("trial 0", again.out)

    def test_killed_anywhere_goes_on_to_the_same_decisions_and_runs(self):
        self.write_asha()
        self.sweep("run")
        (self.dir / "sweep").rename(self.dir / "straight")
        decided = (self.dir / "straight/decisions.jsonl").read_bytes()
        for failpoint in ("step_end:2", "result.json.after_rename:2", "before_test:1"):
            with self.subTest(failpoint):
                shutil.rmtree(self.dir / "sweep", ignore_errors=True)
                self.run_until(failpoint)
                if failpoint == "before_test:1":
                    self.expect_leader_on_its_way()
                self.sweep("run")
                self.assertEqual(self.decisions(), decided)
                for run in (self.dir / "straight").glob("0*"):
                    self.expect_same_run(f"sweep/{run.name}", f"straight/{run.name}")

    def expect_leader_on_its_way(self):
        """It has no results at the moment, but what it was compared by, and what it has cost."""
        told = self.sweep("best").out
        leader = re.search(r"configuration (\d) had \d\.\d{4} with 1 step and goes on to 2\n", told)
        self.assertTrue(leader, told)
        collected = json.loads(self.sweep("collect", "--json").out)["configurations"][int(leader[1])]
        self.assertEqual(collected["observed"]["steps"], 1)
        self.assertNotIn("mean", collected)
        self.assertGreater(collected["cost"]["requests"], 0)

    def test_directory_that_was_removed_is_told(self):
        self.write_asha()
        self.sweep("run")
        shutil.rmtree(self.dir / "sweep/000002")
        result = self.dln("sweep", "run", "sweep.json")
        self.assertEqual(result.code, 1, result)
        self.assertIn("have no run directory any more", result.out)

    def test_failing_trial_counts_as_the_worst(self):
        self.write("broken.jsonl", "no json\n")
        data = {"pointer": "/data/train/path", "values": ["broken.jsonl", "train.jsonl"]}
        self.write_asha([data], configurations=8)
        result = self.dln("sweep", "run", "sweep.json")
        self.assertEqual(result.code, 2, result)
        self.assertIn("failed trials count as the worst", result.out)
        status = self.status()
        self.assertEqual(status["brackets"][0][0]["observed"], 8)
        failed = {one["trial"] for one in status["failed"]}
        self.assertGreater(len(failed), 0)
        promoted = {number for number, steps in self.steps_done().items() if steps == 2}
        self.assertEqual(promoted & failed, set())
        result = self.dln("sweep", "run", "sweep.json", "--retry-failed")
        self.expect_message(result, 2, "--retry-failed", "counts as the worst")

    def test_failures_of_server_and_budget_are_not_decided_by(self):
        with FakeServer() as server:
            address = f"http://127.0.0.1:{server.port}"
            backend = {"kind": "http", "endpoints": address, "patience_seconds": 0.2}
            self.write_asha(job_parts={"backend": backend})
            self.sweep("run", timeout=120)
        whole = self.decisions()
        shutil.rmtree(self.dir / "sweep")
        result = self.dln("sweep", "run", "sweep.json")
        self.assertEqual(result.code, 3, result)
        self.assertIn("nothing was decided by it", result.out)
        self.assertEqual(self.status()["brackets"][0][0]["taken"], 1)
        self.assertEqual(self.status()["brackets"][0][0]["observed"], 0)
        with FakeServer("--port", server.port):
            self.sweep("run", timeout=120)
        self.assertEqual(self.decisions(), whole)

    def test_spent_budget_stops_the_sweep_and_more_of_it_goes_on(self):
        self.write_asha(job_parts={"budget": {"requests": 10}})
        result = self.dln("sweep", "run", "sweep.json")
        self.assertEqual(result.code, 4, result)
        failed = self.status()["failed"]
        self.assertEqual([one["exit_code"] for one in failed], [4])
        self.write_asha(job_parts={"budget": {"requests": 100000}})
        self.sweep("run")
        self.assertEqual(self.status()["failed"], [])
        self.assertEqual([r["observed"] for r in self.status()["brackets"][0]], [4, 2])

    def test_compact_trials_keep_their_steps_until_none_can_go_on(self):
        self.write_asha(compact=True)
        self.run_until("step_end:2")
        self.assertNotEqual(list((self.dir / "sweep").glob("0*/steps/*.h5")), [])
        self.sweep("run")
        self.assertEqual(list((self.dir / "sweep").glob("0*/steps/*.h5")), [])
        self.assertEqual(len(self.steps_done()), 4)

    def test_hyperband_has_brackets_of_its_own(self):
        self.write_sweep([RATE], method="hyperband", halving=HALVING)
        self.assertIn("4 configurations, 4 trials", self.sweep("plan").out)
        self.sweep("run", ranks=2)
        brackets = self.status()["brackets"]
        self.assertEqual(
            [[(rung["steps"], rung["observed"]) for rung in rungs] for rungs in brackets],
            [[(1, 2), (2, 1)], [(2, 2)]],
        )

    def test_what_cannot_be_compared_is_refused_before_anything_runs(self):
        self.write_asha(job_parts={"train": {"steps": 2, "eval_every": 2, "batch_size": 4}})
        result = self.dln("sweep", "run", "sweep.json", ranks=2)
        self.expect_message(result, 2, "the job of trial 0", "is refused")
        self.assertIn("/train/eval_every: 2 does not divide 1", result.err)
        self.write_asha()
        result = self.dln("sweep", "trial", "sweep.json", "0")
        self.expect_message(result, 2, "results decide what is run next", "dln sweep run")
        self.assertFalse((self.dir / "sweep").exists())

    def test_metric_that_is_not_there_ends_the_sweep_at_once(self):
        self.write_asha(metric="/usage/cals")
        for ranks in (1, 2):
            result = self.dln("sweep", "run", "sweep.json", ranks=ranks)
            self.assertEqual(result.code, 2, result)
            self.assertIn('Did you mean "/usage/calls"?', result.err)
        self.assertLessEqual(len(self.steps_done()), 2)


class Examples(Adaptive):
    def test_sweeps_of_the_project_can_be_planned(self):
        (self.dir / "jobs/sweeps").mkdir(parents=True)
        shutil.copy(JOBS / "quickstart.json", self.dir / "jobs")
        for split in ("train", "dev", "test"):
            self.write(f"build/data/polarity/{split}.jsonl", '{"input": "a", "target": "positive"}')
        names = [path.name for path in (JOBS / "sweeps").glob("*.json") if "schema" not in path.name]
        self.assertGreaterEqual(len(names), 3)
        for name in names:
            shutil.copy(JOBS / "sweeps" / name, self.dir / "jobs/sweeps")
            self.assertIn("trials", self.succeed("sweep", "plan", f"jobs/sweeps/{name}").out)


class Tpe(Adaptive):
    def test_draws_by_results_and_goes_on_after_a_kill(self):
        fields = {"method": "tpe", "configurations": 13}
        self.write_sweep([CANDIDATES, RATE], **fields)
        self.assertIn("not decided", self.sweep("plan").out)
        self.sweep("run")
        decided = self.decisions()
        straight = self.collected()
        self.assertEqual(len(straight), 13)
        self.assertTrue(all(states == ["finished"] for _, _, states in straight))
        # Those that are drawn evenly, before there is enough to go by, are those of random search.
        (self.dir / "sweep").rename(self.dir / "straight")
        self.write_sweep([CANDIDATES, RATE], method="random", configurations=13)
        drawn = [one["settings"] for one in json.loads(self.sweep("plan", "--json").out)["trials"]]
        settings = [one for one, _, _ in straight]
        self.assertEqual(settings[:10], drawn[:10])
        self.assertNotEqual(settings[10:], drawn[10:])
        self.write_sweep([CANDIDATES, RATE], **fields)
        self.run_until("step_end:23")
        self.assertEqual(len(self.status()["finished"]), 11)
        self.sweep("run", ranks=2)
        self.assertEqual(self.decisions()[: len(decided) // 2], decided[: len(decided) // 2])
        self.assertEqual(self.collected()[:11], straight[:11])
        self.assertEqual(len(self.status()["finished"]), 13)


if __name__ == "__main__":
    unittest.main()
