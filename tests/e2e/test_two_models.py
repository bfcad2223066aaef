"""A forward and a backward model: which of them is asked for what, what a run keeps of both, and what is refused."""

import copy
import json
import os
import sys

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import ALONE, ProgramTest, json_lines, step_paths, value
from fake_llm_server import FakeServer
from test_ranks import RankCounts

NETWORK = {
    "layers": [
        {"prompt": "Think.", "template": "{{prompt}}\n{{input}}", "residual": "{{input}}\n{{output}}", "max_tokens": 8},
        {"prompt": "Is it so?", "template": "{{prompt}}\n{{input}}"},
    ]
}
TRAIN = {
    "steps": 2,
    "batch_size": 10,
    "candidates": 3,
    "posterior": {"samples": 2, "log_q": True,
                  "templates": [{"text": "SAMPLE {{input}} {{target}}", "chat": False}]},
    "proposals": {"templates": [{"text": "PROPOSE {{message}} {{prompt}}", "chat": False,
                                 "messages": ["one", "another"]}]},
}  # fmt: skip
WORDS = "written by the "
FORWARD = [
    {"match": "PROPOSE", "text": WORDS + "forward model"},
    {"match": "SAMPLE", "text": WORDS + "forward model"},
    {"match": "SAMPLE", "target": f"\n{WORDS}backward model", "log_prob": -9.0},
    {"match": "Think.\n", "text": "a thought"},
]
BACKWARD = [
    {"match": "PROPOSE one", "text": WORDS + "backward model"},
    {"match": "PROPOSE another", "text": WORDS + "backward model, too"},
    {"match": "SAMPLE", "text": WORDS + "backward model"},
    {"match": "SAMPLE", "target": f"\n{WORDS}backward model", "log_prob": -0.25},
    {"match": "Think.\n", "text": WORDS + "backward model"},
]


def without_log_q(chat=False):
    train = copy.deepcopy(TRAIN)
    train["posterior"]["log_q"] = False
    for part in ("posterior", "proposals"):
        train[part]["templates"][0]["chat"] = chat
    return train


class Scripted(RankCounts):
    def write_two(self, backward=BACKWARD, forward=FORWARD):
        self.write("forward.jsonl", json_lines(forward))
        self.write("backward.jsonl", json_lines(backward))
        self.write_job(
            network=NETWORK,
            train=TRAIN,
            backend={"kind": "scripted", "replies": "forward.jsonl"},
            backward_backend={"kind": "scripted", "replies": "backward.jsonl"},
        )

    def test_each_model_does_its_part_on_any_number_of_ranks(self):
        self.write_two()
        self.expect_equal_on(1, 2, 3)
        for path in step_paths(self.dir / "run-alone")[1:]:
            with h5py.File(path) as file:
                drawn = file["step/latents/drawn"][()] == 1
                sampled = {bytes(text) for text in file["step/latents/sampled"][()].ravel()}
                self.assertIn(b"written by the backward model", sampled)
                self.assertNotIn(b"written by the forward model", sampled)
                self.assertTrue(np.allclose(file["step/weights/log_q"][()][:, drawn], -0.25))
                for layer in (0, 1):
                    replies = file[f"step/layers/{layer}/proposals/reply"][()]
                    for reply in map(bytes, replies):
                        self.assertIn(b"written by the backward model", reply)

    def test_run_names_both_models_and_belongs_to_them(self):
        self.write_two()
        result = self.train("/train/steps=1")
        self.assertRegex(result.out, "backend: scripted backend, .*forward.jsonl")
        self.assertRegex(result.out, "backward backend: scripted backend, .*backward.jsonl")
        models = (self.dir / "run/model.id").read_text().splitlines()
        self.assertEqual(len(set(models)), 2)
        self.write_two(backward=BACKWARD[:4])
        more = ("--set", "/train/steps=2")
        self.expect_message(self.dln("train", "job.json", *more), 2, "begun with the backward model",
                            models[1], "/backward_backend")  # fmt: skip
        self.expect_message(self.dln("train", "job.json", *more, "--set", "/backward_backend=null"),
                            2, "the run of another job")  # fmt: skip
        self.write_two(forward=FORWARD[:3])
        self.expect_message(self.dln("train", "job.json", *more), 2, "begun with the model",
                            models[0], "/backend names")  # fmt: skip
        self.write_two()
        self.train("/train/steps=2")


class Servers(ProgramTest):
    def write_two(self, backward, train=None, forward=None, **more):
        """Without a forward server that model is scripted."""
        self.write("forward.jsonl", json_lines(FORWARD))
        self.write("backward.jsonl", json_lines(BACKWARD))
        self.write_job(
            network=NETWORK,
            train=train or TRAIN,
            backend=self.http(forward, price_input=1.0, price_output=2.0)
            if forward
            else {"kind": "scripted", "replies": "forward.jsonl"},
            backward_backend=self.http(backward, price_input=10.0, price_output=20.0, **more),
        )

    def http(self, server, **more):
        return {"kind": "http", "endpoints": f"http://127.0.0.1:{server.port}", **more}

    def replies(self, name, lines):
        return ("--scripted", self.write(name, json_lines(lines)))

    def expect_no_failures(self, run="run"):
        for path in step_paths(self.dir / run)[1:]:
            self.assertEqual(value(path, "step/failures"), 0, value(path, "step/first_failure"))

    # Both servers call their model by one name. Each fails on what only the other one should be asked.
    def test_each_server_gets_its_own_requests_and_both_are_replayed(self):
        with FakeServer(*self.replies("forward.jsonl", FORWARD), "--fault", "400~PROPOSE",
                        "--fault", "400~SAMPLE") as forward:  # fmt: skip
            with FakeServer(*self.replies("backward.jsonl", BACKWARD), "--fault", "400~Think.\\n",
                            "--fault", "400~Is it so?\\n") as backward:  # fmt: skip
                self.write_two(backward, forward=forward)
                self.train(ranks=2)
                asked = [server.stats() for server in (forward, backward)]
            self.expect_no_failures()
            # What needs no backward model does not ask for its server, which is away now.
            self.succeed("eval", "--run", "run")
            self.succeed("predict", "--run", "run", stdin='{"input": "word"}\n')
        for stats in asked:
            self.assertGreater(stats["requests"], 0)
            self.assertNotIn("400", stats["by_status"])
        for ranks in (ALONE, 3):
            run = f"again-{ranks}"
            again = ("train", "job.json", "--set", f"/run_dir={run}", "--replay", "run")
            self.succeed(*again, ranks=ranks)
            self.expect_same_run(run, "run")
        self.expect_spent(*(stats["prompts"] for stats in asked))
        (self.dir / "run/backward_server.json").unlink()
        self.expect_message(self.dln("train", "job.json", "--set", "/run_dir=no", "--replay", "run"),
                            2, "there is no backward_server.json")  # fmt: skip

    def expect_spent(self, forward_prompts, backward_prompts):
        spent = self.result_json()["spent"]
        backward = spent["backward"]
        # What the journal held counts as what it was paid for.
        self.assertGreaterEqual(backward["requests"], backward_prompts)
        self.assertGreaterEqual(spent["requests"] - backward["requests"], forward_prompts)
        output = spent["generated_tokens"] + spent["discarded_tokens"]
        money = (
            1.0 * (spent["prompt_tokens"] - backward["prompt_tokens"])
            + 2.0 * (output - backward["output_tokens"])
            + 10.0 * backward["prompt_tokens"]
            + 20.0 * backward["output_tokens"]
        ) / 1e6
        self.assertAlmostEqual(spent["money"], money, places=12)

    def test_backward_server_that_cannot_score_is_refused_where_it_has_to(self):
        with FakeServer(*self.replies("b.jsonl", BACKWARD), "--flavour", "echo-ignored") as server:
            self.write_two(server)
            self.expect_message(self.dln("train", "job.json"), 3, "/backward_backend",
                                "/train/posterior/log_q needs scores")  # fmt: skip
            self.assertFalse((self.dir / "run").exists())
            self.expect_message(self.dln("probe", "job.json"), 3, "/backward_backend")
            self.write_two(server, train=without_log_q(chat=True), dialect="openai-chat")
            before = server.stats()["prompts"]
            probe = self.succeed("probe", "job.json").out
            self.assertIn("/backend\nbackend scripted", probe)
            self.assertIn("/backward_backend\nbackend http", probe)
            self.assertIn("scores  are not asked of it", probe)
            said = self.train().out
            self.expect_no_failures()
            spent = self.result_json()["spent"]["backward"]
            self.assertIn(f"servers counted {spent['requests']:,} requests", said, "the scripted ones not")
            self.assertGreaterEqual(spent["requests"], server.stats()["prompts"] - before)

    def test_budget_counts_both_models(self):
        with FakeServer(*self.replies("b.jsonl", BACKWARD)) as server:
            self.write_two(server, train=without_log_q())
            self.expect_message(self.dln("train", "job.json", "--set", "/budget/money=0.0005"), 4,
                                "/budget/money")  # fmt: skip
            spent = json.loads((self.dir / "run/spent.json").read_text())
            self.assertGreater(spent["backward"]["requests"], 0)
            self.assertGreater(spent["requests"], spent["backward"]["requests"])
            self.train()
            self.expect_no_failures()


if __name__ == "__main__":
    import unittest

    unittest.main()
