"""What goes over the wire: HTTP/2 with what happens to its streams, and a key that must show up nowhere."""

import concurrent.futures
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import PROGRAM, ProgramTest, bytes_of, environment_with
from fake_llm_server import FakeServer
from http2_proxy import Http2Proxy

KEY = "sk-canary-3b1f9a7c5d2e4680"
MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "vllm", "max_model_len": 99}]}


class Http2(ProgramTest):
    def write_jobs(self, server, proxy):
        parts = {"train": {"steps": 2, "batch_size": 8, "candidates": 4}}
        plain = {"address": f"http://127.0.0.1:{server.port}"}
        self.write_job(backend={"kind": "http", "endpoints": [plain]}, **parts)
        tls = {"address": f"https://127.0.0.1:{proxy.port}", "ca_file": str(proxy.certificate)}
        (self.dir / "job.json").rename(self.dir / "plain.json")
        self.write_job(backend={"kind": "http", "endpoints": [tls]}, **parts)

    def expect_same(self, run, other):
        for name in ("prompts.json", "metrics.jsonl"):
            self.assertEqual(bytes_of(self.dir / run / name), bytes_of(self.dir / other / name))

    def proxy_of(self, server):
        folder = self.dir / "proxy"
        folder.mkdir()
        return Http2Proxy(folder, server.port)

    def test_run_over_few_connections_is_the_same(self):
        with FakeServer() as server, self.proxy_of(server) as proxy:
            self.write_jobs(server, proxy)
            self.train(run="plain", job_file="plain.json")
            self.train(run="alone")
            self.expect_same("alone", "plain")
            calls = proxy.calls()
            self.assertGreater(len(calls), 50)
            self.assertEqual({protocol for protocol, _, _ in calls}, {"h2"})
            self.assertLessEqual(len({port for _, port, _ in calls}), 2)

    def test_limit_of_calls_in_flight_holds_on_a_shared_connection(self):
        with FakeServer("--latency-ms", 5) as server, self.proxy_of(server) as proxy:
            self.write_jobs(server, proxy)
            endpoint = json.loads((self.dir / "job.json").read_text())["backend"]["endpoints"][0]
            self.write_job(
                train={"steps": 1, "batch_size": 8, "candidates": 4},
                backend={"kind": "http", "endpoints": [{**endpoint, "in_flight": 6}]},
            )
            self.train(run="alone")
            self.assertIn(server.stats()["max_in_flight"], range(2, 7))
            server.post("/stats/reset", {})
            self.train(run="three", ranks=3)
            self.assertIn(server.stats()["max_in_flight"], range(2, 7))

    def test_streams_that_are_reset_change_nothing(self):
        with FakeServer() as server, self.proxy_of(server) as proxy:
            self.write_jobs(server, proxy)
            self.train(run="plain", job_file="plain.json")
            for fault in ("reset:0.1:middle", "reset:0.1:before", "truncated:0.1"):
                server.post("/faults", {"faults": [fault]})
                server.post("/stats/reset", {})
                run = fault.replace(":", "-")
                self.train(run=run, ranks=2)
                self.expect_same(run, "plain")
                self.assertGreater(sum(server.stats()["by_fault"].values()), 0)

    def test_goaway_in_the_middle_changes_nothing(self):
        with FakeServer("--latency-ms", 20) as server, self.proxy_of(server) as proxy:
            self.write_jobs(server, proxy)
            self.train(run="plain", job_file="plain.json")
            done = threading.Event()
            said = []

            def say_goaway():
                # When the next hundred calls are through, until the run is over.
                while not done.wait(0.01):
                    if len(proxy.calls()) > 100 * (len(said) + 1):
                        proxy.goaway()
                        said.append(len(proxy.calls()))

            server.post("/stats/reset", {})
            speaker = threading.Thread(target=say_goaway)
            speaker.start()
            try:
                self.train(run="interrupted", ranks=2)
            finally:
                done.set()
                speaker.join()
            self.expect_same("interrupted", "plain")
            self.assertGreater(len(said), 0)


class Chat(ProgramTest):
    def test_each_server_that_renders_chats_gives_the_same_scores(self):
        template = {"text": "{{prompt}} {{input}}", "chat": True}
        layer = {"prompt": "Is it so?", "template": template}
        for flavour, dialect in (("vllm", "openai"), ("sglang", "sglang"), ("llama-server", "llama-server")):
            with FakeServer("--flavour", flavour) as server:
                self.write_job(
                    network={"layers": [layer]},
                    train={"steps": 1, "batch_size": 4, "candidates": 2},
                    backend={"kind": "http", "dialect": dialect,
                             "endpoints": f"http://127.0.0.1:{server.port}"},
                )  # fmt: skip
                self.train(run=flavour)
                self.assertGreater(server.stats()["prompts"], 0)
        for flavour in ("sglang", "llama-server"):
            for name in ("prompts.json", "metrics.jsonl"):
                self.assertEqual(bytes_of(self.dir / flavour / name), bytes_of(self.dir / "vllm" / name))


class Parrot(http.server.BaseHTTPRequestHandler):
    """Answers work with `server.answer`, and repeats the key wherever a server can."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, status, body, location=None):
        words = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(words)))
        self.send_header("Content-Type", f"application/json; of={self.key()}")
        self.send_header("X-Key", self.key())
        if location:
            self.send_header("Location", location)
        if status in (429, 503):
            self.send_header("Retry-After", self.key())
        self.end_headers()
        self.wfile.write(words)

    def key(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def do_GET(self):
        self.say(200, MODELS) if self.path == "/v1/models" else self.say(404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.keys.add(self.key())
        status = self.server.status
        if "tokenize" in self.path:
            return self.say(404, {})
        if status == 200:
            prompt = json.loads(body)["prompt"]
            text = f"You are {self.key()}" if isinstance(prompt, str) else self.key()
            choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
            return self.say(200, {"model": self.key(), "choices": [choice]})
        message = f"wrong key {self.key()}: see http://u:{self.key()}@h/?key={self.key()}"
        error = {"message": message, "code": "insufficient_quota" if status == 429 else status}
        return self.say(status, {"error": error}, f"http://h/?key={self.key()}")


class ParrotServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    status = 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Parrot)
        self.keys = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Clients that have gone."""

    def close(self):
        self.shutdown()
        self.server_close()


class Keys(ProgramTest):
    STATUSES = (200, 204, 302, 400, 401, 402, 403, 404, 408, 409, 413, 422, 424, 429, 500, 502, 503, 504, 529)  # fmt: skip

    def write_key_job(self, port, **endpoint):
        self.write_job(
            train={"steps": 1, "batch_size": 4, "candidates": 2},
            backend={
                "kind": "http",
                "patience_seconds": 1,
                "tries": 2,
                "endpoints": [{"address": f"http://127.0.0.1:{port}", **endpoint}],
            },
        )

    def expect_no_key(self, *results):
        for result in results:
            self.assertNotIn(b"canary", result.raw_out + result.raw_err, result)
        for path in self.dir.rglob("*"):
            self.assertNotIn("canary", path.name)
            if path.is_file() and path != self.dir / "key":
                self.assertNotIn(b"canary", bytes_of(path), path)

    def run_against_parrot(self, status):
        """Returns how the run ended and the keys that the server was shown."""
        server = ParrotServer()
        self.addCleanup(server.close)
        server.status = status
        result = self.dln("--log-level", "trace", "train", "job.json", "--set", f"/run_dir=run-{status}",
                          "--set", f"/backend/endpoints/0/address=http://127.0.0.1:{server.server_port}",
                          env={"THE_KEY": KEY}, timeout=120)  # fmt: skip
        return result, server.keys

    def test_no_reply_of_a_server_that_repeats_it_shows_it(self):
        self.write_key_job(1, key_env="THE_KEY")
        with concurrent.futures.ThreadPoolExecutor(8) as together:  # they wait, mostly, to try again
            ended = dict(zip(self.STATUSES, together.map(self.run_against_parrot, self.STATUSES)))
        for status, (result, keys) in ended.items():
            with self.subTest(status=status):
                self.assertEqual(result.code, 3, result)
                self.assertIn(KEY, keys)
                self.assertNotIn(b"canary", result.raw_out + result.raw_err, result)
                if status >= 400:
                    self.assertIn("[key]" if status < 500 else str(status), result.err)
        self.expect_no_key()

    def test_trace_log_and_files_of_a_run_do_not_have_it(self):
        self.write("key", KEY + "\n")
        (self.dir / "key").chmod(0o600)
        with FakeServer("--api-key-env", "THE_KEY", env={"THE_KEY": KEY}) as server:
            self.write_key_job(server.port, key_file=str(self.dir / "key"))
            results = [
                self.succeed("--log-level", "trace", "train", "job.json", "--set", "/run_dir=run", ranks=2),
                self.succeed("--log-level", "trace", "probe", "job.json"),
                self.succeed("inspect", "run"),
                self.succeed("plan", "job.json", "--set", "/run_dir=planned"),
            ]
        for name in ("job.json", "steps", "journal", "result.json"):
            self.assertTrue((self.dir / "run" / name).exists(), name)
        self.expect_no_key(*results)

    def test_process_shows_it_to_nobody_and_leaves_no_core(self):
        with FakeServer("--fault", "stall:1") as server:
            self.write_key_job(server.port, key_env="THE_KEY")
            environment = environment_with({"THE_KEY": KEY})
            with subprocess.Popen(
                ["sh", "-c", 'ulimit -S -c unlimited 2>/dev/null; exec "$@"', "sh", PROGRAM, "train", "job.json"],
                cwd=self.dir, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            ) as process:  # fmt: skip
                end = time.monotonic() + 60
                while server.stats()["by_fault"].get("stall", 0) == 0 and time.monotonic() < end:
                    time.sleep(0.01)
                proc = pathlib.Path("/proc") / str(process.pid)
                self.assertNotIn(b"canary", (proc / "cmdline").read_bytes())
                (limit,) = [
                    line.split()[4]
                    for line in (proc / "limits").read_text().splitlines()
                    if line.startswith("Max core file size")
                ]
                self.assertIn(limit, ("0", "1"))
                process.send_signal(signal.SIGABRT)
                said = b"".join(process.communicate(timeout=60))
            self.assertEqual(process.returncode, -signal.SIGABRT)
        self.assertNotIn(b"canary", said)
        self.assertEqual([path.name for path in self.dir.rglob("*core*")], [])
        self.expect_no_key()
