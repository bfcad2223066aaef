"""Each kind of fault as it reaches a client, and the choice of the requests that it hits."""

import gzip
import http.client
import json
import socket
import time
import unittest
from email.utils import parsedate_to_datetime

from fake_llm_server import FakeServer, exchange, raw_post

BODY = {
    "prompt": ["Is it so?", "yes no", "one two"],
    "echo": True,
    "logprobs": 1,
    "max_tokens": 1,
    "temperature": 0,
}
PATH = "/v1/completions"


class FaultTest(unittest.TestCase):
    def serve(self, *faults, options=()):
        rules = [word for fault in faults for word in ("--fault", fault)]
        server = FakeServer(*rules, *options)
        self.addCleanup(server.close)
        return server

    def reply(self, fault, body=BODY, path=PATH, options=()):
        """The first request's reply, after a check that the second one is well."""
        name, parameter = fault if isinstance(fault, tuple) else (fault, None)
        rule = f"{name}@1:{parameter}" if parameter else f"{name}@1"
        server = self.serve(rule, options=options)
        response = server.post(path, body)
        self.assertEqual(server.post(path, body).status, 200)
        self.assertEqual(server.stats()["by_fault"], {name: 1})
        return response


class Refusals(FaultTest):
    def test_statuses_have_bodies_that_servers_send(self):
        for kind, status, words in (
            ("429", 429, "rate_limit_exceeded"),
            ("429-quota", 429, "insufficient_quota"),
            ("401", 401, "invalid_api_key"),
            ("403", 403, "permission"),
            ("404-model", 404, "model_not_found"),
            ("400", 400, "invalid_request_error"),
            ("408", 408, "timeout"),
            ("409", 409, "conflict"),
            ("500", 500, "server_error"),
            ("502", 502, "502 Bad Gateway"),
            ("503", 503, "503 Service Unavailable"),
            ("504", 504, "504 Gateway Timeout"),
            ("529", 529, "overloaded_error"),
            ("html-200", 200, "<html>"),
        ):
            with self.subTest(kind=kind):
                response = self.reply(kind)
                self.assertEqual(response.status, status)
                self.assertIn(words, response.body.decode())

    def test_empty_reply_is_a_success_without_a_body(self):
        response = self.reply("empty-200")
        self.assertEqual((response.status, response.body), (200, b""))

    def test_retry_after_has_all_its_forms(self):
        self.assertEqual(self.reply(("429", "7")).headers["retry-after"], "7")
        self.assertEqual(self.reply("429").headers["retry-after"], "1")
        self.assertNotIn("retry-after", self.reply(("429", "absent")).headers)
        self.assertGreater(int(self.reply(("429", "huge")).headers["retry-after"]), 10**7)
        date = parsedate_to_datetime(self.reply(("429", "date")).headers["retry-after"])
        self.assertLess(abs(date.timestamp() - time.time() - 1), 3)

    def test_redirect_names_the_other_server(self):
        response = self.reply(("redirect", "127.0.0.1:9"))
        self.assertEqual(response.status, 302)
        self.assertEqual(response.headers["location"], "http://127.0.0.1:9" + PATH)


class Deliveries(FaultTest):
    def test_truncated_body_is_shorter_than_promised(self):
        server = self.serve("truncated@1")
        with self.assertRaises(http.client.IncompleteRead) as caught:
            server.post(PATH, BODY)
        self.assertEqual(caught.exception.expected, 100)
        json.loads(caught.exception.partial)

    def test_slow_reply_comes_byte_by_byte(self):
        server = self.serve("slow@1:1")
        begin = time.monotonic()
        response = server.post(PATH, {"prompt": "a", "max_tokens": 1})
        self.assertGreater(time.monotonic() - begin, 0.2)
        self.assertEqual(len(response.json()["choices"]), 1)

    def test_endless_reply_does_not_end(self):
        server = self.serve("endless@1")
        with server.connect() as connection:
            connection.request("POST", PATH, json.dumps(BODY))
            response = connection.getresponse()
            self.assertEqual(response.getheader("transfer-encoding"), "chunked")
            self.assertEqual(len(response.read(200_000)), 200_000)

    def test_stalled_request_is_never_answered_and_counts_as_abandoned(self):
        server = self.serve("stall@1")
        with self.assertRaises(TimeoutError):
            server.post(PATH, BODY, timeout=0.3)
        self.assertEqual(server.post(PATH, BODY).status, 200)
        stats = server.stats()
        self.assertEqual((stats["abandoned"], stats["in_flight"]), (1, 0))

    def test_reset_comes_instead_of_the_reply_or_in_its_middle(self):
        for rule in ("reset@1", "reset@1:middle"):
            server = self.serve(rule)
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
                client.sendall(raw_post(PATH, BODY))
                received = b""
                with self.assertRaises(ConnectionResetError):
                    while True:
                        received += client.recv(65536)
                        if not received:
                            break
                self.assertEqual(received.startswith(b"HTTP/1.1 200"), rule.endswith("middle"))

    def test_connection_closes_after_a_reply_that_did_not_say_so(self):
        server = self.serve("close-idle@1")
        with server.connect() as connection:
            response = exchange(connection, "POST", PATH, BODY)
            self.assertEqual(response.status, 200)
            self.assertNotIn("connection", response.headers)
            self.assertEqual(connection.sock.recv(1), b"")

    def test_big_body_is_as_large_as_asked_and_well_formed(self):
        response = self.reply(("big", "3"))
        self.assertGreater(len(response.body), 3_000_000)
        self.assertEqual(len(response.json()["choices"]), 3)
        self.assertGreater(len(self.reply("big").body), 100_000_000)

    def test_gzip_bomb_is_small_until_unpacked(self):
        response = self.reply(("gzip-bomb", "20"))
        self.assertEqual(response.headers["content-encoding"], "gzip")
        self.assertLess(len(response.body), 100_000)
        self.assertEqual(len(gzip.decompress(response.body)), 20_000_000)


class Bodies(FaultTest):
    def test_truncated_json_is_framed_well(self):
        with self.assertRaises(json.JSONDecodeError):
            self.reply("truncated-json").json()

    def test_bytes_that_are_no_text(self):
        with self.assertRaises(UnicodeDecodeError):
            self.reply("bad-utf8").body.decode()

    def test_half_a_surrogate_pair(self):
        text = self.reply("lone-surrogate").json()["choices"][0]["text"]
        with self.assertRaises(UnicodeEncodeError):
            text.encode()

    def test_nesting_is_deep(self):
        self.assertEqual(self.reply("deep-nesting").body, b"[" * 100_000)


class Values(FaultTest):
    def choices(self, fault):
        return self.reply(fault).json()["choices"]

    def setUp(self):
        self.well = self.serve().post(PATH, BODY).json()["choices"]

    def test_lists_of_scores_are_too_short_or_too_long(self):
        for fault, change in (("logprobs-short", -1), ("logprobs-long", 1)):
            for well, one in zip(self.well, self.choices(fault)):
                scores = one["logprobs"]
                self.assertEqual(scores["tokens"], well["logprobs"]["tokens"])
                self.assertEqual(len(scores["token_logprobs"]), len(scores["tokens"]) + change)

    def test_choices_are_permuted_with_their_index(self):
        choices = self.choices("permuted-choices")
        self.assertEqual([one["index"] for one in choices], [2, 1, 0])
        self.assertEqual(choices[::-1], self.well)

    def test_choice_is_missing(self):
        self.assertEqual(self.choices("missing-choice"), self.well[:2])

    def test_index_is_there_twice(self):
        self.assertEqual([one["index"] for one in self.choices("duplicate-index")], [0, 0, 2])

    def test_values_are_no_log_probabilities(self):
        for fault, expected in (
            ("null-logprob", None),
            ("string-logprob", "-1.25"),
            ("positive-logprob", 0.75),
            ("1e400", float("-inf")),
            ("minus-inf", float("-inf")),
        ):
            with self.subTest(fault=fault):
                values = self.choices(fault)[0]["logprobs"]["token_logprobs"]
                self.assertEqual(set(values[1:]), {expected})

    def test_nan_stands_in_the_text(self):
        self.assertIn(b"NaN", self.reply("nan").body)

    def test_values_of_other_dialects_are_hit_too(self):
        parameters = {"max_new_tokens": 1, "details": True, "decoder_input_details": True}
        for flavour, path, body in (
            ("tgi", "/generate", {"inputs": "a b", "parameters": parameters}),
            ("sglang", "/generate", {"text": "a b", "return_logprob": True, "logprob_start_len": 0}),
            ("llama-server", PATH, {"prompt": "a b", "max_tokens": 1, "logprobs": 1}),
            ("together", PATH, {"prompt": "a b", "max_tokens": 1, "logprobs": 1, "echo": True}),
        ):
            response = self.reply("nan", body, path, options=("--flavour", flavour))
            self.assertIn(b"NaN", response.body, flavour)

    def test_reply_is_of_another_model(self):
        self.assertEqual(self.reply("other-model").json()["model"], "other-model")

    def test_tokens_are_of_another_text(self):
        for well, one in zip(self.well, self.choices("wrong-tokens")):
            self.assertEqual(len(one["logprobs"]["tokens"]), len(well["logprobs"]["tokens"]))
            self.assertNotEqual(one["logprobs"]["tokens"][:-1], well["logprobs"]["tokens"][:-1])


class Endpoint(FaultTest):
    def test_faults_change_while_it_runs(self):
        server = self.serve()
        self.assertEqual(server.post("/faults", {"faults": ["500@2"]}).status, 200)
        statuses = [server.post(PATH, BODY).status for _ in range(3)]
        self.assertEqual(statuses, [200, 500, 200])
        self.assertEqual(server.post("/faults", {"faults": ["501:1"]}).status, 400)
        server.post("/faults", {"faults": []})
        self.assertEqual(server.post(PATH, BODY).status, 200)

    def test_dead_endpoint_comes_back_on_its_port(self):
        for begin in ("fault", "order"):
            server = self.serve("dead@1:400") if begin == "fault" else self.serve()
            with server.connect() as connection:
                connection.connect()
                if begin == "fault":
                    with self.assertRaises(OSError):
                        server.post(PATH, BODY)
                else:
                    server.post("/faults", {"dead_for_ms": 400})
                    time.sleep(0.1)
                with self.assertRaises(ConnectionRefusedError):
                    server.post(PATH, BODY)
                with self.assertRaises(OSError):
                    exchange(connection, "POST", PATH, BODY)
            time.sleep(0.6)
            self.assertEqual(server.post(PATH, BODY).status, 200)

    def test_two_runs_agree_on_who_is_hit_and_retries_come_through(self):
        def statuses():
            server = self.serve("500:0.5")
            return [
                [server.post(PATH, {"prompt": f"number {i}", "max_tokens": 1}).status for _ in range(3)]
                for i in range(20)
            ]

        first = statuses()
        self.assertEqual(first, statuses())
        self.assertEqual({status for row in first for status in row}, {200, 500})
        self.assertTrue(any(row[0] == 500 and 200 in row[1:] for row in first))

    def test_look_ups_have_no_faults(self):
        server = self.serve("500:1")
        self.assertEqual(server.request("GET", "/v1/models").status, 200)
        self.assertEqual(server.post("/tokenize", {"prompt": "a"}).status, 200)

    def test_unknown_fault_is_refused_with_the_list_of_them(self):
        with self.assertRaisesRegex(RuntimeError, r'unknown kind "4290"\. Expected one of: 429, '):
            FakeServer("--fault", "4290:0.5")
