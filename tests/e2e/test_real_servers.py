"""Probing, scoring and training through real servers on the quick start's model, against the same weights
inside the process. Skipped, with the reason, where tools/setup did not install the server."""

import json
import math
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import EmbeddedTest, json_lines
from model_server import ROOT, ModelServer, NotInstalled

JOB = ROOT / "jobs/server.json"
BEGIN = "<|im_start|>"  # of the quick start's model
WORDS = [("delightful", "positive"), ("dreadful", "negative"), ("calm", "positive"), ("loss", "negative")]  # fmt: skip


class RealServer(EmbeddedTest):
    """One server for the tests of a class, which name it in `name`."""

    name = ""
    server_options = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.server = ModelServer(cls.name, *cls.server_options)
        except NotInstalled as missing:
            raise unittest.SkipTest(str(missing)) from missing
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        data = [{"input": word, "target": target} for word, target in WORDS]
        # Few examples: llama-cpp-python takes a tenth of a second for a token.
        for name, count in (("train", 4), ("dev", 2), ("test", 2)):
            self.write(f"{name}.jsonl", json_lines(data[:count]))

    def options(self, **backend):
        """That make jobs/server.json use this test's data and server, with the given fields of its backend
        changed, or another kind of backend."""
        sets = [f"/data/{name}={self.dir / name}.jsonl" for name in ("train", "dev", "test")]
        sets.append(f"/run_dir={self.dir / 'run'}")
        if "kind" in backend:
            sets.append(f"/backend={json.dumps(backend)}")
        else:
            sets.append(f"/backend/endpoints/0/address={self.server.address}")
            sets += [f"/backend/{field}={json.dumps(value)}" for field, value in backend.items()]
        return [word for one in sets for word in ("--set", one)]

    def probe(self, *options):
        return self.dln("probe", self.server.address, *options, timeout=250)

    def noise_floor(self, result):
        return float(re.search(r"noise floor ([0-9.e+-]+) nats", result.out).group(1))

    def log_odds(self, **backend):
        """Of the first class, for two words under the job's prompt."""
        lines = json_lines([{"input": word} for word, _ in WORDS[:2]])
        result = self.succeed("predict", JOB, *self.options(**backend), stdin=lines, timeout=250)
        odds = []
        for line in result.out.splitlines():
            probability = json.loads(line)["probabilities"]
            odds.append(math.log(probability["positive"] / probability["negative"]))
        return odds

    def expect_scores_of_the_embedded_model(self, noise, begin_text, **backend):
        served = self.log_odds(begin_text=begin_text, **backend)
        inside = self.log_odds(kind="embedded", begin_text=begin_text)
        self.assertGreater(abs(inside[0] - inside[1]), 0.1, "the words are told apart")
        for one, other in zip(served, inside, strict=True):
            # Odds have two scores. Probabilities are written with six digits.
            self.assertAlmostEqual(one, other, delta=2 * max(noise, 1e-4))

    def one_step(self, **backend):
        return self.options(**backend) + ["--set", "/train/steps=1", "--set", "/train/batch_size=4"]

    def expect_training_on_two_ranks(self, **backend):
        options = self.one_step(**backend)
        result = self.succeed("train", JOB, *options, ranks=2, timeout=290)
        self.assertRegex(result.out, "step 1 .* candidates, incumbent")
        self.assertEqual(self.result_json()["steps_done"], 1)
        self.assertEqual(self.metrics()[-1]["failures"], 0)


class LlamaCppPython(RealServer):
    name = "llama-cpp-python"

    def test_shifted_scores_are_refused_and_what_works_is_named(self):
        result = self.probe()
        self.assertEqual(result.code, 3, result)
        self.assertIn("FAIL generation agrees with scoring", result.out)
        self.assertIn("not belong to the tokens", result.out)
        self.assertIn(f'"begin_text": "{BEGIN}"', result.out)
        self.assertIn(f"--begin-text '{BEGIN}'", result.out)

    def test_scores_behind_the_begin_text_are_those_of_the_embedded_model(self):
        result = self.probe("--begin-text", BEGIN)
        self.assertEqual(result.code, 0, result)
        self.assertRegex(result.out, "ok   a context that is too long is refused: .* tokens")
        noise = self.noise_floor(result)
        self.assertLess(noise, 0.02)
        self.expect_scores_of_the_embedded_model(noise, begin_text=BEGIN)

    def test_two_ranks_train_through_it_and_use_what_the_plan_foretold(self):
        """Within a tenth of where nine of ten simulated runs lie: two words of dev decide what test evaluates."""
        plan = json.loads(self.succeed("plan", JOB, *self.one_step(), "--json", timeout=290).out)
        self.expect_training_on_two_ranks()
        spent = self.result_json()["spent"]
        output = spent["generated_tokens"] + spent["discarded_tokens"]
        used = {"requests": spent["requests"], "input_tokens": spent["prompt_tokens"], "output_tokens": output}
        for name, amount in used.items():
            told = f"{name}: {used}, plan {plan['nine_of_ten']}"
            self.assertGreaterEqual(amount, 0.9 * plan["nine_of_ten"]["from"][name], told)
            self.assertLessEqual(amount, 1.1 * plan["nine_of_ten"]["to"][name], told)


class LlamaServer(RealServer):
    name = "llama-server"

    def test_ignored_echo_is_refused_and_the_dialect_that_fits_is_named(self):
        result = self.probe()
        self.assertEqual(result.code, 3, result)
        self.assertIn("echo is ignored", result.err)
        self.assertIn("--dialect llama-server", result.err)

    def test_scores_of_forced_tokens_are_those_of_the_embedded_model(self):
        result = self.probe("--dialect", "llama-server")
        self.assertEqual(result.code, 0, result)
        noise = self.noise_floor(result)
        self.assertLess(noise, 0.02)
        self.expect_scores_of_the_embedded_model(noise, begin_text="", dialect="llama-server")

    def test_two_ranks_train_through_it(self):
        self.expect_training_on_two_ranks(dialect="llama-server", begin_text="")


class LlamaServerEmbeddings(RealServer):
    name = "llama-server"
    server_options = ("--embeddings", "--pooling", "mean")

    def test_examples_are_those_that_the_embedded_model_chooses(self):
        words = ("happy", "glad", "joyful smile", "a sad day", "gloomy", "war", "the war is over", "bank", "river")
        train = [{"input": word, "target": ("positive", "negative")[i % 2]} for i, word in enumerate(words)]
        self.write("train.jsonl", json_lines(train))
        layer = {"prompt": "Is it so?", "few_shot": 3, "few_shot_choice": "nearest"}
        self.write("job.json", {"data": {"train": "train.jsonl"}, "classes": ["positive", "negative"],
                                "network": {"layers": [layer]}, "backend": {"kind": "scripted"}})  # fmt: skip
        lines = json_lines([{"input": word} for word in ("cheerful", "battle", "water", "very unhappy people")])
        answers = [
            self.succeed("predict", "job.json", "--set", f"/embedding={json.dumps(embedding)}", stdin=lines).out
            for embedding in ({"kind": "http", "endpoints": self.server.address}, {"kind": "embedded"})
        ]
        self.assertEqual(*answers)


if __name__ == "__main__":
    unittest.main()
