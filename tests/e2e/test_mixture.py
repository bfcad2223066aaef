"""Mixture layers: several prompts in a layer, and a gate over the input's embedding."""

import json
import unittest

import h5py
from dln_program import ProgramTest, examples, job, json_lines, read_step, step_paths

NGRAMS = {"kind": "ngrams", "dimension": 64}
TRAIN = {"steps": 3, "batch_size": 8, "candidates": 4, "memory": 1, "eval_candidates": 2}


def mixture(experts, **more):
    return {"prompts": ["Is it so?", "Say no or yes."], "mixture": {"experts": experts, **more}}


class Mixture(ProgramTest):
    def write_job(self, *layers, **changes):
        lines = [
            {"input": f"{kind} {one['input']}", "target": one["target"]}
            for kind in ("colour of", "12345678")
            for one in examples("some", 8)
        ]
        for split in ("train", "dev", "test"):
            self.write(f"{split}.jsonl", json_lines(lines))
        parts = {"network": {"layers": list(layers)}, "embedding": NGRAMS, "train": TRAIN}
        self.write("job.json", job(**{**parts, **changes}))


class Runs(Mixture):
    def expect_equal_on_ranks_and_after_a_kill(self):
        self.train(run="run-alone")
        for ranks in (2, 4):
            self.train(run=f"run-{ranks}", ranks=ranks)
            self.expect_same_run(f"run-{ranks}", "run-alone")
        self.train_until("step.after_close:3", run="killed", ranks=2)
        self.train(run="killed", ranks=3)
        self.expect_same_run("killed", "run-alone")

    def test_last_layer_is_equal_on_any_number_of_ranks_and_after_a_kill(self):
        self.write_job(mixture(2, prediction="mixture"))
        self.expect_equal_on_ranks_and_after_a_kill()
        with h5py.File(step_paths(self.dir / "run-alone")[-1]) as file:
            self.assertEqual(file["state/current/mixtures/0/gate_weights"].shape, (1, 2, 64))
            self.assertEqual(file["step/layers/0/responsibilities"].shape, (8, 2))
            for shares in file["step/layers/0/responsibilities"][()]:
                self.assertAlmostEqual(sum(shares), 1.0)

    def test_stacked_layers_are_equal_on_any_number_of_ranks_and_after_a_kill(self):
        hidden = {**mixture(2), "template": "{{prompt}}\n{{input}}", "residual": "{{input}} {{output}}"}
        self.write_job({**hidden, "max_tokens": 8}, mixture(3, prediction="mixture"),
                       train={**TRAIN, "posterior": {"samples": 2}})  # fmt: skip
        self.expect_equal_on_ranks_and_after_a_kill()

    def test_one_expert_is_a_plain_layer_to_the_byte(self):
        self.write_job(mixture(1))
        self.train(run="one")
        plain = mixture(1)
        del plain["mixture"]
        self.write_job(plain)
        self.train(run="plain")
        self.expect_same_run("one", "plain")
        _, arrays = read_step(step_paths(self.dir / "one")[-1])
        self.assertFalse([name for name in arrays if "mixture" in name or "gate" in name])


class Commands(Mixture):
    def test_prompts_file_predicts_and_evaluates_without_training_data(self):
        self.write_job(mixture(2))
        self.train()
        (layer,) = self.prompts_json()["layers"]
        self.assertEqual(len(layer["experts"]), 2)
        self.assertEqual(len(layer["gate"]["weights"]), 2 * 64)
        evaluated = self.succeed("eval", "--run", "run").out
        self.assertIn("prompt 1, expert 2: ", evaluated)
        self.assertIn(f"accuracy {self.result_json()['test']['accuracy']:.4f}", evaluated)
        (self.dir / "train.jsonl").unlink()
        asked = json_lines([{"input": one} for one in ("colour of some", "12345678 some", "")])
        whole = self.succeed("predict", "--run", "run", stdin=asked).out.splitlines()
        alone = [self.succeed("predict", "--run", "run", stdin=line + "\n").out.strip()
                 for line in asked.splitlines()]  # fmt: skip
        self.assertEqual(whole, alone)
        self.assertAlmostEqual(sum(json.loads(whole[0])["probabilities"].values()), 1.0, places=5)

    def test_inspect_shows_each_expert_and_its_share(self):
        self.write_job(mixture(2))
        self.train()
        shown = self.succeed("inspect", "run").out
        self.assertIn("current layer 1, expert 2: ", shown)
        self.assertRegex(shown, r"layer 1, expert 1, \d+\.\d of 8 examples\n")


class Refusals(Mixture):
    def refuse(self, *fragments, layers=(), **changes):
        self.write_job(*(layers or [mixture(2)]), **changes)
        self.expect_message(self.dln("train", "job.json"), 2, *fragments)

    def test_bad_jobs_are_refused_with_what_would_be_right(self):
        place = "/network/layers/0/mixture"
        self.refuse(f"{place}/experts", "0", layers=[mixture(0)])
        self.refuse(f"{place}/experts", '"kind": "ngrams"', embedding=None)
        self.refuse(f"{place}/experts", '"train" is false', layers=[{**mixture(2), "train": False},
                                                                   mixture(1)])  # fmt: skip
        self.refuse(f"{place}/prediction", "/classes is empty", classes=[],
                    scoring={"objective": "accuracy"}, layers=[mixture(2, prediction="mixture")])  # fmt: skip
        self.refuse(f"{place}/prediction", "hidden layer",
                    layers=[mixture(2, prediction="mixture"), mixture(1)])  # fmt: skip
        self.refuse("/train/select", '"exact"', train={**TRAIN, "select": "racing"})
        self.refuse("/scoring/calibration", '"none"', scoring={"calibration": "batch"})
        self.refuse("/train/proposals/templates/0", "different examples",
                    train={**TRAIN, "proposals": {"templates": ["history"]}})  # fmt: skip

    def test_plan_says_what_it_cannot_foretell(self):
        self.write_job(mixture(2))
        self.expect_message(self.dln("plan", "job.json"), 2, "mixture layers", "experts=1")

    def test_gate_of_another_embedding_is_refused(self):
        self.write_job(mixture(2))
        self.train()
        result = self.dln("eval", "--run", "run", "--set", "/embedding/dimension=32")
        self.expect_message(result, 2, "/embedding", "32 numbers", "ones of 64")

    def test_prompts_file_with_another_number_of_experts_is_refused(self):
        self.write_job(mixture(2))
        self.train()
        self.write_job(mixture(3))
        result = self.dln("eval", "job.json", "--prompts", "run/prompts.json")
        self.expect_message(result, 2, "/layers/0/experts", "2 experts", "has 3")


if __name__ == "__main__":
    unittest.main()
