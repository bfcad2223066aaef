"""The jobs of jobs/baselines, which dln compare sets beside a trained network: each runs, on any data of its
form and without a model, and keeps to what its method is."""

import pathlib
import shutil
import unittest

from dln_program import ProgramTest, examples, json_lines, step_paths, value

JOBS = pathlib.Path(__file__).resolve().parents[2] / "jobs/baselines"
SCRIPTED = ("/backend/kind=scripted", "/run_dir=run")


class Jobs(ProgramTest):
    def setUp(self):
        super().setUp()
        for name in ("train", "dev", "test"):
            lines = json_lines(examples(name, 40, ("negative", "positive")))
            self.write(f"build/data/polarity/{name}.jsonl", lines)

    def run_job(self, name, *more):
        (self.dir / "jobs/baselines").mkdir(parents=True, exist_ok=True)
        shutil.copy(JOBS / f"{name}.json", self.dir / "jobs/baselines")
        words = [word for one in (*SCRIPTED, *more) for word in ("--set", one)]
        self.succeed("train", f"jobs/baselines/{name}.json", *words)
        run = self.dir / "jobs/baselines/run"
        return run if run.exists() else self.dir / "run"

    def test_every_job_is_tested_here(self):
        names = {path.stem for path in JOBS.glob("*.json")}
        tested = {name[len("test_job_") :] for name in dir(self) if name.startswith("test_job_")}
        self.assertEqual(names, tested)

    def expect_no_step(self, name, *more):
        run = self.run_job(name, *more)
        self.assertEqual(len(step_paths(run)), 1)
        self.assertTrue((run / "result.json").exists())

    def test_job_zero_shot(self):
        self.expect_no_step("zero_shot")

    def test_job_few_shot(self):
        self.expect_no_step("few_shot")

    def test_job_few_shot_balanced(self):
        self.expect_no_step("few_shot_balanced")

    def test_job_kate(self):
        self.expect_no_step("kate", "/embedding/kind=ngrams")

    def test_job_ape(self):
        paths = step_paths(self.run_job("ape"))
        self.assertEqual(len(paths), 2)
        self.assertEqual(
            set(value(paths[1], "step/layers/0/proposals/template")), {b"induction_few_shot"}
        )

    def test_job_ape_resampling(self):
        paths = step_paths(self.run_job("ape_resampling"))
        self.assertEqual(len(paths), 5)
        self.assertEqual(
            set(value(paths[1], "step/layers/0/proposals/template")),
            {b"induction_few_shot", b"paraphrase_few_shot"},
        )

    def test_job_opro(self):
        paths = step_paths(self.run_job("opro"))
        self.assertEqual(value(paths[0], "state/history/prompt"), [])
        prompts = value(paths[-1], "state/history/prompt")
        scores = value(paths[-1], "state/history/score")
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertTrue(0 <= min(scores) and max(scores) <= 100, scores)
        self.assertEqual(len(prompts), len(set(prompts)))
        tried = set(value(paths[-1], "step/layers/0/candidates/prompt"))
        self.assertTrue(tried & set(prompts))


if __name__ == "__main__":
    unittest.main()
