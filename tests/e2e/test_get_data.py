"""tools/get-data on small files in the public formats, and the jobs of jobs/tasks on what it makes."""

import collections
import csv
import io
import json
import re
import shutil
import unittest

# get_data_program sets the path to tests/support.
from get_data_program import PARTS, ROOT, SMALL, GetDataTest, task_sources
from dln_program import json_lines
from fake_llm_server import FakeServer

JOBS = ROOT / "jobs/tasks"
SCRIPTED = ("--set", '/backend={"kind": "scripted"}')


class Jobs(GetDataTest):
    def test_every_task_has_a_job_that_names_what_makes_its_data(self):
        listed = re.findall(r"(?m)^(\w+): ", self.get_data("--list").out)
        self.assertEqual(sorted(listed), sorted(task_sources.TASKS))
        self.assertEqual(sorted(path.stem for path in JOBS.glob("*.json")), sorted(listed))
        installed, told = ((ROOT / name).read_text() for name in ("CMakeLists.txt", "docs/data.md"))
        for task in listed:
            self.assertIn(f"jobs/tasks/{task}.json", installed)
            self.assertIn(f"| `{task}` |", told)
            self.assertRegex((JOBS / f"{task}.json").read_text(), rf"// .*tools/get-data {task}\n")

    def test_missing_data_leads_to_the_job(self):
        (self.dir / "jobs/tasks").mkdir(parents=True)
        shutil.copy(JOBS / "subj.json", self.dir / "jobs/tasks")
        result = self.dln("train", "jobs/tasks/subj.json", *SCRIPTED)
        self.expect_message(
            result, 2, "jobs/tasks/subj.json: /data/train: there is no file", "build/data/subj/train"
        )

    def write_task(self, task):
        """The task's data where its job looks for them; returns the job."""
        words = ("--from", *self.write_public(task), "--unverified", "--out", "build/data")
        result = self.get_data(task, *words, *task_sources.sizes(task))
        self.assertEqual(result.code, 0, str(result))
        (self.dir / "jobs/tasks").mkdir(parents=True, exist_ok=True)
        return shutil.copy(JOBS / f"{task}.json", self.dir / "jobs/tasks")

    def expect_trains(self, task, *backend):
        job = self.write_task(task)
        self.succeed("plan", "--no-samples", job, *backend)
        small = ("--set", "/train/steps=1", "--set", "/train/batch_size=12", "--set", "/train/candidates=3")
        self.succeed("train", job, *backend, *small)
        run = json.loads((self.dir / "runs" / task / "result.json").read_text())
        examples = (self.dir / "build/data" / task / "test.jsonl").read_text().count("\n")
        self.assertEqual((run["test"]["examples"], run["test"]["failures"]), (examples, 0))

    def test_jobs_train_with_their_own_backend(self):
        for task in ("trec", "gsm8k"):
            with self.subTest(task=task), FakeServer() as server:
                address = f"http://127.0.0.1:{server.port}"
                self.expect_trains(task, "--set", f"/backend/endpoints/0/address={address}")


for _task in task_sources.TASKS:
    setattr(
        Jobs, f"test_{_task}_trains_on_its_data", lambda self, task=_task: self.expect_trains(task, *SCRIPTED)
    )


class Formats(GetDataTest):
    def get_sentences(self, task, train, test, suffix):
        self.write(f"train{suffix}", train)
        self.write(f"test{suffix}", test)
        self.get(task, *SMALL, "--from", f"train{suffix}", f"test{suffix}")
        return self.examples_of(task)

    def expect_classes(self, found, task, pairs):
        classes = dict((sentence, task_sources.SENTENCE_CLASSES[task][number]) for sentence, number in pairs)
        self.assertEqual(len(found), 54)
        self.assertEqual(found, {sentence: classes[sentence] for sentence in found})

    def test_sentences_are_read_from_every_public_format(self):
        task, names = "subj", task_sources.SENTENCE_CLASSES["subj"]
        pairs = {
            part: task_sources.sentences(task, f'{part}, "one",', 30 if part == "test" else 60)
            for part in PARTS
        }

        def table(rows, delimiter=","):
            text = io.StringIO(newline="")
            csv.writer(text, delimiter=delimiter).writerows(rows)
            return text.getvalue()

        forms = {
            "ordered-prompt.jsonl": task_sources.ordered_prompt,
            "lm-bff.csv": lambda ones: table([number, text] for text, number in ones),
            "setfit.jsonl": lambda ones: json_lines(
                {"text": text, "label": 1 - number, "label_text": names[number].upper()}
                for text, number in ones
            ),
            "own.jsonl": lambda ones: json_lines(
                {"input": text, "target": names[number]} for text, number in ones
            ),
            "texts.csv": lambda ones: table(
                [["label_text", "text"], *([names[n], text] for text, n in ones)]
            ),
            "sentences.tsv": lambda ones: table(
                [["sentence", "label"], *([text, n] for text, n in ones)], "\t"
            ),
        }
        for name, form in forms.items():
            with self.subTest(name=name):
                found = self.get_sentences(task, form(pairs["train"]), form(pairs["test"]), f".{name}")
                self.expect_classes(found, task, pairs["train"] + pairs["test"])

    def test_questions_are_read_as_trec_has_them(self):
        kinds = ["DESC:def", "ENTY:cremat", "ABBR:exp", "HUM:ind", "LOC:city", "NUM:count"]
        pairs = {part: task_sources.sentences("trec", f"{part} caf\xe9", 60) for part in ("train", "test")}
        train, test = (
            "".join(f"{kinds[number]} {text}\n" for text, number in pairs[part]).encode("latin-1")
            for part in ("train", "test")
        )
        found = self.get_sentences("trec", train, test, ".label")
        self.expect_classes(found, "trec", pairs["train"] + pairs["test"])

    def test_quotes_that_csv_left_around_a_text_are_taken_off(self):
        odd = {
            '"one , two"': "one , two",
            '"so ""they"" said"': 'so "they" said',
            '"left" and "right"': '"left" and "right"',
            '"': '"',
        }
        rows = [{"sentence": text, "label": "0"} for text in odd]
        self.write("train.jsonl", json_lines(rows))
        self.write("test.jsonl", task_sources.ordered_prompt([("other", 1)]))
        self.get("subj", "--from", "train.jsonl", "test.jsonl", "--train", 3, "--dev", 1, "--test", 1)
        self.assertEqual(set(self.examples_of("subj")), {*odd.values(), "other"})

    def test_tweets_have_the_papers_classes(self):
        self.get("disaster", *SMALL, "--from", *self.write_public("disaster"))
        for text, target in self.examples_of("disaster").items():
            number = int(re.match(r"tweet (\d+)\n", text)[1])
            self.assertEqual(target, ["no", "yes"][number % 2])

    def test_problems_have_their_number_as_target(self):
        odd = [
            ("#### 1,234", "1234"),
            ("so\n#### -5", "-5"),
            ("####  0.50", "0.50"),
            ("3 of them\n#### 7", "7"),
        ]
        rows = [{"question": f"how many {i}?", "answer": answer} for i, (answer, _) in enumerate(odd)]
        self.write("train.jsonl", json_lines(rows[:2]))
        self.write("test.jsonl", json_lines(rows[2:]))
        self.get("gsm8k", "--from", "test.jsonl", "train.jsonl")
        self.assertEqual(
            self.examples_of("gsm8k"), {f"how many {i}?": number for i, (_, number) in enumerate(odd)}
        )

    def test_big_bench_examples_become_those_of_big_bench_hard(self):
        for task in task_sources.BIG_BENCH_TASKS:
            with self.subTest(task=task):
                self.get(task, "--from", *self.write_public(task))
                expected = [task_sources.choices(task, i)[1] for i in range(60)]
                self.assertEqual(len(self.part(task, "test")), 20)
                self.assertEqual({tuple(one.values()) for one in self.part(task, "test")}, set(expected[:20]))
                self.assertEqual([len(self.part(task, name)) for name in ("train", "dev")], [20, 20])
                self.assertEqual(
                    sorted(
                        answer(*one.values()) for one in self.part(task, "train") + self.part(task, "dev")
                    ),
                    sorted(answer(*one) for one in expected[20:]),
                )

    def test_options_of_big_bench_are_shuffled_by_the_seed_alone(self):
        task = "date_understanding"  # the right option is always the first
        files = self.write_public(task)
        self.get(task, "--from", *files)
        first = self.parts(task)
        targets = collections.Counter(one["target"] for one in first["train"] + first["dev"])
        self.assertGreaterEqual(len(targets), 4, targets)
        self.get(task, "--from", *files)
        self.assertEqual(self.parts(task), first)
        self.get(task, "--from", *files, "--seed", 1)
        other = self.examples_of(task)
        self.assertNotEqual(other, {one["input"]: one["target"] for part in first.values() for one in part})

    def test_big_bench_hard_alone_is_split(self):
        made = [task_sources.choices("navigate", i)[1] for i in range(250)]
        self.write("steps.json", task_sources.bbh(made))
        result = self.get("navigate", "--from", "steps.json")
        self.assertIn("without big-bench", result.out)
        self.assertEqual([len(self.part("navigate", name)) for name in PARTS], [75, 50, 125])


def answer(text, target):
    """An example, whatever the order of its options: its question, its options, the text of the right one."""
    question, _, options = text.partition("\nOptions:\n")
    options = options.split("\n")
    right = [option for option in options if option.startswith(target)]
    return question, sorted(option[4:] for option in options), right[0][4:] if right else target


class Splits(GetDataTest):
    def test_no_input_is_in_two_parts_and_what_is_left_out_is_counted(self):
        pairs = task_sources.sentences("subj", "a", 40)
        again = [(" A  Sentence 3 ", 1), ("a sentence 4", 0), ("a sentence 4", 1)]
        others = task_sources.sentences("subj", "b", 30)
        self.write("train.jsonl", task_sources.ordered_prompt(pairs + others[:5] + again))
        self.write("test.jsonl", task_sources.ordered_prompt(others + others[:2]))
        result = self.get("subj", *SMALL, "--from", "train.jsonl", "test.jsonl")
        self.assertIn("left out of test: 2 repeated, 0 that", result.out)
        self.assertIn("left out of train: 3 repeated, 5 that", result.out)
        inputs = [one["input"] for name in PARTS for one in self.part("subj", name)]
        self.assertEqual(len({" ".join(one.split()).casefold() for one in inputs}), 54)
        told = json.loads((self.dir / "data/subj/SOURCES.json").read_text())
        self.assertEqual(told["left_out"]["train"], {"repeated": 3, "shared": 5})
        self.assertEqual(told["examples"], {"train": 24, "dev": 12, "test": 18})

    def test_parts_have_the_papers_sizes(self):
        for task, counts in (("mpqa", (1000, 256, 250)), ("airline", (1000, 250, 250))):
            with self.subTest(task=task):
                if task == "mpqa":
                    for name, count in (("train", 1300), ("test", 300)):
                        self.write(
                            f"{name}.jsonl",
                            task_sources.ordered_prompt(task_sources.sentences(task, name, count)),
                        )
                    self.get(task, "--from", "train.jsonl", "test.jsonl")
                else:
                    self.write("eval.json", task_sources.leopard(task, 1600))
                    self.get(task, "--from", "eval.json")
                self.assertEqual(tuple(len(self.part(task, name)) for name in PARTS), counts)

    def test_the_seed_decides(self):
        files = self.write_public("subj")
        runs = []
        for seed in (0, 0, 5):
            self.get("subj", *SMALL, "--from", *files, "--seed", seed)
            runs.append({name: (self.dir / f"data/subj/{name}.jsonl").read_bytes() for name in PARTS})
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0]["train"], runs[2]["train"])

    def test_files_are_known_by_name_or_by_role(self):
        train, test = self.write_public("subj")
        self.write("first", (self.dir / train).read_bytes())
        self.write("second", (self.dir / test).read_bytes())
        for words in (
            (test, train),
            ("first", "second"),
            ("test=second", "first"),
            ("second", "train=first"),
        ):
            with self.subTest(words=words):
                self.get("subj", *SMALL, "--from", *words)
                self.assertTrue(all(one["input"].startswith("test ") for one in self.part("subj", "test")))

    def test_sources_are_told_beside_the_data(self):
        train, test = self.write_public("subj")
        self.get("subj", *SMALL, "--from", train, test, "--seed", 3)
        told = json.loads((self.dir / "data/subj/SOURCES.json").read_text())
        self.assertEqual((told["task"], told["seed"]), ("subj", 3))
        source = {one["role"]: one for one in told["sources"]}["train"]
        self.assertEqual(source["from"], str((self.dir / train).resolve()))
        self.assertEqual(source["bytes"], len((self.dir / train).read_bytes()))
        self.assertRegex(source["sha256"], "^[0-9a-f]{64}$")


if __name__ == "__main__":
    unittest.main()
