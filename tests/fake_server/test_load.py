"""Slots, limits, connections, and how the server's process begins and ends."""

import concurrent.futures
import json
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from fake_llm_server import PROGRAM, FakeServer, exchange, raw_post

PATH = "/v1/completions"


def body(i):
    return {"prompt": f"number {i}", "max_tokens": 1}


class LoadTest(unittest.TestCase):
    def serve(self, *options, **more):
        server = FakeServer(*options, **more)
        self.addCleanup(server.close)
        return server

    def post_at_once(self, server, count):
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            statuses = list(pool.map(lambda i: server.post(PATH, body(i)).status, range(count)))
        return statuses, time.monotonic() - begin


class Slots(LoadTest):
    def test_requests_wait_for_a_slot(self):
        server = self.serve("--slots", 2, "--latency-ms", 100)
        statuses, seconds = self.post_at_once(server, 8)
        self.assertEqual(statuses, [200] * 8)
        self.assertGreater(seconds, 0.39)
        stats = server.stats()
        self.assertEqual(stats["max_busy_slots"], 2)
        self.assertGreater(stats["max_in_flight"], 4)
        self.assertAlmostEqual(stats["busy_slot_seconds"], 0.8, delta=0.15)
        self.assertGreater(stats["busy_share_until_last_departure"], 0.8)

    def test_without_slots_nothing_waits(self):
        server = self.serve("--latency-ms", 200)
        _, seconds = self.post_at_once(server, 8)
        self.assertLess(seconds, 1.0)

    def test_each_prompt_of_a_list_takes_its_time(self):
        server = self.serve("--per-prompt-ms", 50)
        begin = time.monotonic()
        server.post(PATH, {"prompt": ["a", "b", "c", "d"], "max_tokens": 1})
        self.assertGreater(time.monotonic() - begin, 0.19)

    def test_client_that_goes_away_frees_its_slot(self):
        server = self.serve("--slots", 1, "--latency-ms", 3000)
        with self.assertRaises(TimeoutError):
            server.post(PATH, body(1), timeout=0.2)
        time.sleep(0.1)
        stats = server.stats()
        self.assertEqual((stats["abandoned"], stats["in_flight"]), (1, 0))
        self.assertLess(stats["busy_slot_seconds"], 1.0)

    def test_repetitions_are_counted(self):
        server = self.serve()
        for prompts in (["a", "b"], ["a", "c"], ["a", "b"]):
            server.post(PATH, {"prompt": prompts, "max_tokens": 1})
        stats = server.stats()
        self.assertEqual((stats["requests"], stats["repeated_requests"]), (3, 1))
        self.assertEqual((stats["prompts"], stats["repeated_prompts"]), (6, 3))
        server.post("/stats/reset", {})
        self.assertEqual(server.stats()["requests"], 0)

    def test_log_has_arrivals_and_departures(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "log.jsonl")
            server = self.serve("--log", path, "--fault", "500@2")
            for i in range(2):
                server.post(PATH, body(i))
            lines = [json.loads(line) for line in path.read_text().splitlines()]
        self.assertEqual([line["event"] for line in lines], ["arrive", "depart"] * 2)
        self.assertEqual([line["status"] for line in lines[1::2]], [200, 500])


class Limits(LoadTest):
    def test_requests_above_the_rate_are_told_when_to_come_back(self):
        server = self.serve("--rpm", 3)
        responses = [server.post(PATH, body(i)) for i in range(4)]
        self.assertEqual([one.status for one in responses], [200, 200, 200, 429])
        self.assertIn(int(responses[3].headers["retry-after"]), (19, 20))

    def test_tokens_above_the_rate_are_refused(self):
        server = self.serve("--tpm", 20, "--retry-after", "absent")
        self.assertEqual(server.post(PATH, {"prompt": [[50] * 10], "max_tokens": 1}).status, 200)
        response = server.post(PATH, {"prompt": [[50] * 11], "max_tokens": 1})
        self.assertEqual(response.status, 429)
        self.assertNotIn("retry-after", response.headers)


class Connections(LoadTest):
    def test_connection_is_kept(self):
        server = self.serve()
        with server.connect() as connection:
            for i in range(20):
                self.assertEqual(exchange(connection, "POST", PATH, body(i)).status, 200)
        self.assertEqual(server.stats()["connections_opened"], 2)

    def test_connection_is_closed_when_the_client_says_so(self):
        server = self.serve()
        with server.connect() as connection:
            response = exchange(connection, "POST", PATH, body(1), {"Connection": "close"})
            self.assertEqual(response.headers["connection"], "close")

    def test_two_thousand_connections_are_held(self):
        server = self.serve("--latency-ms", 300)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        clients = []
        try:
            for _ in range(2000):
                clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            for client in clients:
                client.sendall(raw_post(PATH, body(1)))
            for client in clients:
                self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200 OK"))
            stats = server.stats()
            self.assertEqual(stats["connections_open"], 2001)
            self.assertGreater(stats["max_in_flight"], 1000)
        finally:
            for client in clients:
                client.close()

    def test_body_is_awaited_after_a_continue(self):
        server = self.serve()
        head, text = raw_post(PATH, body(1), "Expect: 100-continue").split(b"\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(head + b"\r\n\r\n")
            self.assertEqual(client.recv(4096), b"HTTP/1.1 100 Continue\r\n\r\n")
            client.sendall(text)
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200 OK"))

    def test_requests_sent_ahead_are_answered_in_order(self):
        server = self.serve("--latency-ms", 20)
        get = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
        post = raw_post(PATH, body(1))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(post + get + post)
            received = b""
            while received.count(b"HTTP/1.1 200 OK") < 3:
                received += client.recv(65536)
        self.assertLess(received.index(b"text_completion"), received.index(b'"version"'))

    def test_what_is_no_http_is_refused(self):
        server = self.serve()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(b"hello\r\n\r\n")
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 400"))


class Process(LoadTest):
    def test_port_is_written_to_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "port")
            server = self.serve("--port-file", path)
            self.assertEqual(int(path.read_text()), server.port)
            self.assertEqual([one.name for one in path.parent.iterdir()], ["port"])

    def test_taken_port_is_a_clear_error(self):
        server = self.serve()
        with self.assertRaisesRegex(RuntimeError, "cannot listen.*in use"):
            FakeServer("--port", server.port)

    def test_it_ends_when_told(self):
        server = self.serve()
        self.assertEqual(server.post("/shutdown", {}).status, 200)
        self.assertEqual(server.process.wait(10), 0)
        server = self.serve()
        server.process.terminate()
        self.assertEqual(server.process.wait(10), 0)

    def test_it_ends_with_requests_under_way(self):
        server = self.serve("--latency-ms", 5000, "--slots", 1)
        with server.connect() as one, server.connect() as other:
            for connection in (one, other):
                connection.request("POST", PATH, json.dumps(body(1)))
            time.sleep(0.1)
            server.process.terminate()
            self.assertEqual(server.process.wait(10), 0)

    def test_it_ends_after_its_lifetime(self):
        process = subprocess.run([PROGRAM, "--lifetime", "1"], stdout=subprocess.DEVNULL, timeout=10)
        self.assertEqual(process.returncode, 0)

    def test_it_ends_with_its_parent(self):
        parent = (
            "import subprocess, sys, time\n"
            "server = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, text=True)\n"
            "print(server.pid, server.stdout.readline(), flush=True)\n"
            "time.sleep(60)\n"
        )
        command = [sys.executable, "-c", parent, PROGRAM]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        process.kill()
        process.communicate()
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except ConnectionRefusedError:
                return
            time.sleep(0.05)
        self.fail("the server outlived its parent")

    def test_bad_option_is_refused(self):
        for options in (["--slots", "many"], ["--flavour", "gpt"], ["--latency-lognormal", "4"]):
            result = subprocess.run([PROGRAM, *options], capture_output=True, text=True, timeout=10)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(options[0], result.stderr)


class Key(LoadTest):
    def test_requests_need_the_key(self):
        server = self.serve("--api-key-env", "FAKE_KEY", env={"FAKE_KEY": "canary"})
        for key, status in (("canary", 200), ("other", 401), (None, 401)):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            self.assertEqual(server.post(PATH, body(1), headers=headers).status, status)
            self.assertEqual(server.request("GET", "/v1/models", headers=headers).status, status)
        self.assertEqual(server.stats()["requests_with_authorization"], 2)

    def test_empty_variable_is_refused(self):
        with self.assertRaisesRegex(RuntimeError, "--api-key-env NO_SUCH_KEY: .*empty"):
            FakeServer("--api-key-env", "NO_SUCH_KEY")
