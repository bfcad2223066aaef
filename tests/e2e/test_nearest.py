"""Few-shot examples chosen for each input by their nearness to it (KATE)."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import ALONE, EmbeddedTest, ProgramTest, job, json_lines
from fake_llm_server import FakeServer

TRAIN = (("apple pie", "yes"), ("apple tart", "no"), ("steel beam", "yes"), ("steel girder", "no"),
         ("river bank", "yes"), ("river bed", "no"))  # fmt: skip
DEV = (("apple cake", "yes"), ("steel rod", "no"))
TEST = (("river delta", "yes"), ("an apple", "no"), ("steel", "yes"), ("apple pie", "no"))
SMALL_TRAIN = {"steps": 2, "batch_size": 4, "candidates": 4}


def served(server, **more):
    return {"kind": "http", "endpoints": f"http://127.0.0.1:{server.port}", **more}


def embeddings_in(run):
    """How many replies with embeddings a run's journal holds."""
    lines = [line for path in (run / "journal").glob("*.jsonl") for line in path.read_text().splitlines()]
    return sum("embd-" in line for line in lines)


class Nearest(ProgramTest):
    def write_job(self, few_shot=2, **changes):
        for name, data in (("train", TRAIN), ("dev", DEV), ("test", TEST)):
            lines = [{"input": one, "target": target} for one, target in data]
            self.write(f"{name}.jsonl", json_lines(lines))
        layer = {"prompt": "Is it so?", "template": "{{prompt}} {{input}}",
                 "few_shot": few_shot, "few_shot_choice": "nearest"}  # fmt: skip
        self.write("job.json", job(**{"network": {"layers": [layer]}, "train": SMALL_TRAIN, **changes}))


class Chosen(Nearest):
    def shown_with(self, *lines, expected):
        """Every line is answered yes only where its context begins with the block that is expected of it."""
        replies = [{"match": expected[line], "target": "\nyes", "log_prob": -0.01} for line in lines]
        self.write("replies.jsonl", json_lines(replies))
        out = self.succeed("predict", "job.json", stdin=json_lines([{"input": line} for line in lines])).out
        return [json.loads(line) for line in out.splitlines()]

    def test_nearest_examples_stand_before_the_input_the_nearest_last(self):
        self.write_job(backend={"kind": "scripted", "replies": "replies.jsonl"})
        expected = {
            "apple pie!": "apple tart\nno\n\napple pie\nyes\n\nIs it so? apple pie!",
            "river bed and breakfast": "river bank\nyes\n\nriver bed\nno\n\nIs it so? river bed",
        }
        for line in self.shown_with(*expected, expected=expected):
            self.assertGreater(line["probabilities"]["yes"], 0.9, line)

    def test_input_with_the_text_of_an_example_is_shown_it(self):
        self.write_job(backend={"kind": "scripted", "replies": "replies.jsonl"}, few_shot=1)
        expected = {"steel beam": "steel beam\nyes\n\nIs it so? steel beam"}
        (line,) = self.shown_with(*expected, expected=expected)
        self.assertGreater(line["probabilities"]["yes"], 0.9)

    def test_training_input_is_not_shown_itself(self):
        self.write_job(few_shot=1, backend={"kind": "scripted", "replies": "replies.jsonl"})
        wrong = [{"match": f"{one}\n{target}\n\nIs it so? {one}", "target": f"\n{target}", "log_prob": -0.01}
                 for one, target in TRAIN]  # fmt: skip
        self.write("replies.jsonl", json_lines(wrong))
        told = self.succeed("eval", "job.json", "--split", "train").out
        self.write("replies.jsonl", "")
        self.assertEqual(told, self.succeed("eval", "job.json", "--split", "train").out)

    def test_line_alone_is_answered_as_in_its_file(self):
        self.write_job(scoring={"calibration": "content_free", "block": 3})
        lines = [{"input": one} for one, _ in TEST]
        whole = self.succeed("predict", "job.json", stdin=json_lines(lines)).out.splitlines()
        for line, answer in zip(lines, whole):
            self.assertEqual(self.succeed("predict", "job.json", stdin=json_lines([line])).out.strip(), answer)

    def test_inputs_are_embedded_in_their_template(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server, template='The words "{{input}}" mean'))
            server.post("/faults", {"faults": ['400~The words \\"river delta\\" mean']})
            result = self.succeed("eval", "job.json")
        self.assertIn("1 of 11 texts", result.err)

    def test_blank_line_is_answered(self):
        self.write_job()
        (line,) = self.succeed("predict", "job.json", stdin='{"input": " "}\n').out.splitlines()
        self.assertIn("probabilities", json.loads(line))

    def test_plan_says_what_it_does_not_know(self):
        self.write_job()
        result = self.succeed("plan", "job.json")
        self.assertIn("the run will embed 13 texts of 1", result.err)
        self.assertIn("requests", result.out)

    def test_last_of_two_layers_shows_the_nearest_of_the_input(self):
        self.write_job()
        layers = [{"prompt": "Think.", "max_tokens": 4},
                  {"prompt": "Is it so?", "few_shot": 2, "few_shot_choice": "nearest"}]  # fmt: skip
        self.write("job.json", job(network={"layers": layers}, train=SMALL_TRAIN))
        self.train(run="alone")
        self.train(run="three", ranks=3)
        self.expect_same_run("three", "alone")


class Ranks(Nearest):
    def test_run_is_equal_on_any_number_of_ranks(self):
        self.write_job()
        self.assertIn("nearest 2 examples by character n-grams", self.train(run="alone").out)
        for ranks in (1, 2, 4):
            with self.subTest(ranks=ranks):
                self.train(run=f"on-{ranks}", ranks=ranks)
                self.expect_same_run(f"on-{ranks}", "alone")

    def test_killed_run_goes_on_as_if_nothing_had_happened(self):
        self.write_job()
        self.train(run="alone")
        self.train_until("step.after_close:2", run="killed", ranks=2)
        self.train(run="killed", ranks=3)
        self.expect_same_run("killed", "alone")


class Servers(Nearest):
    def test_embeddings_of_a_server_are_equal_on_any_number_of_ranks_and_paid_once(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server, prompts_a_call=4))
            self.train(run="alone")
            asked = server.stats()["prompts"]
            # All texts once: "apple pie" is in two splits, an empty content-free input is no text.
            self.assertEqual(asked, len({one for data in (TRAIN, DEV, TEST) for one, _ in data}) + 2)
            self.train(run="three", ranks=3)
            self.expect_same_run("three", "alone")
            self.assertIn("embedding_server.json", [path.name for path in (self.dir / "alone").iterdir()])

    def test_killed_run_and_replay_ask_for_no_embedding_again(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server), backend=served(server))
            self.train_until("step.after_close:1", run="nav", ranks=2)
            embedded = embeddings_in(self.dir / "nav")
            self.assertGreater(embedded, 0)
            self.train(run="nav", ranks=3)
            self.assertEqual(embeddings_in(self.dir / "nav"), embedded)
        result = self.succeed("train", "job.json", "--set", "/run_dir=again", "--replay", "nav", ranks=2)
        self.assertIn("nearest 2 examples by fake-llm", result.out)
        self.expect_same_run("again", "nav")

    def test_trained_network_asks_for_no_embedding_of_its_examples(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server, prompts_a_call=4))
            self.train(run="nav")
            server.post("/stats/reset", {})
            answers = self.succeed("predict", "--run", "nav", stdin='{"input": "a new one"}\n').out
            self.assertEqual(server.stats()["prompts"], 3, "the line and two content-free inputs")
            self.assertEqual(answers, self.succeed("predict", "--run", "nav", stdin=answers).out)

    def test_replay_without_what_its_server_said_is_refused(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server))
            self.train(run="nav")
        (self.dir / "nav/embedding_server.json").unlink()
        result = self.dln("train", "job.json", "--set", "/run_dir=again", "--replay", "nav")
        self.expect_message(result, 2, "--replay nav", "there is no embedding_server.json")

    def test_text_that_the_server_refuses_fails_alone(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server))
            server.post("/faults", {"faults": ["400~river delta"]})
            result = self.succeed("eval", "job.json")
            self.assertIn("1 of 11 texts have no embedding", result.err)
            self.assertIn("river delta", result.err)
            self.assertIn("1 failed", result.out)

    def test_server_that_embeds_nothing_ends_the_run(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server))
            server.post("/faults", {"faults": ["400@1+"]})
            for ranks in (ALONE, 3):
                with self.subTest(ranks=ranks):
                    result = self.dln("eval", "job.json", ranks=ranks)
                    self.expect_message(result, 3, "/embedding", "no training example could be embedded")

    def test_server_that_is_away_ends_the_run(self):
        with FakeServer() as server:
            self.write_job(embedding=served(server, patience_seconds=0.5))
        result = self.dln("eval", "job.json", ranks=2)
        self.assertEqual(result.code, 3, result)
        self.assertIn("/embedding/endpoints/0", result.err)

    def test_key_is_sent_and_shown_nowhere(self):
        key = "sk-canary-3b1f9a7c5d2e4680"
        with FakeServer("--api-key-env", "THE_KEY", env={"THE_KEY": key}) as server:
            endpoint = {"address": f"http://127.0.0.1:{server.port}", "key_env": "THE_KEY"}
            self.write_job(embedding={"kind": "http", "endpoints": [endpoint]})
            self.train(run="run", env={"THE_KEY": key})
        for path in self.dir.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"canary", path.read_bytes(), path)

    def test_embeddings_count_as_requests_of_the_run(self):
        requests = []
        with FakeServer() as server:
            for run, embedding in (("served", served(server)), ("inside", {"kind": "ngrams"})):
                self.write_job(embedding=embedding, train={"steps": 0})
                self.train(run=run)
                requests.append(self.result_json(run)["spent"]["requests"])
            self.assertEqual(requests[0] - requests[1], server.stats()["prompts"])


class Refusals(Nearest):
    def test_as_many_examples_as_there_are_leave_none_to_train_on(self):
        self.write_job(few_shot=len(TRAIN))
        result = self.dln("train", "job.json")
        self.expect_message(result, 2, "few_shot", "6", "fewer than 6")

    def test_more_examples_than_there_are_are_refused(self):
        self.write_job(few_shot=len(TRAIN) + 1)
        result = self.dln("eval", "job.json")
        self.expect_message(result, 2, "few_shot", "7", "6")

    def test_run_goes_on_with_its_embedding_model_only(self):
        self.write_job(embedding={"dimension": 64})
        self.train()
        identity = (self.dir / "run/model.id").read_text()
        self.assertTrue(identity.endswith("\n\nngrams-3-5:64\n"), identity)
        (self.dir / "run/model.id").write_text(identity.replace(":64", ":65"))
        result = self.dln("train", "job.json", "--set", "/train/steps=3")
        self.expect_message(result, 2, "embedding model ngrams-3-5:65", "/embedding")


class Embedded(EmbeddedTest, Nearest):
    def test_run_with_the_models_own_states_is_equal_on_any_number_of_ranks(self):
        self.write_job(embedding={"kind": "embedded"}, train={"steps": 0})
        self.train(run="alone", timeout=200)
        for ranks in (2, 3):
            self.train(run=f"on-{ranks}", ranks=ranks, timeout=200)
            self.expect_same_run(f"on-{ranks}", "alone")


if __name__ == "__main__":
    unittest.main()
