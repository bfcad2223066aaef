"""Texts that look like templates, commands to a terminal, or ends of strings stay texts."""

import json
import math
import unittest

from dln_program import ALONE, EmbeddedTest, ProgramTest, examples, job, json_lines, step_paths, value

ODD = (
    "{{x}} {{input}} {{#errors}} \"double\" 'single' `back` \\ \\n %s {} {0}"
    " nul[\0] bell[\a] escape[\x1b[31mred\x1b]0;title\x07] delete[\x7f] c1[\u009b31m]"
    " return[\r] tab[\t] line[\n] bom[\ufeff] right-to-left[\u202e] emoji[\U0001f642]"
)
LONG = ODD + "long " * 200_000  # a megabyte


def odd_examples(name, count):
    return [
        {"input": f"{name} {i} {ODD}", "target": ("no", "yes")[i % 2]} for i in range(count)
    ]


class HostileText(ProgramTest):
    def write_odd_data(self, count=8):
        for name in ("train", "dev", "test"):
            self.write(f"{name}.jsonl", json_lines(odd_examples(name, count)))

    def write_odd_job(self, **changes):
        self.write("prompt.txt", ODD)
        parts = {"network": {"layers": [{"prompt": {"file": "prompt.txt"}}]}}
        self.write("job.json", job(**(parts | changes)))

    def expect_initial_prompt_kept(self, prompt=ODD, run="run"):
        first = step_paths(self.dir / run)[0]
        self.assertEqual(value(first, "state/current/prompt"), [prompt.encode()])

    def expect_tidy(self, result):
        self.expect_no_controls(result)
        json.loads((self.dir / "run/prompts.json").read_text())
        self.result_json()


class ScriptedRuns(HostileText):
    def test_odd_prompt_and_examples_go_through_training(self):
        self.write_odd_data()
        self.write_odd_job()
        for ranks in (ALONE, 2):
            result = self.train(run=f"run-{ranks}" if ranks else "run", ranks=ranks)
            self.expect_tidy(result)
        self.expect_initial_prompt_kept()
        self.expect_same_run("run-2", "run")

    def test_odd_proposal_becomes_the_prompt_unchanged(self):
        """The reply's braces are no template, and step files and prompts.json hold it exactly."""
        self.write_data()
        proposal = "Odd {{prompt}} {{input}} \x1b[31m \0 \"quoted\" \u202e"
        lines = [{"match": "PROPOSE", "text": proposal}]
        for split in ("train", "dev", "test"):
            for one in examples(split, 12):
                for target in ("no", "yes"):
                    right = target == one["target"]
                    lines.append(
                        {
                            "match": f"{proposal}\n\n{one['input']}|",
                            "target": "\n" + target,
                            "log_prob": -0.01 if right else -5.0,
                        }
                    )
        self.write("replies.jsonl", json_lines(lines))
        self.write(
            "job.json",
            job(
                network={"layers": [{"prompt": "Is it so?", "template": "{{prompt}}\n\n{{input}}|"}]},
                scoring={"leading_space": False},
                train={
                    "steps": 2,
                    "batch_size": 8,
                    "candidates": 2,
                    "proposals": {"template": {"name": "p", "text": "PROPOSE {{prompt}}"}},
                },
                backend={"kind": "scripted", "replies": "replies.jsonl"},
            ),
        )
        result = self.train(ranks=2)
        self.expect_tidy(result)
        self.assertEqual(self.prompts_json()["layers"][0]["prompt"], proposal)
        self.assertEqual(value(step_paths(self.dir / "run")[-1], "state/current/prompt"), [proposal.encode()])
        self.assertEqual(self.result_json()["test"]["accuracy"], 1.0)
        for arguments in (("inspect", "run", "--all"), ("eval", "--run", "run")):
            self.expect_no_controls(self.succeed(*arguments))

    def test_odd_names_are_shown_without_control_characters(self):
        self.write_data(targets=("no\x1b[31m", "yes"))
        self.write(
            "job.json",
            job(
                classes=["no\x1b[31m", "yes"],
                network={
                    "layers": [
                        {
                            "prompt": "Is it so?",
                            "templates": [
                                {"name": "t\x1b[32m", "text": "{{prompt}}\n{{input}}"},
                                {"name": "u\x1b[33m", "text": "{{prompt}} {{input}}"},
                            ],
                        }
                    ]
                },
                train={
                    "steps": 3,
                    "batch_size": 8,
                    "candidates": 6,
                    "proposals": {
                        "template": {"name": "p\x1b[34m", "text": "Try again: {{prompt}}", "chat": False}
                    },
                },
            ),
        )
        self.expect_tidy(self.train())
        for arguments in (("inspect", "run", "--all"), ("eval", "--run", "run"), ("plan", "job.json")):
            self.expect_no_controls(self.succeed(*arguments))

    def test_context_that_is_too_long_is_a_failure_that_is_counted_and_shown(self):
        self.write_data()
        lines = examples("train", 11) + [{"input": LONG, "target": "yes"}]
        self.write("train.jsonl", json_lines(lines))
        self.write_odd_job(scoring={"min_scored": 0.5}, train={"steps": 3, "batch_size": 12, "candidates": 3})
        result = self.train(ranks=2)
        self.expect_tidy(result)
        self.assertRegex(result.err, r"dln: warning: step 1: \d+ requests failed; the first: .*tokens")
        for path in step_paths(self.dir / "run")[1:]:
            self.assertGreater(value(path, "step/failures"), 0)
            self.assertIn(b"tokens", value(path, "step/first_failure"))
            place = value(path, "step/ranked_on").index(11)
            for row in value(path, "step/layers/0/scores"):
                self.assertEqual([i for i, cell in enumerate(row) if math.isnan(cell[0])], [place])
            self.assertEqual(set(value(path, "step/layers/0/candidates/scored")), {11})

    def test_prompt_of_a_megabyte_is_kept_exactly(self):
        self.write_data()
        self.write("prompt.txt", LONG)
        self.write(
            "job.json",
            job(
                network={"layers": [{"prompt": {"file": "prompt.txt"}}]},
                backend={"kind": "scripted", "context_tokens": 1_000_000},
                train={"steps": 1, "batch_size": 4, "candidates": 1},
            ),
        )
        result = self.train(ranks=2)
        self.expect_tidy(result)
        self.expect_initial_prompt_kept(LONG)
        self.assertTrue(self.prompts_json()["layers"][0]["prompt"] == LONG)
        self.assertLess(len(result.out), 20_000)
        self.assertEqual(self.result_json()["test"]["failures"], 0)

    def test_prompt_too_long_for_the_context_is_told(self):
        self.write_data()
        self.write("prompt.txt", LONG)
        self.write("job.json", job(network={"layers": [{"prompt": {"file": "prompt.txt"}}]}))
        for ranks in (ALONE, 2):
            result = self.dln("train", "job.json", "--set", f"/run_dir=run-{ranks}", ranks=ranks)
            self.expect_no_controls(result)
            self.assertRegex(result.err, r"a context of \d+ tokens exceeds the 2048")
            self.assertLess(len(result.err), 20_000)

    def test_bad_text_in_messages_is_shown_without_control_characters(self):
        self.write_data()
        self.write("train.jsonl", json_lines([{"input": "a", "target": ODD}]))
        self.write("job.json", job())
        result = self.dln("train", "job.json")
        self.expect_message(result, 2, "train.jsonl:1:")
        self.expect_no_controls(result)
        self.write("job.json", job(**{"od\x1b[31md": 1}))
        result = self.dln("train", "job.json")
        self.assertEqual(result.code, 2)
        self.expect_no_controls(result)
        result = self.dln("train", "job.json", "--set", "/tr\x1b[31main/steps=x\x1b[32m")
        self.assertEqual(result.code, 2)
        self.expect_no_controls(result)

    def test_odd_lines_are_predicted_and_come_back_as_they_were(self):
        self.write_data()
        self.write_odd_job()
        line = {"input": ODD, "note": ODD, "number": 1e-9}
        result = self.succeed("predict", "job.json", stdin=json_lines([line]))
        answer = json.loads(result.out)
        self.assertEqual({name: answer[name] for name in line}, line)


class EmbeddedRuns(EmbeddedTest, HostileText):
    def test_odd_texts_go_through_a_real_model_and_what_is_too_long_fails_visibly(self):
        self.write_odd_data(count=4)
        self.write("dev.jsonl", json_lines([{"input": LONG, "target": "no"}, {"input": "a", "target": "yes"}]))
        self.write_odd_job(
            train={
                "steps": 2,
                "batch_size": 4,
                "candidates": 3,
                "proposals": {"templates": ["paraphrase_few_shot"], "max_tokens": 8},
            },
            scoring={"min_scored": 0.5},
            backend={"kind": "embedded", "context_tokens": 768},
        )
        result = self.train(ranks=2, timeout=150)
        self.expect_tidy(result)
        self.expect_initial_prompt_kept()
        self.assertRegex(result.err, r"dln: warning: dev: 1 requests failed; the first: .*token")
        last = step_paths(self.dir / "run")[-1]
        self.assertEqual(set(value(last, "step/layers/0/candidates/scored")), {4})
        self.assertEqual(value(last, "state/best/dev_measured"), [1])
        self.assertEqual(value(last, "state/best/dev_examples"), [2])


if __name__ == "__main__":
    unittest.main()
