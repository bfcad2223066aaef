"""dln plan against what a run then uses, as the fake model server counts it."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import ProgramTest, examples, job, json_lines, read_step, snapshot, step_paths
from fake_llm_server import FakeServer

PRICES = {"price_input": 2.0, "price_output": 8.0}  # a million tokens
NUMBERS = ("requests", "input_tokens", "output_tokens", "money")
# Of the run's number. What a plan foretells in expectation, a single run misses by its luck.
TOLERANCE = 0.10

# The fake model ends a text anywhere, by chance. With a limit lengths vary as much as real ones do.
LIMIT = 24
PROPOSALS = {"max_tokens": LIMIT}
CLASSES = ["no", "yes"]
SPLITS = {"train": 64, "dev": 16, "test": 24}
SENTENCES = ["the train to the coast leaves at nine", "two and two make four", "bread",
             "a letter from the bank came late", "snails like rain and so do ducks"]  # fmt: skip


def varied(name, count, targets):
    """Inputs of very different lengths."""
    made = examples(name, count, targets)
    for i, one in enumerate(made):
        one["input"] += ": " + " and ".join(SENTENCES[: i % (len(SENTENCES) + 1)])
    return made


class PlanTest(ProgramTest):
    def write_plan_job(self, server, targets=CLASSES, **parts):
        for name, count in SPLITS.items():
            self.write(f"{name}.jsonl", json_lines(varied(name, count, targets)))
        backend = {"kind": "http", "endpoints": f"http://127.0.0.1:{server.port}", **PRICES}
        backend.update(parts.pop("backend", {}))
        train = {"steps": 10, "batch_size": 12, "candidates": 8, "proposals": PROPOSALS}
        train.update(parts.pop("train", {}))
        shape = {"classes": CLASSES, "scoring": {}, **parts}
        self.write("job.json", job(backend=backend, train=train, **shape))

    def planned(self, *options):
        return json.loads(self.succeed("plan", "job.json", "--json", *options).out)

    def used(self, server, run):
        """What a run uses, its probe included, as the server counts it."""
        server.post("/stats/reset", {})
        self.train(timeout=100, run=run)
        return counted(server)

    def spent(self, run):
        """What the run says itself. Budgets count what is recalled from its journal as well."""
        spent = self.result_json(run)["spent"]
        output = spent["generated_tokens"] + spent["discarded_tokens"]
        values = spent["requests"], spent["prompt_tokens"], output, spent["money"]
        return dict(zip(NUMBERS, values, strict=True))

    def expect_foretold(self, *flavour, **parts):
        """In expectation, and what the run says of itself."""
        plan, used, sent = self.plan_and_train(*flavour, **parts)
        expected, most = plan["total"]["expected"], plan["total"]["most"]
        errors = {name: expected[name] / used[name] - 1.0 for name in NUMBERS}
        told = f"\nplan {expected}\nused {used}\nerrors {errors}\nsent {sent}\n{json.dumps(plan['basis'])}"
        if os.environ.get("DLN_SHOW_PLANS"):
            print(told, file=sys.stderr)
        self.assertEqual(sent["requests"], plan["sent"]["requests"], "it says what it cost")
        spent = self.spent("run")
        for name in NUMBERS:
            self.assertLessEqual(abs(errors[name]), TOLERANCE, name + told)
            self.assertLessEqual(used[name], most[name], name + told)
            self.assertGreaterEqual(spent[name], used[name], name + told)
            whole = expected[name] + plan["recalled"][name]
            self.assertLessEqual(abs(whole / spent[name] - 1.0), TOLERANCE, f"{name} {spent}" + told)

    def plan_and_train(self, *flavour, dialect="openai", run="run", **parts):
        """The plan of a job, what the run then used, and what making the plan did."""
        with FakeServer(*flavour) as server:
            backend = {"dialect": dialect, **parts.pop("backend", {})}
            self.write_plan_job(server, backend=backend, **parts)
            server.post("/stats/reset", {})
            before = snapshot(self.dir)
            plan = self.planned("--measure")
            self.assertEqual(snapshot(self.dir), before, "a plan writes nothing")
            sent = counted(server)
            used = self.used(server, run)
        return plan, used, sent


def counted(server):
    stats = server.stats()
    tokens = stats["prompt_tokens"], stats["completion_tokens"]
    return {
        "requests": stats["prompts"],
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "money": (tokens[0] * PRICES["price_input"] + tokens[1] * PRICES["price_output"]) / 1e6,
    }


class Shapes(PlanTest):
    """Shapes of jobs, all with the dialect openai on a server with a tokeniser."""

    def test_classes(self):
        self.expect_foretold()

    def test_memory_and_several_dev_candidates(self):
        self.expect_foretold(train={"memory": 3, "eval_candidates": 2})

    def test_several_templates_and_prompts(self):
        layer = {
            "prompt": ["Is it so?", "Decide whether the answer is yes or no."],
            "templates": ["{{prompt}}\n\n{{input}}", "{{input}}\n{{prompt}}\nAnswer:"],
        }
        self.expect_foretold(network={"layers": [layer]})

    def test_held_out_ranking(self):
        self.expect_foretold(train={"held_out_ranking": True})

    def test_few_shot(self):
        self.expect_foretold(network={"layers": [{"prompt": "Is it so?", "few_shot": 4}]})

    def test_content_free_calibration(self):
        self.expect_foretold(scoring={"calibration": "content_free"})

    def test_free_texts_by_log_prob(self):
        targets = ["a letter", "the coast in the rain", "bread", "ducks and snails"]
        layer = {"prompt": "What is it about?", "max_tokens": LIMIT}
        scoring = {"objective": "log_prob"}
        self.expect_foretold(targets=targets, classes=[], scoring=scoring, network={"layers": [layer]})

    def test_accuracy_of_generated_texts(self):
        layer = {"prompt": "Is it so?", "max_tokens": LIMIT}
        scoring = {"objective": "accuracy"}
        self.expect_foretold(classes=[], scoring=scoring, network={"layers": [layer]})

    def test_one_step(self):
        """Its proposals are those that the plan has seen, and who wins is measured. Whether dev agrees is not:
        it decides whether one prompt or two are tried on test. So each run may be the one or the other."""
        proposals = {"templates": ["paraphrase_few_shot"], "max_tokens": LIMIT}
        train = {"steps": 1, "candidates": 3, "proposals": proposals}
        sums = {name: [0.0, 0.0] for name in NUMBERS}
        for seed in range(1, 7):
            plan, used, _ = self.plan_and_train(train=train, seed=seed, run=f"run-{seed}")
            wins = plan["basis"]["wins"]
            _, arrays = read_step(step_paths(self.dir / f"run-{seed}")[-1])
            chosen = int.from_bytes(arrays["step/layers/0/chosen"][2], "little")
            self.assertAlmostEqual(wins, 0.0 if chosen == 0 else 1.0, msg=f"seed {seed}")
            low, high = plan["nine_of_ten"]["from"], plan["nine_of_ten"]["to"]
            for name in NUMBERS:
                self.assertGreaterEqual(used[name], low[name] * (1.0 - TOLERANCE), f"seed {seed} {name}")
                self.assertLessEqual(used[name], high[name] * (1.0 + TOLERANCE), f"seed {seed} {name}")
                sums[name][0] += plan["total"]["expected"][name]
                sums[name][1] += used[name]
        for name, (expected, used) in sums.items():
            self.assertLessEqual(abs(expected / used - 1.0), TOLERANCE, f"{name} {sums}")

    def test_begin_text_counts(self):
        """In front of short contexts it is a good part of them."""
        self.expect_foretold(backend={"begin_text": "<|im_start|>"})

    def test_few_dev_evaluations_of_a_long_run(self):
        self.expect_foretold(train={"steps": 12, "eval_every": 4, "candidates": 4})


class Depths(PlanTest):
    """Networks of several layers: their runs are rehearsed."""

    HIDDEN = {"prompt": "Say what it is about.", "residual": "{{input}}\n{{output}}", "max_tokens": 16}
    SECOND = {"prompt": "Think.", "template": "{{prompt}} {{input}}", "max_tokens": 12}
    LAST = {"prompt": "Is it so?", "max_tokens": LIMIT}

    def expect_deep_foretold(self, *layers, posterior=None, **parts):
        """In the mean of some seeds: how often the incumbents fall is luck."""
        train = {"steps": 4, "candidates": 5, "batch_size": 8, "posterior": {"samples": 3, **(posterior or {})}}
        sums = {name: [0.0, 0.0] for name in NUMBERS}
        for seed in range(1, 3):
            plan, used, sent = self.plan_and_train(
                train=dict(train), network={"layers": list(layers)}, seed=seed, run=f"run-{seed}", **parts
            )
            self.assertEqual(sent["requests"], plan["sent"]["requests"], "it says what it cost")
            for name in NUMBERS:
                self.assertLessEqual(used[name], plan["total"]["most"][name], f"seed {seed} {name}")
                sums[name][0] += plan["total"]["expected"][name]
                sums[name][1] += used[name]
        for name, (expected, used) in sums.items():
            self.assertLessEqual(abs(expected / used - 1.0), TOLERANCE, f"{name} {sums}")

    def test_two_layers(self):
        self.expect_deep_foretold(self.HIDDEN, self.LAST)

    def test_three_layers_by_log_prob_that_speculate(self):
        targets = ["a letter", "the coast in the rain", "bread", "ducks and snails"]
        parts = {"targets": targets, "classes": [], "scoring": {"objective": "log_prob"}}
        self.expect_deep_foretold(self.HIDDEN, self.SECOND, self.LAST, posterior={"speculate": True}, **parts)

    def test_two_layers_by_right_answers(self):
        self.expect_deep_foretold(self.HIDDEN, self.LAST, classes=[], scoring={"objective": "accuracy"})

    def test_chain_of_a_step_is_said(self):
        self.write_data()
        for posterior, length in (({}, 6), ({"speculate": True}, 4)):
            posterior = {"samples": 2, **posterior}
            layers = [self.HIDDEN, self.LAST]
            self.write("job.json", job(network={"layers": layers}, train={"steps": 2, "posterior": posterior}))
            out = self.succeed("plan", "job.json").out
            self.assertRegex(out, f"longest chain of a step: {length} requests")
        self.assertRegex(out, r"layer 1 writes \d+\.\d ± \d+\.\d tokens \(\d+ written for this plan\)")
        self.assertIn("any share of right answers", out)


class Dialects(PlanTest):
    def test_openai_without_tokeniser(self):
        self.expect_foretold("--flavour", "together", dialect="together")

    def test_llama_server(self):
        self.expect_foretold("--flavour", "llama-server", dialect="llama-server")

    def test_sglang(self):
        self.expect_foretold("--flavour", "sglang", dialect="sglang")

    def test_tgi(self):
        self.expect_foretold("--flavour", "tgi", dialect="tgi")


class Output(PlanTest):
    def write_scripted_job(self, **parts):
        self.write_data()
        self.write("job.json", job(**parts))

    def test_job_whose_examples_are_all_shown_is_refused(self):
        self.write_job(network={"layers": [{"prompt": "Is it so?", "few_shot": 12}]})
        for command in ("plan", "train"):
            result = self.dln(command, "job.json")
            self.expect_message(result, 2, "/network/layers/0/few_shot: 12 shows all 12 training examples")

    def test_plan_is_printed_once_on_two_ranks_and_writes_nothing(self):
        self.write_scripted_job()
        before = snapshot(self.dir)
        alone = self.succeed("plan", "job.json").out
        self.assertEqual(self.succeed("plan", "job.json", ranks=2).out, alone)
        self.assertEqual(alone.count("expected in all"), 1)
        self.assertEqual(snapshot(self.dir), before)

    def test_rows_are_whole_numbers_and_the_sum_is_said(self):
        self.write_scripted_job()
        out = self.succeed("plan", "job.json").out
        rows = re.findall(r"^(\w.*?)  +([\d,]+) +([\d,]+) +([\d,]+)$", out, re.M)
        requests = {name: int(row[0].replace(",", "")) for name, *row in rows}
        parts = [value for name, value in requests.items() if "steps" in name or "evaluations" in name]
        self.assertEqual(len(parts), 3, out)
        self.assertLessEqual(abs(sum(parts) - requests["expected in all"]), 2)
        self.assertGreaterEqual(requests["at most"], requests["expected in all"])

    def test_assumptions_are_said(self):
        self.write_scripted_job()
        out = self.succeed("plan", "job.json").out
        self.assertRegex(out, r"replies to proposals of \d+\.\d ± \d+\.\d tokens \(\d+ written for this plan\)")
        self.assertRegex(out, r"the incumbent falls in \d+\.\d of 4 steps")
        unsampled = self.succeed("plan", "job.json", "--no-samples").out
        self.assertIn("48 tokens, the most allowed", unsampled)
        self.assertIn("this plan cost 0 requests", unsampled)

    def test_time_is_estimated_when_measured(self):
        self.write_scripted_job()
        out = self.succeed("plan", "job.json", "--measure").out
        self.assertRegex(out, r"about \d+ s in all")
        self.assertRegex(out, r"longest chain: 18 requests .*: \d+\.\d s")

    def test_budget_is_compared(self):
        self.write_scripted_job(budget={"requests": 10, "tokens": 100_000_000})
        out = self.succeed("plan", "job.json").out
        self.assertRegex(out, r"budget of 10 requests: \d+ % expected, \d+ % at most: not enough: the run would stop")
        self.assertRegex(out, r"budget of 1e\+08 tokens: \d+ % expected, \d+ % at most: enough")

    def test_throughput_counts_calls_beside_each_other(self):
        """A server of 50 ms a call and 32 slots: on one call at a time the run would take a minute."""
        with FakeServer("--latency-ms", "50") as server:
            endpoint = {"address": f"http://127.0.0.1:{server.port}", "in_flight": 32}
            self.write_plan_job(server, backend={"endpoints": [endpoint]})
            plan = self.planned("--measure")
        one_by_one = plan["total"]["expected"]["requests"] * 0.05
        self.assertLess(plan["time"]["seconds"], one_by_one / 2)
        self.assertGreaterEqual(plan["time"]["seconds"], plan["time"]["chain_seconds"])
        self.assertGreaterEqual(plan["time"]["chain_seconds"], 0.05 * plan["longest_chain"]["requests"])
