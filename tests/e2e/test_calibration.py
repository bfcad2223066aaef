"""Calibrated classes: scores in a step file follow from its class log-probabilities and priors, computed here again
with numpy; predictions depend on their own line alone; nothing depends on the number of ranks."""

import json
import unittest

import h5py
import numpy as np

from dln_program import ProgramTest, examples, json_lines, step_paths, value
from test_inference import TWO, deep_train
from test_ranks import RankCounts

CLASSES = ["no", "yes"]
BLOCK = {"block": 3}


def log_mean(log_p):
    """log of the mean probability of each class, rows without numbers left out; normalised."""
    rows = log_p[~np.isnan(log_p).any(axis=1)]
    prior = np.log(np.exp(rows).mean(axis=0))
    return prior - np.log(np.exp(prior).sum())


def calibrated(log_p, prior):
    shifted = log_p - prior
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


class Formulas(ProgramTest):
    def check(self, calibration, layer=0, **changes):
        self.write_job(scoring={**BLOCK, "calibration": calibration}, **changes)
        self.train()
        paths = step_paths(self.dir / "run")[1:]
        checked = sum(self.check_step(path, calibration, layer) for path in paths)
        self.assertGreater(checked, 0, "no step had anything to learn")

    def check_step(self, path, calibration, layer):
        with h5py.File(path, "r") as file:
            if file["step/nothing_to_learn"][()]:
                return 0
            at = f"step/layers/{layer}"
            raw, priors = file[f"{at}/class_log_probs"][()], file[f"{at}/class_log_prior"][()]
            scores, batch = file[f"{at}/scores"][()], file["step/batch"][()]
            ranked = np.isin(batch, file["step/ranked_on"][()])
            wanted = batch % 2  # of examples(): no, yes, no, ...
            for k, prior in enumerate(priors):
                if calibration == "batch":
                    np.testing.assert_allclose(prior, log_mean(raw[k][ranked].reshape(-1, 2)), atol=1e-9)
                again = calibrated(raw[k], prior)
                for i, target in enumerate(wanted):
                    np.testing.assert_allclose(again[i, :, target], scores[k, i], atol=1e-8)
            self.assertGreater(np.abs(priors - np.log(0.5)).max(), 1e-3, "a prior that changes nothing")
            if calibration == "content_free":
                np.testing.assert_array_equal(file["step/forward_class_log_prior"][()], priors[0])
        return 1

    def test_batch_of_one_layer(self):
        self.check("batch")

    def test_content_free_inputs_of_one_layer(self):
        self.check("content_free")

    def test_batch_of_two_layers_that_rank_on_one_half(self):
        self.check("batch", layer=1, network={"layers": TWO}, train=deep_train(held_out_ranking=True))

    def test_content_free_inputs_of_two_layers(self):
        self.check("content_free", layer=1, network={"layers": TWO}, train=deep_train(trust_factor=0.5))

    def test_speculation_changes_no_choice(self):
        scoring = {**BLOCK, "calibration": "content_free"}
        self.write_job(network={"layers": TWO}, scoring=scoring, train=deep_train({"samples": 1}))
        self.train(run="waits")
        self.train("/train/posterior/speculate=true", run="speculates")
        for waits, speculates in zip(*(step_paths(self.dir / run) for run in ("waits", "speculates")), strict=True):
            self.assertEqual(*(value(path, "state/current/prompt") for path in (waits, speculates)))

    def test_batch_of_a_race(self):
        train = {"steps": 3, "batch_size": 8, "candidates": 6, "select": "racing", "racing_block": 2, "racing_risk": 0.4}
        self.check("batch", train=train)


class Ranks(RankCounts):
    def test_batch_is_equal_on_any_number_of_ranks(self):
        self.write_job(
            network={"layers": TWO},
            scoring={**BLOCK, "calibration": "batch"},
            train=deep_train({"samples": 3, "mutual_information": True}, trust_factor=0.5),
        )
        self.expect_equal_on(1, 2, 4)

    def test_content_free_inputs_are_equal_on_any_number_of_ranks(self):
        self.write_job(
            network={"layers": TWO},
            scoring={"block": 2, "calibration": "content_free", "objective": "accuracy"},
            train=deep_train({"samples": 3}),
        )
        self.expect_equal_on(1, 2, 4)


class Predict(ProgramTest):
    def predict(self, lines, *options):
        out = self.succeed("predict", *options, stdin=json_lines(lines)).out
        return [json.loads(line) for line in out.splitlines()]

    def test_line_alone_is_answered_as_in_its_file(self):
        lines = [{"input": one["input"]} for one in examples("test", 8)]
        for calibration in ("batch", "content_free"):
            self.write_job(scoring={**BLOCK, "calibration": calibration})
            self.train(run=calibration)
            self.assertEqual(set(self.prompts_json(calibration)["class_log_prior"]), set(CLASSES))
            whole = self.predict(lines, "--run", calibration)
            alone = [self.predict([line], "--run", calibration)[0] for line in lines[:2]]
            self.assertEqual(alone, whole[:2])

    def test_calibration_changes_answers(self):
        lines = [{"input": one["input"]} for one in examples("test", 8)]
        self.write_job()
        plain = self.predict(lines, "job.json")
        for calibration in ("batch", "content_free"):
            self.write_job(scoring={**BLOCK, "calibration": calibration})
            self.assertNotEqual(self.predict(lines, "job.json"), plain)

    def test_prior_of_the_lines_is_warned_of(self):
        self.write_job(scoring={**BLOCK, "calibration": "batch"})
        result = self.succeed("predict", "job.json", stdin=json_lines([{"input": "a"}, {"input": "b"}]))
        self.assertIn("no class prior is kept with these prompts", result.err)
        alone = self.predict([{"input": "a"}], "job.json")
        self.assertEqual(alone[0]["probabilities"], {"no": 0.5, "yes": 0.5}, "its own prior")

    def test_eval_says_the_prior(self):
        self.write_job(scoring={**BLOCK, "calibration": "content_free"})
        self.assertRegex(self.succeed("eval", "job.json").out, r"class prior: no 0\.\d{4}, yes 0\.\d{4}\n")


if __name__ == "__main__":
    unittest.main()
