"""A killed run, started again on any number of ranks, ends as if nothing had happened."""

import json
import os
import shutil
import signal
import unittest

from dln_program import ALONE, ProgramTest, job, pid_of_rank, snapshot, step_paths


class Resume(ProgramTest):
    """`whole` is the uninterrupted run that every other run must equal."""

    def setUp(self):
        super().setUp()
        self.write_data(train=20)
        self.write_steps(4)

    def write_steps(self, steps, **train):
        self.write(
            "job.json",
            job(
                train={
                    "steps": steps,
                    "batch_size": 8,
                    "candidates": 5,
                    "memory": 2,
                    "tolerance": 2,
                    "eval_candidates": 2,
                    **train,
                }
            ),
        )

    def train_whole(self):
        self.train(run="whole")

    def expect_whole(self, run="run"):
        """Equal to the uninterrupted run, each evaluation once in metrics.jsonl, nothing left over."""
        self.expect_same_run(run, "whole")
        lines = [(line["step"], line["split"]) for line in self.metrics(run)]
        self.assertEqual(len(lines), len(set(lines)), lines)
        rest = [str(p) for p in (self.dir / run).rglob("*") if ".tmp" in p.name or p.name == "lock"]
        self.assertEqual(rest, [])


class KilledAtAPoint(Resume):
    def expect_resumed(self, failpoint, ranks_before, ranks_after):
        self.train_until(failpoint, ranks=ranks_before)
        self.assertFalse((self.dir / "run/result.json").exists())
        result = self.train(ranks=ranks_after)
        self.expect_whole()
        return result

    def test_kill_in_the_middle_on_two_ranks_is_survived_on_any_number(self):
        self.train_whole()
        for failpoint, ranks in (
            ("step.after_write:3", 3),
            ("step.after_close:2", 1),
            ("step.after_rename:3", ALONE),
            ("LATEST.after_directory_fsync:3", 4),
            ("step_end:2", 3),
        ):
            with self.subTest(failpoint=failpoint, ranks=ranks):
                shutil.rmtree(self.dir / "run", ignore_errors=True)
                result = self.expect_resumed(failpoint, 2, ranks)
                self.assertIn("resumed after step", result.out)

    def test_kill_at_any_point_of_any_step_is_survived(self):
        self.write_steps(2)
        self.train_whole()
        saves = 3  # steps 0, 1, 2
        instants = ["after_open", "half_written", "after_write", "after_fsync", "after_close", "after_rename"]
        points = [*(f"step.{instant}" for instant in instants), "LATEST.after_directory_fsync"]
        kills = [f"{point}:{n}" for point in points for n in range(1, saves + 1)]
        for failpoint in [*kills, "step_end:1", "step_end:2"]:
            with self.subTest(failpoint=failpoint):
                shutil.rmtree(self.dir / "run", ignore_errors=True)
                self.expect_resumed(failpoint, ALONE, ALONE)

    def test_kill_after_kill_is_survived(self):
        self.train_whole()
        for failpoint in ("step.after_close:2", "step.after_rename:1", "step_end:1", "step.after_fsync:2"):
            self.train_until(failpoint)
        self.train(ranks=2)
        self.expect_whole()

    def test_old_files_that_a_killed_process_left_are_removed_by_the_next(self):
        self.write_steps(3)
        self.write("job.json", json.loads((self.dir / "job.json").read_text()) | {"keep": 1})
        self.train_whole()
        self.train_until("step.after_directory_fsync:4")  # the last
        kept, left = (len(step_paths(self.dir / run)) for run in ("whole", "run"))
        self.assertGreater(left, kept)
        self.train()
        self.expect_whole()

    def test_point_that_is_passed_n_times_kills_in_save_n(self):
        for point in ("step.after_rename", "LATEST.after_directory_fsync"):
            with self.subTest(point=point):
                self.train_until(f"{point}:2", run=point)
                self.assertEqual([p.name for p in step_paths(self.dir / point)], ["000000.h5", "000001.h5"])


class KilledRank(Resume):
    """SIGKILL for one rank of two, at a moment that nobody chose."""

    def expect_survived(self, kill_rank, after_steps, ranks_after):
        self.write_steps(60)
        self.train_whole()
        with self.training(after_lines=after_steps, ranks=2) as launcher:
            os.kill(pid_of_rank(launcher.pid, kill_rank), signal.SIGKILL)
            launcher.stdout.read()
            self.assertNotEqual(launcher.wait(timeout=30), 0)
        self.assertFalse((self.dir / "run/result.json").exists(), "killed too late")
        result = self.train(ranks=ranks_after)
        self.assertIn("resumed after step", result.out)
        self.expect_whole()

    def test_killed_worker_ends_the_job_and_the_run_goes_on_later(self):
        self.expect_survived(kill_rank=1, after_steps=5, ranks_after=3)

    def test_killed_root_ends_the_job_and_the_run_goes_on_later(self):
        self.expect_survived(kill_rank=0, after_steps=9, ranks_after=1)


class DamagedFiles(Resume):
    def interrupted(self):
        """A run that was killed after step 3; its step files, oldest first."""
        self.train_until("step_end:3")
        paths = step_paths(self.dir / "run")
        self.assertEqual(len(paths), 4)
        return paths

    def test_truncated_newest_file_is_reported_and_the_one_before_it_is_used(self):
        self.train_whole()
        newest = self.interrupted()[-1]
        newest.write_bytes(newest.read_bytes()[:-100])
        result = self.train(ranks=2)
        self.expect_message(result, 0, "dln: warning:", newest.name)
        self.assertIn("resumed after step 2 of 4", result.out)
        self.expect_whole()

    def test_flipped_bit_and_empty_file_are_skipped_together(self):
        self.train_whole()
        paths = self.interrupted()
        damaged = bytearray(paths[-1].read_bytes())
        damaged[len(damaged) // 2] ^= 1
        paths[-1].write_bytes(damaged)
        paths[-2].write_bytes(b"")
        result = self.train()
        self.assertIn("resumed after step 1 of 4", result.out)
        self.assertIn(paths[-1].name, result.err)
        self.assertIn(paths[-2].name, result.err)
        self.expect_whole()

    def test_no_usable_file_ends_with_5_and_a_reason_for_each(self):
        paths = self.interrupted()
        for path in paths:
            path.write_bytes(path.read_bytes()[:700])
        before = snapshot(self.dir / "run/steps")
        for ranks in (ALONE, 2):
            with self.subTest(ranks=ranks):
                result = self.dln("train", "job.json", ranks=ranks)
                self.expect_message(result, 5, "none of 4 step files can be used")
                for path in paths:
                    self.assertEqual(result.err.count(path.name), 1, str(result))
                self.assertEqual(snapshot(self.dir / "run/steps"), before)

    def test_torn_metrics_line_is_dropped(self):
        self.train_whole()
        self.interrupted()
        with open(self.dir / "run/metrics.jsonl", "ab") as file:
            file.write(b'{"step":3,"sp')
        self.train()
        self.expect_whole()


class ExtendedRun(Resume):
    """A complete run goes on with more steps, and ends as if it had had them from the start."""

    def whole_and_half(self, **train):
        """`whole` has 8 steps, `run` 4 of them."""
        for run, steps in (("whole", 8), ("run", 4)):
            self.write_steps(steps, **train)
            self.train(run=run)

    def extend(self, *sets, **options):
        return self.train("/train/steps=8", *sets, **options)

    def test_run_with_more_steps_equals_a_straight_one(self):
        for every, ranks in ((1, ALONE), (2, 2)):
            with self.subTest(eval_every=every, ranks=ranks):
                self.whole_and_half(eval_every=every)
                result = self.extend(ranks=ranks)
                self.assertIn("resumed after step 4 of 8", result.out)
                self.assertNotIn("warning", result.err)
                self.expect_whole()
                self.assertEqual(
                    (self.dir / "run/model.id").read_bytes(), (self.dir / "whole/model.id").read_bytes()
                )
                shutil.rmtree(self.dir / "run")
                shutil.rmtree(self.dir / "whole")

    def test_kill_in_the_added_steps_is_survived(self):
        self.whole_and_half()
        self.write_steps(8)
        self.train_until("step_end:2")
        self.assertFalse((self.dir / "run/result.json").exists(), "it is that of 4 steps")
        self.assertIn("resumed after step 6 of 8", self.train().out)
        self.expect_whole()

    def test_dev_evaluation_that_a_straight_run_would_not_have_is_told(self):
        self.whole_and_half(eval_every=3)
        result = self.extend()
        self.expect_message(result, 0, "dln: warning: step 4", "/train/eval_every 3", "8 steps")

    def test_fewer_steps_are_refused(self):
        self.train()
        for result in ("complete", "interrupted"):
            with self.subTest(run=result):
                refused = self.dln("train", "job.json", "--set", "/train/steps=3")
                self.expect_message(refused, 2, "job.json: /train/steps: 3", "4 steps", "at least 4")
                self.assertIn("it was extended", refused.err)
                self.assertIn("--set /train/steps=4", refused.err)
                (self.dir / "run/result.json").unlink(missing_ok=True)

    def test_threads_and_place_of_the_model_may_change_but_not_its_content(self):
        self.write("a.jsonl", '{"match": "Is it", "text": "Or not?"}\n')
        self.write("b.jsonl", '{"match": "Is it", "text": "Is it not?"}\n')
        (self.dir / "elsewhere").mkdir()
        self.train("/backend/replies=a.jsonl")
        shutil.copy(self.dir / "a.jsonl", self.dir / "elsewhere/c.jsonl")
        moved = ("/backend/replies=elsewhere/c.jsonl", "/backend/threads=2")
        self.train(*moved)
        self.assertIn("complete after 4 steps", self.train(*moved).out)
        self.assertIn("resumed after step 4 of 8", self.extend(*moved).out)
        before = snapshot(self.dir / "run")
        for steps in (8, 9):
            for ranks in (ALONE, 2):
                with self.subTest(steps=steps, ranks=ranks):
                    sets = ["--set", "/backend/replies=b.jsonl", "--set", f"/train/steps={steps}"]
                    result = self.dln("train", "job.json", *sets, ranks=ranks)
                    self.expect_message(result, 2, "was begun with the model replies xxh3:", "run_dir")
                    self.assertEqual(snapshot(self.dir / "run"), before)


class CompleteRun(Resume):
    def test_complete_run_says_so_and_changes_nothing(self):
        self.train_whole()
        before = snapshot(self.dir)
        for ranks in (ALONE, 2):
            with self.subTest(ranks=ranks):
                result = self.train(run="whole", ranks=ranks)
                self.assertIn("complete after 4 steps", result.out)
                self.assertEqual(snapshot(self.dir), before)

    def test_run_without_its_result_file_evaluates_the_test_split_again_and_only_once(self):
        """What a kill between the last line of metrics.jsonl and result.json leaves."""
        self.train_whole()
        shutil.copytree(self.dir / "whole", self.dir / "run")
        (self.dir / "run/result.json").unlink()
        self.train()
        self.expect_whole()

    def test_run_keeps_only_the_newest_and_the_best_files_when_asked(self):
        self.train_whole()
        self.train("/keep=1")
        kept = [path.name for path in step_paths(self.dir / "run")]
        self.assertIn("000004.h5", kept)
        self.assertLessEqual(len(kept), 2)
        self.assertEqual(self.outcome_json(), self.outcome_json("whole"))

    def test_run_in_use_is_refused(self):
        self.write_steps(200)
        with self.training(after_lines=2) as process:
            process.send_signal(signal.SIGSTOP)
            result = self.dln("train", "job.json")
        self.expect_message(result, 2, "is being written by process", str(process.pid))


if __name__ == "__main__":
    unittest.main()
