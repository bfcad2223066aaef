"""Real model servers (tools/model-server) on loopback, for tests: started, asked and ended."""

import http.client
import json
import os
import pathlib
import re
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 590  # that a server lives at most, should a test forget it
NOT_INSTALLED = 3  # exit status of tools/model-server


class NotInstalled(Exception):
    """The server is not on this machine; the message says what makes it."""


class ModelServer:
    """A running server. `close` ends it."""

    def __init__(self, name, *options):
        self.said = []
        self.process = subprocess.Popen(
            ["timeout", "-k", "5", str(SECONDS), ROOT / "tools/model-server", name, "--port", "0", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(os.environ) | {"DLN_PROGRAM": os.environ["DLN_PROGRAM"]},
        )  # fmt: skip
        self.port = self.read_port()
        self.drain = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.drain.start()

    def read_port(self):
        for line in self.process.stdout:
            self.said.append(line)
            found = re.search(r"(?:running|listening) on http://127\.0\.0\.1:(\d+)", line)
            if found:
                return int(found.group(1))
        said = "".join(self.said[-20:])
        if self.process.wait() == NOT_INSTALLED:
            raise NotInstalled(said.strip())
        raise RuntimeError(f"no server:\n{said}")

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.drain.join()
        self.process.stdout.close()

    def post(self, path, body):
        """The reply as JSON, whatever its status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()
