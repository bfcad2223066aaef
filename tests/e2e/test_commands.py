"""The commands beside train, as people use them."""

import json
import math
import re
import shutil
import subprocess
import unittest

from dln_program import (
    ALONE,
    EmbeddedTest,
    ProgramTest,
    command_line,
    examples,
    job,
    json_lines,
    snapshot,
    step_paths,
)

COMMANDS = ("train", "eval", "predict", "plan", "probe", "inspect", "compare", "sweep", "data")
DATA_ACTIONS = ("polarity", "generate", "convert", "split", "mix")
SWEEP_ACTIONS = ("plan", "trial", "run", "status", "collect", "best")


def right_answers(prompt, splits=("train", "dev", "test"), count=12):
    """Replies with which `prompt` answers every example of `examples` right."""
    return [
        {
            "match": f"{prompt}\n\n{one['input']}|",
            "target": "\n" + target,
            "log_prob": -0.01 if target == one["target"] else -5.0,
        }
        for split in splits
        for one in examples(split, count)
        for target in ("no", "yes")
    ]


class CommandTest(ProgramTest):
    """A job whose initial prompt is wrong half of the time, and a proposal that is always right."""

    def setUp(self):
        super().setUp()
        self.write_data()
        replies = [{"match": "PROPOSE", "text": "Say what is so."}]
        replies += right_answers("Say what is so.")
        replies += [
            {"match": "Always no.", "target": "\nno", "log_prob": -0.1},
            {"match": "Always no.", "target": "\nyes", "log_prob": -3.0},
        ]
        self.write("replies.jsonl", json_lines(replies))
        self.write(
            "job.json",
            job(
                network={"layers": [{"prompt": "Always no.", "template": "{{prompt}}\n\n{{input}}|"}]},
                scoring={"leading_space": False, "block": 3},
                train={
                    "steps": 2,
                    "batch_size": 8,
                    "candidates": 2,
                    "proposals": {"template": {"name": "p", "text": "PROPOSE {{prompt}}"}},
                },
                backend={"kind": "scripted", "replies": "replies.jsonl"},
            ),
        )


class Eval(CommandTest):
    def test_initial_prompts_of_a_job_are_evaluated_with_an_interval(self):
        for ranks in (ALONE, 2):
            with self.subTest(ranks=ranks):
                result = self.succeed("eval", "job.json", ranks=ranks)
                self.assertIn('prompt 1: "Always no." in template t1', result.out)
                # Wilson's interval of 4 in 8; the rest follows from the replies.
                self.assertIn("test: 8 examples, accuracy 0.5000 (95 % 0.2152 to 0.7848)", result.out)
                no, yes = math.exp(-0.1), math.exp(-3.0)
                mean = (math.log(no / (no + yes)) + math.log(yes / (no + yes))) / 2
                self.assertIn(f"log-likelihood {mean:.4f}", result.out)

    def test_split_is_chosen(self):
        self.assertIn("train: 12 examples", self.succeed("eval", "job.json", "--split", "train").out)
        self.assertIn("dev: 6 examples", self.succeed("eval", "job.json", "--split", "dev").out)

    def test_trained_prompts_of_a_run_are_evaluated(self):
        self.train()
        result = self.succeed("eval", "--run", "run")
        self.assertIn('prompt 1: "Say what is so."', result.out)
        self.assertIn("accuracy 1.0000", result.out)

    def test_prompts_file_wins_over_the_run(self):
        self.train()
        self.write("mine.json", {"layers": [{"prompt": "Always no.", "template": "t1"}]})
        result = self.succeed("eval", "--run", "run", "--prompts", "mine.json")
        self.assertIn("accuracy 0.5000", result.out)

    def test_split_that_the_job_lacks_is_refused(self):
        result = self.dln("eval", "job.json", "--set", "/data/test=null")
        self.expect_message(result, 2, "no test split", "/data/test")

    def test_nothing_is_written(self):
        self.train()
        before = snapshot(self.dir)
        self.succeed("eval", "--run", "run")
        self.assertEqual(snapshot(self.dir), before)


    def test_nothing_measured_ends_with_3_and_shows_no_figures(self):
        result = self.dln("eval", "job.json", "--set", "/network/layers/0/prompt=" + "word " * 20_000)
        self.assertEqual(result.code, 3, str(result))
        self.assertIn("test: 8 examples, none measured, ", result.out)
        self.assertNotIn("accuracy", result.out)


class Train(CommandTest):
    def test_dev_line_has_no_log_likelihood_where_none_is_measured(self):
        result = self.train("/classes=[]", "/scoring/objective=accuracy")
        self.assertRegex(result.out, r"(?m)^step 0  dev accuracy \d\.\d{4}  \(best so far\)$")

    def test_usage_tells_the_run_from_this_process(self):
        result = self.train()
        pattern = r"used \d+ calls of [\d,]+ tokens; sharing left [\d,]+ tokens .* \d+ s in this process"
        self.assertRegex(result.out, pattern)

    def test_best_prompt_is_shown_when_another_one_won_the_step(self):
        # On training examples the prompt that the step keeps is right, on dev only the other one.
        proposals = {"template": {"name": "p", "text": "PROPOSE {{prompt}}"}}
        replies = [{"match": "PROPOSE", "text": "Good on dev."}]
        replies += right_answers("Always no.", splits=("train",))
        replies += right_answers("Good on dev.", splits=("dev",))
        self.write("replies.jsonl", json_lines(replies))
        changes = json.loads((self.dir / "job.json").read_text())
        changes["train"] = {
            "steps": 1,
            "batch_size": 8,
            "candidates": 2,
            "eval_candidates": 2,
            "proposals": proposals,
        }
        self.write("job.json", changes)
        lines = self.train().out.splitlines()
        at = [i for i, line in enumerate(lines) if re.match(r"step 1  dev", line)][0]
        self.assertIn("(best so far)", lines[at])
        self.assertEqual(lines[at + 1].strip(), '"Good on dev." in template t1')
        self.assertIn("kept at", lines[at - 1])


    def test_folder_with_other_files_is_refused_and_left_alone(self):
        self.write("run/notes.txt", "mine")
        before = snapshot(self.dir)
        self.expect_message(self.dln("train", "job.json"), 2, "run_dir", "notes.txt", "no run")
        self.assertEqual(snapshot(self.dir), before)


class Predict(CommandTest):
    LINES = [
        {"id": 3, "input": "test word 1", "more": {"kept": [1, None, "ü"]}},
        {"input": "test word 0", "id": "b"},
        {"z": 1.5, "input": "test word 3", "a": True},
        {"input": "test word 1"},
    ]
    ANSWERS = ["yes", "no", "yes", "yes"]

    def setUp(self):
        super().setUp()
        self.train()

    def expect_answers(self, answers):
        self.assertEqual([answer["output"] for answer in answers], self.ANSWERS)
        for answer, line in zip(answers, self.LINES):
            self.assertEqual(list(answer)[: len(line)], list(line), "order of the fields")
            self.assertEqual({name: answer[name] for name in line}, line)
            probabilities = answer["probabilities"]
            self.assertEqual(list(probabilities), ["no", "yes"])
            self.assertAlmostEqual(sum(probabilities.values()), 1.0, places=5)
            self.assertEqual(max(probabilities, key=probabilities.get), answer["output"])

    def test_standard_input_to_standard_output_is_equal_on_any_number_of_ranks(self):
        outputs = set()
        for ranks in (ALONE, 1, 2, 3):
            result = self.succeed("predict", "--run", "run", stdin=json_lines(self.LINES), ranks=ranks)
            outputs.add(result.out)
        self.assertEqual(len(outputs), 1, outputs)
        self.expect_answers([json.loads(line) for line in outputs.pop().splitlines()])

    def test_file_to_file(self):
        self.write("in.jsonl", "\n" + json_lines(self.LINES) + "\n")
        result = self.succeed("predict", "--run", "run", "-i", "in.jsonl", "-o", "out.jsonl")
        self.assertEqual(result.out, "")
        lines = (self.dir / "out.jsonl").read_text().splitlines()
        self.expect_answers([json.loads(line) for line in lines])

    def test_last_line_may_lack_its_line_end_and_lines_may_end_in_crlf(self):
        text = json_lines(self.LINES).replace("\n", "\r\n").rstrip()
        result = self.succeed("predict", "--run", "run", stdin=text)
        self.expect_answers([json.loads(line) for line in result.out.splitlines()])

    def test_input_field_is_chosen(self):
        result = self.succeed(
            "predict", "--run", "run", "--field", "word", stdin='{"word": "test word 1", "input": 3}\n'
        )
        self.assertEqual(json.loads(result.out)["output"], "yes")

    def test_malformed_line_is_named_and_nothing_is_written(self):
        for line in ('{"input": "b"', "[]", '"text"', '{"input": 3}', '{"other": "b"}', "\x00"):
            with self.subTest(line=line):
                self.write("in.jsonl", f'{{"input": "a"}}\n{line}\n')
                result = self.dln("predict", "--run", "run", "-i", "in.jsonl", "-o", "out.jsonl")
                self.expect_message(result, 2, "in.jsonl:2:")
                self.assertFalse((self.dir / "out.jsonl").exists())
        result = self.dln("predict", "--run", "run", stdin="{}\n", ranks=2)
        self.expect_message(result, 2, "standard input:1:", '"input"')

    def test_invalid_utf8_is_named(self):
        result = self.dln("predict", "--run", "run", stdin=b'{"input": "a"}\n{"input": "\xff"}\n')
        self.expect_message(result, 2, "standard input:2:")

    def test_no_line_is_refused(self):
        self.expect_message(self.dln("predict", "--run", "run"), 2, "no line to predict")

    def test_missing_input_file_is_named(self):
        result = self.dln("predict", "--run", "run", "-i", "gone.jsonl")
        self.expect_message(result, 2, "gone.jsonl")

    def test_output_that_cannot_be_written_is_refused_before_a_line_is_read(self):
        (self.dir / "folder").mkdir()
        for path, why in (("folder", "is a directory"), ("no/out.jsonl", "there is no directory no")):
            for ranks in (ALONE, 2):
                with self.subTest(path=path, ranks=ranks):
                    result = self.dln("predict", "--run", "run", "-o", path, stdin="no line", ranks=ranks)
                    self.expect_message(result, 2, f"--output {path}: {why}")

    def test_standard_output_that_is_full_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                ["timeout", "60", *command_line(["predict", "--run", "run"], ALONE)],
                cwd=self.dir,
                input=json_lines(self.LINES).encode(),
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"No space left on device", done.stderr)

    def test_run_whose_data_files_are_gone_still_predicts(self):
        for name in ("train", "dev", "test"):
            (self.dir / f"{name}.jsonl").unlink()
        (self.dir / "job.json").unlink()
        result = self.succeed("predict", "--run", "run", stdin=json_lines(self.LINES))
        self.expect_answers([json.loads(line) for line in result.out.splitlines()])

    def test_run_that_was_moved_still_predicts(self):
        shutil.move(self.dir / "run", self.dir / "elsewhere")
        result = self.succeed("predict", "--run", "elsewhere", stdin=json_lines(self.LINES))
        self.expect_answers([json.loads(line) for line in result.out.splitlines()])

    def test_directory_that_is_no_run_is_refused(self):
        (self.dir / "empty").mkdir()
        result = self.dln("predict", "--run", "empty", stdin="{}")
        self.expect_message(result, 2, "empty/job.json", "not the directory of a training run")

    def test_neither_job_nor_run_is_refused(self):
        self.expect_message(self.dln("predict", stdin="{}"), 2, "--run")


class PredictTwoLayers(ProgramTest):
    """A network that is used without training: layer 1 writes a latent, layer 2 answers."""

    def setUp(self):
        super().setUp()
        self.write_data()
        self.write(
            "replies.jsonl",
            json_lines(
                [
                    {"match": "Think. odd", "text": "it is odd"},
                    {"match": "Think. even", "text": "it is even"},
                    {"match": "Answer. even; thoughts: it is even", "text": "EVEN"},
                    {"match": "Answer. odd; thoughts: it is odd", "text": "ODD"},
                    {"match": "Answer. odd", "target": "\nyes", "log_prob": -0.1},
                    {"match": "Answer. odd", "target": "\nno", "log_prob": -2.0},
                    {"match": "Answer. even", "target": "\nyes", "log_prob": -2.0},
                    {"match": "Answer. even", "target": "\nno", "log_prob": -0.1},
                ]
            ),
        )
        layers = [
            {
                "prompt": "Think.",
                "template": "{{prompt}} {{input}}",
                "residual": "{{input}}; thoughts: {{output}}",
            },
            {"prompt": "Answer.", "template": "{{prompt}} {{input}}"},
        ]
        parts = {
            "network": {"layers": layers},
            "backend": {"kind": "scripted", "replies": "replies.jsonl"},
        }
        self.write("class.json", job(scoring={"leading_space": False}, **parts))
        self.write("free.json", job(classes=[], scoring={"objective": "accuracy"}, **parts))

    def predicted(self, *arguments, **options):
        lines = json_lines([{"input": "odd"}, {"input": "even"}])
        result = self.succeed("predict", *arguments, stdin=lines, **options)
        return [json.loads(line) for line in result.out.splitlines()]

    def test_class_job_answers_and_shows_its_latents_when_asked(self):
        for ranks in (ALONE, 2):
            answers = self.predicted("class.json", "--latents", ranks=ranks)
            self.assertEqual([a["output"] for a in answers], ["yes", "no"])
            self.assertEqual([a["latents"] for a in answers], [["it is odd"], ["it is even"]])
        self.assertNotIn("latents", self.predicted("class.json")[0])

    def test_free_job_answers_with_text(self):
        answers = self.predicted("free.json", "--latents")
        self.assertEqual([a["output"] for a in answers], ["ODD", "EVEN"])
        self.assertEqual([a["latents"] for a in answers], [["it is odd"], ["it is even"]])
        self.assertNotIn("probabilities", answers[0])

    def test_input_that_does_not_fit_fails_alone_and_says_so(self):
        lines = json_lines([{"input": "odd"}, {"input": "long " * 5000}, {"input": "even"}])
        result = self.succeed("predict", "free.json", stdin=lines)
        answers = [json.loads(line) for line in result.out.splitlines()]
        self.assertEqual([a["output"] for a in answers], ["ODD", None, "EVEN"])
        self.assertRegex(answers[1]["error"], r"tokens")
        self.assertNotIn("error", answers[0])
        self.assertIn("1 of 3 predictions failed", result.err)

    def test_class_job_says_why_an_input_failed(self):
        lines = json_lines([{"input": "odd"}, {"input": "long " * 5000}])
        result = self.succeed("predict", "class.json", stdin=lines)
        self.assertRegex(json.loads(result.out.splitlines()[1])["error"], r"tokens")

    def test_predictions_that_all_fail_end_with_3(self):
        for name in ("free.json", "class.json"):
            result = self.dln("predict", name, stdin=json_lines([{"input": "long " * 5000}]))
            self.expect_message(result, 3, "1 of 1 predictions failed")
            self.assertIsNone(json.loads(result.out)["output"])


class Inspect(CommandTest):
    def setUp(self):
        super().setUp()
        self.train()

    def test_step_file_shows_state_and_candidates(self):
        result = self.succeed("inspect", "run/steps/000001.h5")
        self.assertIn("dln-step format 3", result.out)
        self.assertIn("step 1", result.out)
        self.assertIn("(verified)", result.out)
        self.assertIn('current layer 1: "Say what is so."', result.out)
        self.assertRegex(result.out, r"1\* +-?\d+\.\d+ +8 +t1 p +Say what is so\.")

    def test_all_lists_every_array(self):
        result = self.succeed("inspect", "run/steps/000001.h5", "--all")
        self.assertRegex(result.out, r"step/layers/0/scores +2 x 8 x 1")
        self.assertRegex(result.out, r"state/steps_done +scalar  1")

    def test_run_shows_a_line_a_step(self):
        result = self.succeed("inspect", "run")
        self.assertIn("run: 3 step files, newest 000002.h5", result.out)
        self.assertEqual(re.findall(r"^step +(\d+)  best dev", result.out, re.M), ["0", "1", "2"])

    def test_run_shows_its_best_prompts_with_template_and_the_test_result(self):
        out = self.succeed("inspect", "run").out
        self.assertRegex(out, r'(?m)^step +0  best dev 0\.5000 .*"Always no\." in template t1$')
        self.assertRegex(out, r'(?m)^step +1  best dev 1\.0000 .*"Say what is so\." in template t1$')
        self.assertIn("test, initial prompt: 8 examples, accuracy 0.5000, log-likelihood", out)
        self.assertIn("test, trained prompt: 8 examples, accuracy 1.0000, log-likelihood", out)

    def test_step_file_without_its_run_shows_numbers_for_templates(self):
        shutil.copy(self.dir / "run/steps/000001.h5", self.dir / "alone.h5")
        self.assertIn('"Say what is so." in template 0', self.succeed("inspect", "alone.h5").out)

    def test_run_is_shown_once_on_two_ranks(self):
        self.assertEqual(self.succeed("inspect", "run", ranks=2).out, self.succeed("inspect", "run").out)

    def test_damaged_file_ends_with_5_and_the_reason(self):
        path = step_paths(self.dir / "run")[1]
        path.write_bytes(path.read_bytes()[:-1])
        self.expect_message(self.dln("inspect", str(path)), 5, path.name)

    def test_run_with_a_damaged_file_names_it_and_shows_the_others(self):
        path = step_paths(self.dir / "run")[1]
        path.write_bytes(b"\x1b[31m" + path.read_bytes()[5:])
        result = self.dln("inspect", "run")
        self.assertEqual(result.code, 5)
        self.assertIn("000001.h5", result.out)
        self.assertRegex(result.out, r"(?m)^step +2 ")
        self.expect_no_controls(result)

    def test_what_is_no_step_file_is_refused(self):
        self.assertEqual(self.dln("inspect", "job.json").code, 5)
        self.expect_message(self.dln("inspect", "nowhere"), 2, "nowhere")
        self.expect_message(self.dln("inspect", "."), 2, "steps/")


class Probe(CommandTest):
    def test_backend_of_a_job_is_probed(self):
        result = self.succeed("probe", "job.json")
        self.assertIn("backend scripted", result.out)
        self.assertIn("noise floor 0 nats", result.out)
        self.assertNotIn("FAIL", result.out)

    def test_override_without_a_job_is_refused(self):
        result = self.dln("probe", "--set", "/backend/kind=scripted", env={"DLN_CACHE": self.dir})
        self.expect_message(result, 2, "--set")

    def test_address_without_http_is_named_in_full(self):
        for address in ("127.0.0.1:8000", "localhost:8000/v1", "[::1]:80"):
            result = self.dln("probe", address)
            self.expect_message(result, 2, f"Did you mean the address http://{address}?")

    def test_file_that_is_not_there_is_taken_for_no_address(self):
        for name in ("none.json", "a:b", "folder/a:80", "c:"):
            self.expect_message(self.dln("probe", name), 2, name, "Expected the path of a job file")

    def test_missing_model_ends_with_3(self):
        result = self.dln("probe", "--model", "none.gguf", env={"DLN_CACHE": self.dir})
        self.expect_message(result, 3, "none.gguf")

    def test_missing_model_lists_those_of_the_cache(self):
        self.write("models/small.gguf", "")
        self.write("models/small-1.f32.gguf", "")
        result = self.dln("probe", "--model", "none", env={"DLN_CACHE": self.dir})
        if "embedded" in self.succeed("--version").out:
            self.expect_message(result, 3, "The cache (DLN_CACHE) holds small. ")


class ProbeEmbedded(EmbeddedTest):
    def test_quick_start_model_passes_with_little_noise(self):
        result = self.succeed("probe", timeout=120)
        self.assertIn("backend embedded", result.out)
        self.assertNotIn("FAIL", result.out)
        noise = float(re.search(r"noise floor (\S+) nats", result.out)[1])
        self.assertLess(noise, 0.01)


class Data(ProgramTest):
    def data(self, name):
        return [json.loads(line) for line in (self.dir / name).read_text().splitlines()]

    def write_lexicon(self, words=900):
        letters = "abcdefghijklmnopqrstuvwxyz"
        lines = []
        for i in range(words):
            word = "w" + "".join(letters[(i // 26**k) % 26] for k in range(4))
            mean = (2.0 + i % 5 / 10) * (1 if i % 2 else -1)
            lines.append(f"{word}\t{mean:.1f}\t0.5\t[1, 2]\n")
        self.write("lexicon.txt", "".join(lines))

    def test_polarity_makes_balanced_disjoint_splits_that_are_always_the_same(self):
        self.write_lexicon()
        for folder in ("a", "b"):
            self.succeed("data", "polarity", "--lexicon", "lexicon.txt", "--out", folder)
        self.assertEqual(snapshot_bytes(self.dir / "a"), snapshot_bytes(self.dir / "b"))
        seen = []
        for name, count in (("train", 200), ("dev", 100), ("test", 400)):
            lines = self.data(f"a/{name}.jsonl")
            self.assertEqual(len(lines), count)
            self.assertEqual(sum(line["target"] == "positive" for line in lines), count // 2)
            seen += [line["input"] for line in lines]
        self.assertEqual(len(seen), len(set(seen)))

    def test_polarity_refuses_a_file_that_is_no_lexicon(self):
        self.write("lexicon.txt", "hello\n")
        result = self.dln("data", "polarity", "--lexicon", "lexicon.txt", "--out", "a")
        self.expect_message(result, 2, "lexicon.txt:1:")
        self.assertFalse((self.dir / "a").exists())

    def test_generated_task_depends_on_its_seed_alone(self):
        sizes = ("--train", 20, "--dev", 10, "--test", 0)
        for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
            result = self.succeed(
                "data", "generate", "navigate", *sizes, "--seed", seed, "--out", folder
            )
            self.assertIn("train.jsonl: 20 examples", result.out)
        self.assertEqual(sorted(p.name for p in (self.dir / "a").iterdir()), ["dev.jsonl", "train.jsonl"])
        self.assertEqual(snapshot_bytes(self.dir / "a"), snapshot_bytes(self.dir / "b"))
        self.assertNotEqual(snapshot_bytes(self.dir / "a"), snapshot_bytes(self.dir / "c"))

    def test_unknown_task_is_refused_with_a_near_miss(self):
        result = self.dln("data", "generate", "navigat", "--out", "a")
        self.expect_message(result, 2, 'Did you mean "navigate"?')

    def test_convert_renames_fields_and_labels(self):
        self.write("in.csv", 'text,label\r\n"one, two\nthree",1\r\nfour,0\r\n')
        self.succeed(
            "data", "convert", "in.csv", "--input-field", "text", "--target-field", "label",
            "--label", "0=no", "--label", "1=yes", "--out", "out.jsonl",
        )
        self.assertEqual(
            self.data("out.jsonl"),
            [{"input": "one, two\nthree", "target": "yes"}, {"input": "four", "target": "no"}],
        )

    def test_convert_reads_big_bench_hard(self):
        self.write("in.json", {"canary": "x", "examples": [{"input": "a", "target": "(A)"}]})
        self.succeed("data", "convert", "in.json", "--out", "out.jsonl")
        self.assertEqual(self.data("out.jsonl"), [{"input": "a", "target": "(A)"}])

    def test_convert_does_not_overwrite_what_it_reads(self):
        before = json_lines(examples("a", 3))
        self.write("in.jsonl", before)
        result = self.dln("data", "convert", "in.jsonl", "--out", "in.jsonl")
        self.expect_message(result, 2, "in.jsonl")
        self.assertEqual((self.dir / "in.jsonl").read_text(), before)

    def test_split_is_balanced_and_disjoint(self):
        self.write("in.jsonl", json_lines(examples("a", 40) + examples("a", 5)))
        result = self.succeed(
            "data", "split", "in.jsonl", "--train", 20, "--dev", 10, "--test", 10, "--balanced", "--out", "a"
        )
        self.assertIn("left out 5 examples", result.out)
        parts = [self.data(f"a/{name}.jsonl") for name in ("train", "dev", "test")]
        self.assertEqual([len(part) for part in parts], [20, 10, 10])
        self.assertEqual([sum(e["target"] == "no" for e in part) for part in parts], [10, 5, 5])
        self.assertEqual(len({e["input"] for part in parts for e in part}), 40)

    def test_split_of_too_few_examples_is_refused(self):
        self.write("in.jsonl", json_lines(examples("a", 10)))
        result = self.dln("data", "split", "in.jsonl", "--train", 20, "--out", "a")
        self.expect_message(result, 2, "10", "--train 20, --dev 100, --test 400", "Without these options")
        self.assertFalse((self.dir / "a").exists())

    def test_mix_names_the_task_of_each_example(self):
        self.write("a.jsonl", json_lines([{"input": "i", "target": "x"}, {"input": "j", "target": "y"}]))
        self.write("b.csv", "input,target\nk,z\n")
        result = self.succeed("data", "mix", "--task", "a=a.jsonl", "--task", "b \u00fc=b.csv", "--out", "m.jsonl")
        self.assertIn("tasks: a 2, b \u00fc 1", result.out)
        self.assertEqual([line["task"] for line in self.data("m.jsonl")], ["a", "a", "b \u00fc"])
        parts = ("--train", 2, "--dev", 1, "--test", 0, "--out", "parts")
        self.succeed("data", "split", "m.jsonl", "--task-field", "task", *parts)
        tasks = [line["task"] for part in ("train", "dev") for line in self.data(f"parts/{part}.jsonl")]
        self.assertEqual(sorted(tasks), ["a", "a", "b \u00fc"])

    def test_mix_refuses_a_task_without_a_file_and_a_seed_without_an_order(self):
        result = self.dln("data", "mix", "--task", "a.jsonl", "--out", "m.jsonl")
        self.expect_message(result, 2, '--task "a.jsonl": expected NAME=FILE')
        self.write("a.jsonl", json_lines([{"input": "i", "target": "x"}]))
        result = self.dln("data", "mix", "--task", "a=a.jsonl", "--seed", 1, "--out", "m.jsonl")
        self.assertEqual(result.code, 2, str(result))
        self.assertIn("--seed requires --shuffle", result.err)
        self.assertFalse((self.dir / "m.jsonl").exists())

    def test_made_data_can_be_trained_on(self):
        sizes = ("--train", 12, "--dev", 6, "--test", 8)
        self.succeed("data", "generate", "adjective-order", *sizes, "--out", ".")
        targets = sorted({line["target"] for line in self.data("train.jsonl")})
        self.write("job.json", job(classes=targets))
        self.train()


def snapshot_bytes(directory):
    return {name: content for name, (content, _) in snapshot(directory).items()}


class Help(ProgramTest):
    def test_version_says_what_is_in(self):
        out = self.succeed("--version").out
        self.assertRegex(out, r"^dln \d+\.\d+\.\d+ \(git \S+\)")
        for word in (r"compiler \S+", r"MPI \S+", r"HDF5 1\.\d+", r"backends: scripted"):
            self.assertRegex(out, word)

    def test_help_names_every_command_and_the_exit_codes(self):
        out = self.succeed("--help").out
        for command in COMMANDS:
            self.assertRegex(out, rf"(?m)^  {command} ")
        for code in ("0 complete", "2 wrong usage", "3 backend", "5 no usable checkpoint", "75 "):
            self.assertIn(code, out)

    def test_help_of_every_command_ends_with_an_example(self):
        actions = [("data", action) for action in DATA_ACTIONS]
        actions += [("sweep", action) for action in SWEEP_ACTIONS]
        for words in [(command,) for command in COMMANDS] + actions:
            with self.subTest(words=words):
                out = self.succeed(*words, "--help").out
                self.assertRegex(out, r"Examples?:\s")
                self.assertRegex(out.split("Example")[-1], rf"dln {words[0]}")
                self.assertLessEqual(max(map(len, out.splitlines())), 120)

    def test_unknown_command_lists_the_commands(self):
        result = self.dln("trian", "job.json")
        self.expect_message(result, 2, 'no command "trian"', "train, eval, predict", 'mean "train"')

    def test_wrong_usage_ends_with_2(self):
        for words in ((), ("trian",), ("train",), ("train", "job.json", "--sets", "x"), ("data",)):
            with self.subTest(words=words):
                result = self.dln(*words)
                self.assertEqual(result.code, 2, str(result))
                self.assertEqual(result.out, "")
                self.assertNotEqual(result.err, "")


if __name__ == "__main__":
    unittest.main()
