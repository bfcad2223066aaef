"""The jobs in jobs/: each is installed, and trains."""

import json
import os
import pathlib
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import EmbeddedTest, ProgramTest, json_lines
from fake_llm_server import FakeServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = ROOT / "jobs"
LAYERS = {"quickstart": 1, "server": 1, "two_layers": 2, "two_layers_server": 2, "three_layers": 3,
          "two_models": 2, "words": 1, "mixture_layers": 1}  # fmt: skip
MIXTURES = ("mop-smoke", "mop-central", "mop-federated")  # of prompts: jobs of another system
WORDS = {"positive": ("joy", "calm", "hope", "kind"), "negative": ("loss", "fear", "ruin", "cruel")}


class JobTest(ProgramTest):
    def setUp(self):
        super().setUp()
        words = [{"input": word, "target": target} for target, all_of in WORDS.items() for word in all_of]
        for name in ("train", "dev", "test"):
            self.write(f"{name}.jsonl", json_lines(words))

    def expect_trains(self, job, *sets, **options):
        """As the file says, but one small step on the test's data; returns the run's result."""
        sets = [f"/data/{name}={self.dir / name}.jsonl" for name in ("train", "dev", "test")] + list(sets)
        sets += [f"/run_dir={self.dir / 'run'}", "/train/steps=1", "/train/batch_size=4", "/train/candidates=3"]
        self.succeed("train", JOBS / f"{job}.json", *(word for one in sets for word in ("--set", one)), **options)
        result = json.loads((self.dir / "run/result.json").read_text())
        self.assertEqual(len(json.loads((self.dir / "run/prompts.json").read_text())["layers"]), LAYERS[job])
        self.assertEqual((result["test"]["examples"], result["test"]["failures"]), (8, 0))


class Jobs(JobTest):
    def test_every_job_is_listed_here_and_installed(self):
        names = sorted(path.stem for path in JOBS.glob("*.json") if not path.stem.endswith(".schema"))
        self.assertEqual(names, sorted([*LAYERS, *MIXTURES]))
        installed = (ROOT / "CMakeLists.txt").read_text()
        for name in names:
            self.assertIn(f"jobs/{name}.json", installed)

    def test_jobs_for_servers_train_through_one(self):
        for job in ("server", "two_layers_server"):
            with self.subTest(job=job), FakeServer() as server:
                address = f"http://127.0.0.1:{server.port}"
                self.expect_trains(job, f"/backend/endpoints/0/address={address}")
                (self.dir / "run").rename(self.dir / job)

    def test_two_models_train_with_the_backward_one_behind_a_server(self):
        with FakeServer() as server:
            self.expect_trains("two_models", '/backend={"kind": "scripted"}',
                               f"/backward_backend/endpoints/0/address=http://127.0.0.1:{server.port}")  # fmt: skip
            self.assertGreater(server.stats()["prompts"], 0)


for _job in LAYERS:
    setattr(
        Jobs,
        f"test_{_job}_trains_with_scripted_replies",
        lambda self, job=_job: self.expect_trains(
            job, '/backend={"kind": "scripted"}', "/backward_backend=null"
        ),
    )


class Mixtures(EmbeddedTest, JobTest):
    """As the files say, but with few texts, late blocks and the model as it is."""

    def expect_trains_mixture(self, job, *sets, **options):
        tasks = re.findall(r'"name": "([a-z-]+)"', (JOBS / f"{job}.json").read_text())[1:]
        sets = [*sets, f"/run_dir={self.dir / job}", "/train/steps=1", "/mixture/injection_block=28",
                "/model/compression/pruning=none", "/train/batch_size=2"]  # fmt: skip
        sets += [f"/tasks/{task}/data/{split}={self.dir / split}.jsonl"
                 for task in range(len(tasks)) for split in ("train", "dev", "test")]  # fmt: skip
        self.succeed("train", JOBS / f"{job}.json", *(word for one in sets for word in ("--set", one)), **options)
        test = json.loads((self.dir / job / "result.json").read_text())["test"]
        self.assertEqual(sorted(test["tasks"]), sorted(tasks))
        self.assertEqual(len(test["right"]), 8 * len(tasks))

    def test_smoke_and_federated_jobs_train(self):
        self.expect_trains_mixture("mop-smoke", ranks=2, timeout=400)
        self.expect_trains_mixture("mop-federated", "/federated/local_steps=1", "/federated/clients=4", timeout=400)

    def test_central_job_trains(self):
        self.expect_trains_mixture("mop-central", ranks=2, timeout=400)


class SeveralLayers(EmbeddedTest, JobTest):
    def test_two_layers_train_with_the_model_on_two_ranks(self):
        self.expect_trains("two_layers", ranks=2, timeout=400)

    def test_three_layers_train_with_the_model_on_two_ranks(self):
        self.expect_trains("three_layers", "/train/posterior/samples=2", ranks=2, timeout=400)


if __name__ == "__main__":
    unittest.main()
