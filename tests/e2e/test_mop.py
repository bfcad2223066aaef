"""Mixtures of prompts on the quick start's model: equal on any number of ranks, after kills, signals and damage; bad
input refused. The prompts stand before the last two blocks, so that a step takes a fraction of a second."""

import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from dln_program import ALONE, PROGRAM, EmbeddedTest, command_line, environment_with, snapshot, step_paths

TASKS = ("antonyms", "number-words")


def cache_with_models():
    """A cache of this process, with the models of the real one: hidden states are made once for all tests."""
    real = pathlib.Path(os.environ.get("DLN_CACHE") or pathlib.Path.home() / ".cache/dln")
    cache = tempfile.mkdtemp(prefix="dln-e2e-cache-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.symlink(real / "models", pathlib.Path(cache) / "models")
    return pathlib.Path(cache)


class Mixture(EmbeddedTest):
    """job.json trains two tasks of four train, two dev and two test examples."""

    cache = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if Mixture.cache is None:
            Mixture.cache = cache_with_models()
        cls.data = Mixture.cache / "data"
        for task in TASKS:
            words = ["data", "generate", task, "--train", "4", "--dev", "2", "--test", "2"]
            subprocess.run(
                [PROGRAM, *words, "--out", str(cls.data / task)], check=True, stdout=subprocess.DEVNULL
            )

    def setUp(self):
        super().setUp()
        before = os.environ.get("DLN_CACHE")
        os.environ["DLN_CACHE"] = str(self.cache)
        self.addCleanup(self.restore_cache, before)
        self.write_mixture()

    @staticmethod
    def restore_cache(before):
        os.environ.pop("DLN_CACHE")
        if before is not None:
            os.environ["DLN_CACHE"] = before

    def parts(self, **changes):
        def task(name):
            data = {split: str(self.data / name / f"{split}.jsonl") for split in ("train", "dev", "test")}
            return {"name": name, "data": data, "text": "{{input}}\nAnswer:"}

        parts = {
            "system": "mop",
            "name": "small",
            "seed": 5,
            "run_dir": "run",
            "keep": "all",
            "tasks": [task(name) for name in TASKS],
            "model": {"longest_text": 64},
            "mixture": {
                "experts": 2,
                "vectors": 2,
                "injection_block": 28,
                "gate": {"hidden": 8, "pretrain_steps": 20},
            },
            "train": {"steps": 4, "batch_size": 4, "micro_batch": 1, "eval_every": 2},
        }
        for name, part in changes.items():
            is_merged = isinstance(part, dict) and name in parts
            parts[name] = {**parts[name], **part} if is_merged else part
        return parts

    def write_mixture(self, **changes):
        self.write("job.json", self.parts(**changes))

    def refused(self, code, *fragments, ranks=ALONE, arguments=("train", "job.json"), run="run"):
        """Ends with one message that has all fragments, and no run is begun."""
        result = self.dln(*arguments, ranks=ranks)
        self.expect_message(result, code, *fragments)
        self.assertFalse((self.dir / run).exists(), "something was written")
        return result


FEDERATED = {"clients": 3, "local_steps": 2, "participation": 0.7, "averaging": "gate_mass"}


class Runs(Mixture):
    def test_central_run_is_equal_on_any_number_of_ranks(self):
        result = self.train(run="alone")
        self.assertIn("gate taught the tasks", result.out)
        for ranks in (2, 3, 4):
            with self.subTest(ranks=ranks):
                self.train(run=f"run-{ranks}", ranks=ranks)
                self.expect_equal(f"run-{ranks}", "alone")
        self.complete_run_says_so_and_changes_nothing()
        self.other_job_is_refused_with_the_differences()
        self.added_steps_go_on("alone")
        self.damaged_newest_step_is_passed_over()
        self.evaluation_agrees_with_the_result()

    def test_federated_run_is_equal_on_any_number_of_ranks_and_after_a_kill(self):
        self.write_mixture(federated=FEDERATED, train={"steps": 3, "batch_size": 2})
        self.train(run="alone")
        for ranks in (2, 4):
            with self.subTest(ranks=ranks):
                self.train(run=f"run-{ranks}", ranks=ranks)
                self.expect_equal(f"run-{ranks}", "alone")
        self.train_until("after_step:2", ranks=2)
        self.assertIn("resumed after step 1 of 3", self.train(ranks=3).out)
        self.expect_equal("run", "alone")
        shown = json.loads(self.succeed("eval", "--run", "run", "--json").out)
        self.assertEqual(shown["perplexity"], self.result_json()["test"]["perplexity"])

    def expect_equal(self, run, other):
        self.assertEqual(self.outcome_json(run), self.outcome_json(other))
        self.expect_same_files(run, other, "metrics.jsonl", "LATEST", "job.hash", "model.id")
        self.expect_same_steps(self.dir / run, self.dir / other)

    # Parts of the first test, which has the runs that they need.

    def complete_run_says_so_and_changes_nothing(self):
        before = snapshot(self.dir)
        for ranks in (ALONE, 2):
            self.assertIn("complete after 4 steps", self.train(run="alone", ranks=ranks).out)
            self.assertEqual(snapshot(self.dir), before)

    def other_job_is_refused_with_the_differences(self):
        before = snapshot(self.dir)
        arguments = ("train", "job.json", "--set", "/run_dir=alone")
        result = self.dln(*arguments, "--set", "/train/batch_size=3")
        self.expect_message(result, 2, "another job")
        self.assertIn("/train/batch_size", result.err)
        fewer = self.dln(*arguments, "--set", "/train/steps=3", ranks=2)
        self.expect_message(fewer, 2, "/train/steps: 3", "4 steps")
        self.assertEqual(snapshot(self.dir), before)

    def added_steps_go_on(self, complete):
        self.train("/train/steps=2", run="extended")
        result = self.train("/train/steps=4", run="extended", ranks=2)
        self.assertIn("resumed after step 2 of 4", result.out)
        self.expect_equal("extended", complete)

    def damaged_newest_step_is_passed_over(self):
        shutil.copytree(self.dir / "alone", self.dir / "damaged")
        (self.dir / "damaged/result.json").unlink()
        newest = step_paths(self.dir / "damaged")[-1]
        newest.write_bytes(newest.read_bytes()[:-100])
        result = self.train(run="damaged", ranks=2)
        self.expect_message(result, 0, "dln: warning:", newest.name)
        self.assertIn("resumed after step 3 of 4", result.out)
        self.expect_equal("damaged", "alone")

    def evaluation_agrees_with_the_result(self):
        shown = json.loads(self.succeed("eval", "--run", "alone", "--json", ranks=2).out)
        measured = self.result_json("alone")["test"]
        self.assertEqual(shown, {name: measured[name] for name in shown})
        self.assertEqual(set(shown["tasks"]), set(TASKS))
        self.assertEqual(len(measured["right"]), 4)
        dev = self.succeed("eval", "job.json", "--run", "alone", "--split", "dev")
        self.assertIn("mixture of step", dev.out)
        listing = self.succeed("inspect", "alone").out
        self.assertIn("2 experts of 2 vectors", listing)
        self.assertIn(f"perplexity {measured['perplexity']:.4f}", listing)
        compared = self.succeed("compare", "alone", "run-2").out
        self.assertIn("alone", compared)


class Interrupted(Mixture):
    def test_kill_and_signal_in_the_middle_are_survived_on_another_number_of_ranks(self):
        self.train(run="whole")
        for failpoint, before, after in (
            ("step.half_written:3", 2, 3),
            ("after_dev:2", ALONE, 2),
            ("after_test", 2, ALONE),
        ):
            with self.subTest(failpoint=failpoint):
                shutil.rmtree(self.dir / "run", ignore_errors=True)
                self.train_until(failpoint, ranks=before)
                self.assertFalse((self.dir / "run/result.json").exists())
                self.assertIn("resumed after step", self.train(ranks=after).out)
                self.expect_whole()
        for number, ranks in ((signal.SIGUSR1, 2), (signal.SIGTERM, ALONE)):
            with self.subTest(signal=number.name):
                shutil.rmtree(self.dir / "run")
                self.stop_by(number, ranks)
                self.assertIn("resumed after step", self.train(ranks=3 - ranks).out)
                self.expect_whole()

    def expect_whole(self):
        self.assertEqual(self.outcome_json("run"), self.outcome_json("whole"))
        self.expect_same_files("run", "whole", "metrics.jsonl", "LATEST")
        self.expect_same_steps(self.dir / "run", self.dir / "whole")
        self.assertFalse((self.dir / "run/lock").exists())

    def stop_by(self, number, ranks):
        """A run that gets the signal in its second step, by itself or from mpirun, and ends in order."""
        process = subprocess.Popen(
            command_line(["train", "job.json"], ranks),
            cwd=self.dir,
            # The program's own, at a place that it passes in time; mpirun would pass it on from outside.
            env=environment_with({"DLN_FAILPOINT_STOP": "step_begin:2@0"} if number == signal.SIGUSR1 else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            if number != signal.SIGUSR1:
                while b"dev after step 0" not in process.stdout.readline():
                    self.assertIsNone(process.poll())
                process.send_signal(number)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        self.assertEqual(process.returncode, 75, err)
        self.assertIn(b"stopped (", err)
        self.assertFalse((self.dir / "run/result.json").exists())


class BadInput(Mixture):
    def test_job_that_cannot_be_is_refused_before_the_model_is_opened(self):
        for changes, fragments in (
            ({"mixture": {"experts": 2}, "tasks": self.parts()["tasks"] * 2}, ("/tasks",)),
            ({"system": "moop"}, ("/system", '"moop"', '"mop"')),
            ({"mixture": {"experts": 4096, "vectors": 2}}, ("/mixture", "8192")),
            ({"train": {"stepz": 3}}, ("/train/stepz", "steps")),
            ({"model": {"model": "no-such-model"}}, ("no-such-model", "/model")),
        ):
            with self.subTest(changes=list(changes)):
                self.write_mixture(**changes)
                code = 3 if "model" in changes else 2
                self.refused(code, *fragments)

    def test_more_tasks_than_experts_are_refused_where_the_gate_is_taught(self):
        third = {**self.parts()["tasks"][0], "name": "third"}
        tasks = [*self.parts()["tasks"], third]
        self.write_mixture(tasks=tasks)
        self.refused(2, "/mixture/experts", "2 experts for 3 tasks")

    def test_what_does_not_fit_the_model_is_refused_with_the_limit(self):
        for changes, fragments in (
            ({"mixture": {"injection_block": 30}}, ("/mixture/injection_block", "30 blocks", "0 to 29")),
            (
                {"mixture": {"experts": 2, "vectors": 2000}, "model": {"longest_text": 8000}},
                ("/mixture", "12000 positions", "8192"),
            ),
            ({"model": {"longest_text": 5}}, ("task", "train example 0", "/model/longest_text")),
        ):
            with self.subTest(changes=changes):
                self.write_mixture(**changes)
                self.refused(2, *fragments)
                self.refused(2, *fragments, ranks=2)

    def test_client_without_example_is_refused(self):
        self.write_mixture(federated={"clients": 9})
        for ranks in (ALONE, 2):
            with self.subTest(ranks=ranks):
                self.refused(2, "job.json: /federated/clients", "has no example", ranks=ranks)

    def test_model_that_is_damaged_or_of_another_family_ends_with_3(self):
        data = self.model.read_bytes()
        other = data.replace(b"general.architecture\x08\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00llama",
                             b"general.architecture\x08\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00qwen9", 1)
        self.assertNotEqual(other, data)
        for name, content in (("cut", data[:5_000_000]), ("other", other), ("text", b"no model")):
            with self.subTest(model=name):
                self.write(f"{name}.gguf", content)
                self.write_mixture(model={"model": f"{name}.gguf"})
                self.refused(3, f"{name}.gguf")

    def test_commands_of_networks_refuse_a_mixture(self):
        for command in ("plan", "probe"):
            with self.subTest(command=command):
                self.refused(2, '/system: "mop"', arguments=(command, "job.json"))
        self.refused(2, "no mixture was trained here", arguments=("eval", "job.json"))

    def test_damaged_hidden_state_is_made_again_with_a_warning(self):
        self.train(run="whole")
        states = self.cache / "hidden-states"
        damaged = sorted(states.glob("*.state"))[:2]
        for path in damaged:
            content = bytearray(path.read_bytes())
            content[-3] ^= 1
            path.write_bytes(content)
        result = self.train(ranks=2)
        for path in damaged:
            self.assertIn(path.name, result.err)
        self.assertIn("made again", result.err)
        self.assertEqual(self.outcome_json(), self.outcome_json("whole"))
        self.assertNotIn("made again", self.train(run="third").err)

    def test_diverging_loss_is_a_visible_stop_at_the_last_good_step(self):
        self.write_mixture(train={"prompts_rate": 1e30})
        for ranks in (2, ALONE):
            with self.subTest(ranks=ranks):
                result = self.dln("train", "job.json", ranks=ranks)
                self.expect_message(result, 2, "diverged", "Step 0", "/train/prompts_rate", "/run_dir")
        told = json.loads((self.dir / "run/diverged.json").read_text())
        self.assertEqual((told["step"], told["last_good_step"]), (1, 0))
        self.assertEqual([path.name for path in step_paths(self.dir / "run")], ["000000.h5"])
        self.assertFalse((self.dir / "run/result.json").exists())
        self.assertFalse((self.dir / "run/lock").exists())
        shown = json.loads(self.succeed("eval", "--run", "run", "--json").out)
        self.assertGreater(shown["perplexity"], 1.0)


if __name__ == "__main__":
    unittest.main()
