"""nghttpx in front of a server on this machine: HTTP/2 over TLS, with a certificate of its own.

As a program: http2_proxy.py FOLDER PORT [OPTION...] makes FOLDER/cert.pem, prints the port that it listens on
and ends with its standard input. A line "goaway" there begins a new worker and lets the old one end its
connections (GOAWAY), then prints "done".
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

# Ends with whoever began it, also one that was killed.
WITH_PARENT = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
NGHTTPX = shutil.which("nghttpx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until(holds, what):
    end = time.monotonic() + 30
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"nghttpx: {what}")
        time.sleep(0.01)


class Http2Proxy:
    """A running nghttpx. `options` are its own. Use as a context, or call `close`."""

    def __init__(self, folder, backend_port, *options):
        self.folder = pathlib.Path(folder)
        self.certificate = self.folder / "cert.pem"
        self.log = self.folder / "access.log"
        self.messages = self.folder / "proxy.log"
        make_certificate(self.certificate, self.folder / "key.pem")
        for _ in range(5):  # somebody else may take the port
            self.port = free_port()
            if self.begins(backend_port, options):
                return
        raise RuntimeError(f"nghttpx does not begin: {self.messages.read_text()}")

    def begins(self, backend_port, options):
        for path in (self.log, self.messages):
            path.write_text("")
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [
                *WITH_PARENT, NGHTTPX, "--conf=/dev/null", f"--frontend=127.0.0.1,{self.port}",
                f"--backend=127.0.0.1,{backend_port};;proto=http/1.1", "--workers=1", "--no-ocsp",
                f"--errorlog-file={self.messages}", f"--accesslog-file={self.log}",
                "--accesslog-format=$alpn $remote_port $status", *options,
                self.folder / "key.pem", self.certificate,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(lambda: self.process.poll() is not None or self.workers() > 0, "no worker")
        return self.process.poll() is None

    def workers(self):
        """How many worker processes have begun so far."""
        return self.messages.read_text().count("Created worker thread")

    def goaway(self):
        """Begins a new worker; the old one says GOAWAY on its connections."""
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.workers() > before, "no new worker")

    def calls(self):
        """(protocol, client's port, status) of each finished call."""
        return [tuple(line.split()) for line in self.log.read_text().splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def make_certificate(certificate, key):
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=dln test",
            "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def main():
    folder, port, *options = sys.argv[1:]
    with Http2Proxy(folder, int(port), *options) as proxy:
        print(proxy.port, flush=True)
        for line in sys.stdin:
            if line.strip() == "goaway":
                proxy.goaway()
                print("done", flush=True)


if __name__ == "__main__":
    main()
