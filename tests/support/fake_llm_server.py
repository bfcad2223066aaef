"""The fake model server (tools/fake-llm-server), for tests: started, asked and ended.

CTest sets DLN_FAKE_LLM_SERVER to the program.
"""

import contextlib
import http.client
import json
import os
import subprocess

PROGRAM = os.environ["DLN_FAKE_LLM_SERVER"]
SECONDS = 600  # that a server lives at most, should a test forget it; a busy machine is slow


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


class FakeServer:
    """A running server. Use as a context, or call `close`."""

    def __init__(self, *options, env=None, lifetime=SECONDS):
        self.process = subprocess.Popen(
            [PROGRAM, "--lifetime", str(lifetime), *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ) | (env or {}),
        )
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"no server: {line}{self.process.communicate()[1]}")
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.terminate()
        self.process.communicate(timeout=20)

    def connect(self, timeout=20):
        return contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        )

    def request(self, method, path, body=None, headers=None, timeout=20):
        """A request on a connection of its own."""
        with self.connect(timeout) as connection:
            return exchange(connection, method, path, body, headers)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def completions(self, prompt, **fields):
        """Of a request that must succeed, scores by default."""
        fields = {"echo": True, "logprobs": 0, "max_tokens": 0, "temperature": 0} | fields
        return self.succeed("/v1/completions", {"prompt": prompt, **fields})

    def succeed(self, path, body):
        response = self.post(path, body)
        if response.status != 200:
            raise AssertionError(f"{path}: {response.status} {response.body}")
        return response.json()

    def stats(self):
        return self.request("GET", "/stats").json()


def exchange(connection, method, path, body=None, headers=None):
    text = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
    connection.request(method, path, text, headers or {})
    response = connection.getresponse()
    return Response(response.status, dict(response.getheaders()), response.read())


def raw_post(path, body, *headers):
    """The bytes of a request, for tests that write to a socket themselves."""
    text = json.dumps(body)
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(text)}", "", text]
    return "\r\n".join(lines).encode()
