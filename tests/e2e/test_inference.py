"""Networks with latents: every choice of a step follows from the arrays in its step file by the formulas of
docs/design.md alone, computed here again with numpy; and nothing depends on the number of ranks."""

import unittest

import h5py
import numpy as np

from dln_program import ProgramTest, step_paths
from test_ranks import RankCounts

TWO = [
    {"prompt": "Think about it.", "template": "{{prompt}}\n{{input}}", "residual": "{{input}}\n{{output}}", "max_tokens": 8},
    {"prompt": "Is it so?", "template": "{{prompt}}\n{{input}}"},
]
THREE = [
    {"prompt": "Look.", "template": "{{prompt}} {{input}}", "residual": "{{input}}\nSeen: {{output}}", "max_tokens": 6},
    {"prompt": "Think.", "template": "{{prompt}} {{input}}", "residual": "{{input}}\nThought: {{output}}", "max_tokens": 6},
    {"prompt": "Is it so?", "template": "{{prompt}}\n{{input}}"},
]
TERMS = {"samples": 3, "mutual_information": True, "log_q": True, "weight_temperature": 2.5}


def deep_train(posterior=None, **changes):
    train = {"steps": 3, "batch_size": 7, "candidates": 4, "posterior": posterior or {"samples": 3}}
    train.update(changes)
    return train


def weights_of(file, posterior):
    """Softmax over samples of the sum of the terms, absent samples left out."""
    drawn = file["step/latents/drawn"][()].astype(bool)
    samples = drawn.shape[1]
    temperature = posterior.get("weight_temperature", 1.0)
    if samples == 1 or temperature >= 100:
        a = np.where(drawn, 0.0, np.nan)
    else:
        a = file["step/weights/log_likelihood"][()]
        if posterior.get("prior", True):
            a = a + file["step/weights/log_prior"][()].sum(axis=0)
        if posterior.get("mutual_information"):
            a = a - file["step/weights/log_marginal"][()]
        if posterior.get("log_q"):
            a = a - file["step/weights/log_q"][()].sum(axis=0)
        a = np.where(drawn, a, np.nan)
    w = np.zeros_like(a)
    for i, row in enumerate(a):
        there = ~np.isnan(row)
        if not there.any():
            continue
        if posterior.get("argmax"):
            w[i, np.nanargmax(row)] = 1
        else:
            e = np.exp((row[there] - row[there].max()) / temperature)
            w[i, there] = e / e.sum()
    return w


def value_of(file, layer, k, w, last, train):
    """S(k): mean over the ranked examples of the weighted scores less the terms that count against k."""
    at = f"step/layers/{layer}"
    scores = file[f"{at}/scores"][k]
    if train.get("nce") and not last:
        e = np.exp(scores)
        scores = np.log(e / np.nansum(e, axis=1, keepdims=True) + 1e-12)
    values = np.where(w > 0, w * scores, 0.0).sum(axis=1)
    if last and train.get("trust_factor"):
        values = values - train["trust_factor"] * file[f"{at}/divergence"][k]
    if not last and train.get("logp_penalty"):
        values = values - file["step/weights/error_factor"][()] * file[f"{at}/error_scores"][k]
    ranked = np.isin(file["step/batch"][()], file["step/ranked_on"][()])
    return values[ranked].mean()


class Formulas(ProgramTest):
    def check(self, layers, train, run="run", **changes):
        self.write_job(network={"layers": layers}, train=train, **changes)
        self.train(run=run)
        checked = 0
        for path in step_paths(self.dir / run)[1:]:
            with h5py.File(path, "r") as file:
                checked += self.check_step(file, layers, train)
        self.assertGreater(checked, 0, "no step had anything to learn")

    def check_step(self, file, layers, train):
        if file["step/nothing_to_learn"][()]:
            return 0
        posterior = train["posterior"]
        w = weights_of(file, posterior)
        np.testing.assert_allclose(file["step/weights/values"][()], w, atol=1e-12)
        np.testing.assert_array_equal(file["step/weights/best"][()], w.argmax(axis=1))
        for layer, spec in enumerate(layers):
            at = f"step/layers/{layer}"
            if not spec.get("train", True):
                self.assertNotIn(at, file)
                continue
            count = len(file[f"{at}/candidates/prompt"])
            values = [value_of(file, layer, k, w, layer + 1 == len(layers), train) for k in range(count)]
            np.testing.assert_allclose(file[f"{at}/candidates/mean"][()], values, atol=1e-8)
            best = int(np.argmax(values))
            margin = train.get("tie_margin", 0.0)
            wins = best != 0 and values[best] > values[0] + margin
            self.assertEqual(int(file[f"{at}/chosen"][()]), best if wins else 0)
        return 1

    def test_default_terms_of_two_layers(self):
        self.check(TWO, deep_train())

    def test_all_terms_of_two_layers(self):
        self.check(
            TWO,
            deep_train(
                TERMS, trust_factor=0.7, logp_penalty=0.3, logp_penalty_decay=True, nce=True, hidden_steps=2
            ),
        )

    def test_all_terms_of_three_layers(self):
        self.check(THREE, deep_train(TERMS, trust_factor=0.7, logp_penalty=0.3, nce=True))

    def test_penalty_falls_to_zero_over_the_steps(self):
        train = deep_train(logp_penalty=0.5, logp_penalty_decay=True)
        self.check(TWO, train)
        factors = []
        for path in step_paths(self.dir / "run")[1:]:
            with h5py.File(path, "r") as file:
                factors.append(float(file["step/weights/error_factor"][()]))
        np.testing.assert_allclose(factors, [0.5, 0.5 * 2 / 3, 0.5 / 3])

    def test_best_sample_alone(self):
        self.check(TWO, deep_train({"samples": 4, "argmax": True, "prior": False}))

    def test_one_sample_has_weight_one(self):
        self.check(TWO, deep_train({"samples": 1}))

    def test_high_temperature_makes_weights_equal(self):
        self.check(TWO, deep_train({"samples": 3, "weight_temperature": 100}))

    def test_held_out_ranking_and_frozen_layer(self):
        layers = [dict(TWO[0], train=False), TWO[1]]
        self.check(layers, deep_train(held_out_ranking=True))
        self.check(TWO, deep_train(held_out_ranking=True), run="run-both")

    def test_right_examples_keep_their_latents(self):
        posterior = {"samples": 3, "rewrite_loss_only": True}
        self.check(TWO, deep_train(posterior))
        for path in step_paths(self.dir / "run")[1:]:
            with h5py.File(path, "r") as file:
                right = file["step/forward_right"][()].astype(bool)
                forward = file["step/latents/forward"][()]
                sampled = file["step/latents/sampled"][()]
                for i in np.flatnonzero(right):
                    self.assertEqual(set(sampled[i].ravel()), set(forward[i]))

    def test_speculation_changes_no_choice(self):
        for rewrite in (False, True):
            posterior = {"samples": 3, "rewrite_loss_only": rewrite}
            self.write_job(network={"layers": TWO}, train=deep_train(posterior))
            self.train(run=f"run-waits-{rewrite}")
            self.train("/train/posterior/speculate=true", run=f"run-speculates-{rewrite}")
            for waits, speculates in zip(
                step_paths(self.dir / f"run-waits-{rewrite}"), step_paths(self.dir / f"run-speculates-{rewrite}"), strict=True
            ):
                with h5py.File(waits) as one, h5py.File(speculates) as other:
                    np.testing.assert_array_equal(
                        one["state/current/prompt"][()], other["state/current/prompt"][()]
                    )
                    if "step/weights/values" in one:
                        np.testing.assert_array_equal(
                            one["step/weights/values"][()], other["step/weights/values"][()]
                        )


class Ranks(RankCounts):
    def test_two_layers_are_equal_on_any_number_of_ranks(self):
        self.write_job(
            network={"layers": TWO},
            train=deep_train(TERMS, trust_factor=0.5, logp_penalty=0.2, hidden_steps=2, memory=2),
        )
        self.expect_equal_on(1, 2, 3, 4)

    def test_races_are_equal_on_any_number_of_ranks(self):
        self.write_job(
            network={"layers": TWO},
            train=deep_train(
                select="racing", racing_block=2, racing_risk=0.4, candidates=8, hidden_steps=2
            ),
        )
        self.expect_equal_on(1, 2, 4)

    def test_three_layers_that_generate_are_equal_on_any_number_of_ranks(self):
        self.write_job(
            classes=[],
            scoring={"objective": "accuracy", "block": 2},
            network={"layers": THREE},
            train=deep_train(),
        )
        self.expect_equal_on(1, 2, 4)


if __name__ == "__main__":
    unittest.main()
