"""Training and probing over HTTP, against the fake model server on loopback."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import ALONE, ProgramTest, bytes_of, job
from fake_llm_server import FakeServer

# Faults of a server that a client outlives, a tenth of the calls each.
RETRYABLE = [
    "429:0.1:date", "500:0.1", "503:0.1", "reset:0.1:before", "reset:0.1:middle", "truncated:0.1",
    "truncated-json:0.1", "html-200:0.1", "empty-200:0.1", "close-idle:0.1", "logprobs-short:0.1",
    "missing-choice:0.1", "permuted-choices:0.1", "null-logprob:0.1", "nan:0.1", "1e400:0.1",
    "positive-logprob:0.1", "bad-utf8:0.1", "deep-nesting:0.1",
]  # fmt: skip


class Http(ProgramTest):
    def address(self, server):
        return f"http://127.0.0.1:{server.port}"

    def write_http_job(self, server, **backend):
        self.write_job(
            train={"steps": 2, "batch_size": 8, "candidates": 4},
            backend={"kind": "http", "endpoints": self.address(server), **backend},
        )


class Train(Http):
    def test_ranks_and_lists_of_prompts_change_nothing(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train(run="alone")
            for ranks in (1, 2, 3):
                self.train(run=f"on-{ranks}", ranks=ranks)
                self.expect_same_run(f"on-{ranks}", "alone")
            self.train("/backend/prompts_a_call=1", run="singly")
            self.expect_same_run("singly", "alone")

    def test_retryable_faults_change_nothing(self):
        with FakeServer(lifetime=280) as server:
            self.write_http_job(server)
            self.train(run="faultless")
            for fault in RETRYABLE:
                with self.subTest(fault=fault):
                    server.post("/faults", {"faults": [fault]})
                    server.post("/stats/reset", {})
                    run = fault.replace(":", "-")
                    self.train(run=run, ranks=2)
                    self.expect_same_run(run, "faultless")
                    self.assertGreater(sum(server.stats()["by_fault"].values()), 0)

    def test_endpoint_that_dies_for_a_while_is_waited_for(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train(run="faultless")
            server.post("/faults", {"faults": ["dead@20:1500"]})
            self.train(run="interrupted", ranks=2)
            self.expect_same_run("interrupted", "faultless")
            self.assertEqual(server.stats()["by_fault"].get("dead"), 1)

    def test_servers_that_stay_dead_end_the_run_which_goes_on_elsewhere(self):
        with FakeServer() as server:
            self.write_http_job(server, patience_seconds=1)
            self.train(run="whole")
            server.post("/faults", {"faults": ["dead@60:600000"]})
            result = self.dln("train", "job.json", ranks=2)
            self.assertEqual(result.code, 3, result)
            self.assertIn(str(server.port), result.err)
        with FakeServer() as other:
            self.train(f"/backend/endpoints/0/address={self.address(other)}", ranks=2)
        self.expect_same_run("run", "whole")

    def test_killed_run_pays_for_no_reply_twice(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train(run="whole", ranks=2)
            paid = server.stats()["prompts"]
            self.assertGreater(paid, 100)
            server.post("/stats/reset", {})
            self.train_until("step.after_close:3", ranks=2)  # the last step is complete but not saved
            result = self.train(ranks=3)
            self.expect_same_run("run", "whole")
            self.assertEqual(server.stats()["prompts"], paid)
        self.assertRegex(result.out, "journal: [0-9,]+ replies were held already")

    def test_key_is_sent_and_shows_up_nowhere(self):
        key = "sk-canary-3b1f9a7c5d2e4680"
        with FakeServer("--api-key-env", "THE_KEY", env={"THE_KEY": key}) as server:
            endpoint = {"address": self.address(server), "key_env": "THE_KEY"}
            self.write_http_job(server, endpoints=[endpoint])
            result = self.train(ranks=2, env={"THE_KEY": key})
            server.post("/faults", {"faults": ["500:1"]})
            refused = self.dln("train", "job.json", "--set", "/run_dir=second", "--set",
                               "/backend/patience_seconds=1", env={"THE_KEY": "sk-canary-other"})  # fmt: skip
        self.assertEqual(refused.code, 3, refused)
        for said in (result.raw_out, result.raw_err, refused.raw_out, refused.raw_err):
            self.assertNotIn(b"canary", said)
        for path in self.dir.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"canary", bytes_of(path), path)


class Dialects(Http):
    def trained(self, flavour, dialect):
        with FakeServer("--flavour", flavour) as server:
            self.write_http_job(server, dialect=dialect)
            self.train(run=dialect, ranks=2)
        return dialect

    def test_each_dialect_trains_and_gives_the_same_scores(self):
        wanted = self.trained("vllm", "openai")
        for flavour in ("sglang", "llama-server", "tgi"):
            with self.subTest(dialect=flavour):
                run = self.trained(flavour, flavour)
                for name in ("prompts.json", "metrics.jsonl"):
                    self.assertEqual(bytes_of(self.dir / run / name), bytes_of(self.dir / wanted / name))

    def test_together_trains(self):
        self.trained("together", "together")


class Refusals(Http):
    def expect_refused(self, flavour, dialect, *parts):
        with FakeServer("--flavour", flavour) as server:
            result = self.dln("probe", self.address(server), "--dialect", dialect)
            self.assertEqual(result.code, 3, result)
            for part in parts:
                self.assertIn(part, result.out + result.err)
            self.write_http_job(server, dialect=dialect)
            self.assertEqual(self.dln("train", "job.json", "--set", f"/run_dir={flavour}").code, 3)
            self.assertFalse((self.dir / flavour).exists())

    def test_server_that_ignores_echo_is_refused(self):
        self.expect_refused("echo-ignored", "openai", "echo")

    def test_server_whose_scores_are_shifted_is_refused(self):
        self.expect_refused("shifted", "openai", "not belong to the tokens")

    def test_server_that_cannot_score_is_refused(self):
        self.expect_refused("vllm", "openai-chat", "openai-chat")

    def test_dialect_that_fits_the_server_is_named(self):
        for flavour, dialect, fits in (
            ("llama-server", "openai", "llama-server"),
            ("vllm", "sglang", "openai"),
            ("vllm", "openai-chat", "openai"),
        ):
            with self.subTest(flavour=flavour, dialect=dialect):
                said = f'"dialect": "{fits}"'
                self.expect_refused(flavour, dialect, said, f"--dialect {fits}")

    def test_nobody_listening_is_said_with_the_address(self):
        with FakeServer() as server:
            address = self.address(server)
        result = self.dln("probe", address, timeout=90)
        self.assertEqual(result.code, 3, result)
        self.assertIn(address, result.err)

    def test_good_server_is_probed(self):
        with FakeServer() as server:
            result = self.succeed("probe", self.address(server), ranks=ALONE)
        self.assertIn("ok   generation agrees with scoring", result.out)
        self.assertIn("noise floor 0 nats", result.out)


class BadEndpoints(Http):
    def expect_usage(self, text, **backend):
        self.write_job(backend={"kind": "http", **backend})
        result = self.dln("train", "job.json")
        self.assertEqual(result.code, 2, result)
        self.assertIn(text, result.err)
        self.assertFalse((self.dir / "run").exists())

    def test_bad_endpoints_are_refused_with_their_place(self):
        self.expect_usage("/backend/endpoints")
        self.expect_usage("/backend/endpoints/0/address", endpoints="ftp://x")
        self.expect_usage("/backend/endpoints/0/address", endpoints="http://user:secret@127.0.0.1:1")
        self.expect_usage("/backend/endpoints/0/key_env",
                          endpoints=[{"address": "http://127.0.0.1:1", "key_env": "NO_SUCH_KEY_SET"}])  # fmt: skip
        self.expect_usage("/backend/dialect", endpoints="http://127.0.0.1:1", dialect="opneai")
        self.write("key", "sk-open-to-all")
        (self.dir / "key").chmod(0o644)
        self.expect_usage("/backend/endpoints/0/key_file",
                          endpoints=[{"address": "http://127.0.0.1:1", "key_file": str(self.dir / "key")}])  # fmt: skip
