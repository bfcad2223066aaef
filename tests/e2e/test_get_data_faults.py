"""What tools/get-data refuses, and what it downloads: from a server on loopback only."""

import http.server
import shutil
import ssl
import threading
import unittest

# get_data_program sets the path to tests/support.
from get_data_program import SMALL, GetDataTest, task_sources
from dln_program import PROGRAM, snapshot
from http2_proxy import make_certificate


class Refusals(GetDataTest):
    def refused(self, task, *arguments):
        """The tool's end on an input that is wrong, with older data in place, which must stay as it is."""
        before = snapshot(self.dir)
        result = self.get_data(task, "--out", "data", *SMALL, *arguments)
        self.assertEqual(snapshot(self.dir), before, str(result))
        return result

    def test_what_is_no_data_file_is_named(self):
        login = "<!DOCTYPE html>\n<html><head><title>Sign in\x1b[31m</title></head></html>"
        faults = {
            "absent.jsonl": (None, "absent.jsonl: there is no such file"),
            "empty.jsonl": (" \n", "is empty"),
            "page.jsonl": (login, "is a web page (Sign in"),
            "packed.jsonl": (b"\x1f\x8b\x08\x00\x00", "is an archive"),
            "pointer.jsonl": ("version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
            "binary.jsonl": (b"SQLite format 3\x00", "is a binary file"),
            "latin.jsonl": (b'{"sentence": "caf\xe9", "label": "0"}\n', "is not UTF-8: byte 18"),
            "prose.jsonl": ("some words, and more\n", "Found: text. Right is one of:"),
            "fields.jsonl": ('{"title": "a", "label": "0"}\n', "json lines with the fields title, label"),
            "numbers.jsonl": ('{"text": "a", "label": 0}\n', "json lines with the fields text, label"),
            "label.jsonl": ('{"sentence": "a", "label": "7"}\n', 'label.jsonl:1: "label" is "7"'),
            "torn.csv": ('0,"one\n', "torn.csv: line 1: not valid CSV"),
            "ragged.csv": ("0,one\n1,two,three\n", "ragged.csv: line 2: 3 fields, not 2"),
            "class.csv": ("0,one\n7,two\n", 'class.csv: example 2: "target" is "7"'),
        }
        _, test = self.write_public("subj")
        for name, (content, message) in faults.items():
            with self.subTest(name=name):
                if content is not None:
                    self.write(name, content)
                result = self.refused("subj", "--unverified", "--from", f"train={name}", f"test={test}")
                self.expect_refused(result, message)
                self.assertNotIn("\x1b", result.err)

    def test_a_folder_is_no_source(self):
        self.expect_refused(self.refused("airline", "--from", "."), "is a folder")

    def test_formats_of_other_tasks_are_refused(self):
        (self.dir / "sources").mkdir()
        bbh, task_json = self.write_public("navigate")
        for words in ((f"bbh={task_json}",), (f"bbh={bbh}", f"big-bench={bbh}")):
            with self.subTest(words=words):
                result = self.refused("navigate", "--unverified", "--from", *words)
                self.expect_refused(result, "is not what navigate takes for", "json document")
        result = self.refused("navigate", "--unverified", "--from", *self.write_public("hyperbaton"))
        self.expect_refused(result, "hyperbaton.json", '"(')

    def test_what_lacks_its_contents_is_refused(self):
        faults = (
            (
                "gsm8k",
                "train.jsonl",
                '{"question": "a", "answer": "12"}\n',
                'line 1: "answer" must end in "#### number"',
            ),
            (
                "gsm8k",
                "train.jsonl",
                '{"question": "a", "answer": "#### 1"}\n{"question": ',
                "line 2: not valid JSON",
            ),
            (
                "airline",
                "eval.json",
                '[{"sentence1": "a", "label": "positive"}, {"sentence1": "b"',
                "not valid JSON",
            ),
            (
                "airline",
                "eval.json",
                '[{"sentence1": "a", "label": "positive"}, {"label": "x"}]',
                "example 2: a text",
            ),
            ("airline", "eval.json", '[{"sentence1": "a", "label": "bad"}]', 'example 1: "target" is "bad"'),
            (
                "navigate",
                "task.json",
                '{"examples": [{"input": "a", "target_scores": {"True": 0}}]}',
                "a score of 1",
            ),
        )
        for task, name, content, message in faults:
            with self.subTest(task=task, message=message):
                files = dict(task_sources.public_files(task))
                files = {f"all/{key}": value for key, value in files.items()} | {f"all/{name}": content}
                shutil.rmtree(self.dir / "all", ignore_errors=True)
                for path, text in files.items():
                    self.write(path, text)
                words = ["all/eval.json"] if task == "airline" else list(files)
                result = self.refused(task, "--unverified", "--from", *words)
                self.expect_refused(result, message)

    def test_too_few_examples_are_refused_with_their_number(self):
        files = self.write_public("subj")
        result = self.get_data("subj", "--unverified", "--out", "data", "--from", *files)
        self.expect_refused(result, "has 60 examples", "--test 250")
        self.assertFalse((self.dir / "data/subj").exists())

    def test_another_file_than_the_published_one_is_refused(self):
        files = self.write_public("navigate")
        result = self.refused("navigate", "--from", *files)
        self.expect_refused(result, "is not the published file", "sha256 b7944dfd3c81", "55,163 bytes", "(cut off?)",
                            "--unverified")  # fmt: skip

    def test_a_file_that_changed_since_the_last_time_is_refused(self):
        words = ["--out", "data", *SMALL, "--from", "train.csv", "test.csv"]
        for name in ("train", "test"):
            rows = task_sources.sentences("subj", name, 60)
            self.write(f"{name}.csv", "".join(f"{number},{text}\n" for text, number in rows))
        first = self.get_data("subj", *words)
        self.assertEqual(first.code, 0, str(first))
        self.assertIn("new; SOURCES.json keeps it", first.out)
        self.assertIn("as the last time", self.get_data("subj", *words).out)
        self.write("train.csv", (self.dir / "train.csv").read_text() + "1,one more\n")
        self.expect_refused(self.refused("subj", "--from", "train.csv", "test.csv"), "train.csv: has changed")
        self.assertEqual(self.get_data("subj", "--unverified", *words).code, 0)
        self.assertEqual(self.get_data("subj", *words).code, 0)

    def test_files_that_it_did_not_make_are_never_replaced(self):
        self.write("data/subj/train.jsonl", "mine")
        result = self.refused("subj", "--unverified", "--from", *self.write_public("subj"))
        self.expect_refused(result, "did not make: train.jsonl")
        shutil.rmtree(self.dir / "data")
        self.get("subj", *SMALL, "--from", *self.write_public("subj"))
        self.write("data/subj/notes.txt", "mine")
        result = self.refused("subj", "--unverified", "--from", *self.write_public("subj"))
        self.expect_refused(result, "did not make: notes.txt")

    def test_a_tool_that_is_stopped_leaves_the_older_data(self):
        files = self.write_public("subj")
        self.get("subj", *SMALL, "--from", *files)
        script = self.write(
            "stopping", f'#!/bin/sh\n[ "$2" = split ] && kill -TERM $PPID\nexec {PROGRAM} "$@"\n'
        )
        script.chmod(0o755)
        before = snapshot(self.dir)
        words = ("--unverified", "--seed", 9, "--from", *files)
        result = self.get_data("subj", "--out", "data", *SMALL, *words, env={"DLN_PROGRAM": script})
        self.assertEqual(result.code, 143, str(result))
        self.assertEqual(snapshot(self.dir), before)

    def test_wrong_usage_says_what_would_be_right(self):
        train, test = self.write_public("subj")
        faults = (
            (("subjj",), 'no task "subjj". There are: hyperbaton'),
            (("subj", "--from", train), "subj also needs test"),
            (("subj", "--from", train, test, "other"), "is given already"),
            (("subj", "--from", f"train={train}", f"train={test}"), "train is given already"),
            (("subj", "--from", "http://127.0.0.1/train.jsonl", test), "http is not taken"),
            (("subj", "--from", "ftp://127.0.0.1/train.jsonl", test), "Right is https://"),
            (("subj", "--from", "https://me:secret@127.0.0.1/train.jsonl", test), "user or password"),
        )
        for words, message in faults:
            with self.subTest(words=words):
                result = self.refused(*words)
                self.expect_refused(result, message)
                self.assertNotIn("secret", result.err)
        for words in ((), ("subj", "--train", "0"), ("subj", "--seed", "-1"), ("subj", "--form", "x")):
            with self.subTest(words=words):
                self.assertEqual(self.get_data(*words).code, 2)

    def test_without_dln_it_says_how_to_build_it(self):
        files = self.write_public("subj")
        result = self.get_data(
            "subj", *SMALL, "--out", "data", "--from", *files, env={"DLN_PROGRAM": "absent/dln"}
        )
        self.expect_refused(result, "absent/dln: there is no such program", "tools/setup")


class Replies(http.server.BaseHTTPRequestHandler):
    """GET /NAME answers with `server.files[NAME]`: a text, or a function of the handler."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        content = self.server.files.get(self.path.partition("?")[0][1:])
        if callable(content):
            content(self)
        elif content is None:
            self.send_error(404)
        else:
            self.reply(200, content.encode(), {"Content-Type": "text/plain"})
        self.close_connection = True

    def reply(self, status, body=b"", headers=None, length=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Downloads(GetDataTest):
    def setUp(self):
        super().setUp()
        make_certificate(self.dir / "cert.pem", self.dir / "key.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir / "cert.pem", self.dir / "key.pem")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replies)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_: None
        self.server.files = dict(task_sources.public_files("subj"))
        self.address = f"https://127.0.0.1:{self.server.server_address[1]}"
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)

    def download(self, *arguments, train="train.jsonl", trusted=True):
        env = {"SSL_CERT_FILE": str(self.dir / "cert.pem")} if trusted else {}
        words = ("--from", f"train={self.address}/{train}", f"test={self.address}/test.jsonl")
        return self.get_data("subj", "--unverified", "--out", "data", *SMALL, *arguments, *words, env=env)

    def expect_download_refused(self, reply, *fragments, arguments=()):
        self.server.files["train.jsonl"] = reply
        self.expect_refused(self.download(*arguments), f"{self.address}/train.jsonl: ", *fragments)
        self.assertFalse((self.dir / "data").exists() and any((self.dir / "data").iterdir()))

    def test_urls_are_downloaded_and_told_without_their_query(self):
        result = self.download(train="train.jsonl?token=secret")
        self.assertEqual(result.code, 0, str(result))
        told = (self.dir / "data/subj/SOURCES.json").read_text()
        self.assertIn(f'"{self.address}/train.jsonl"', told)
        self.assertNotIn("secret", told + result.out)
        self.assertEqual(len(self.part("subj", "train")), 24)

    def test_file_urls_are_files(self):
        train, test = self.write_public("subj")
        self.get("subj", *SMALL, "--from", f"file://{self.dir}/{train}", f"file://{self.dir}/{test}")
        self.assertEqual(len(self.part("subj", "train")), 24)

    def test_a_redirect_to_https_is_followed(self):
        target = f"{self.address}/train.jsonl"
        self.server.files["moved.jsonl"] = lambda one: one.reply(302, headers={"Location": target})
        result = self.download(train="moved.jsonl")
        self.assertEqual(result.code, 0, str(result))

    def test_a_redirect_to_http_is_refused(self):
        target = self.address.replace("https", "http") + "/test.jsonl"
        self.expect_download_refused(
            lambda one: one.reply(302, headers={"Location": target}),
            "redirects to http://127.0.0.1",
            "not https",
        )

    def test_a_page_to_log_in_is_refused(self):
        page = b"<html><title>Log in</title></html>"
        self.expect_download_refused(
            lambda one: one.reply(200, page, {"Content-Type": "text/html"}), "is a web page (Log in)", "login"
        )

    def test_an_error_status_is_told(self):
        self.expect_download_refused(None, "the server answers 404")
        self.expect_download_refused(
            lambda one: one.reply(403), "the server answers 403", "Does it want a login?"
        )

    def test_a_download_that_is_cut_off_is_refused(self):
        self.expect_download_refused(
            lambda one: one.reply(200, b'{"sentence": "a", "label": "0"}\n', length=5000),
            "cut off",
            "of 5,000 bytes",
        )

    def test_a_file_that_is_too_large_is_not_downloaded(self):
        self.expect_download_refused(
            lambda one: one.reply(200, b"{", length=10**10), "has more than 67,108,864 bytes"
        )

    def test_a_server_that_falls_silent_is_left(self):
        done = threading.Event()
        self.addCleanup(done.set)
        self.expect_download_refused(
            lambda one: done.wait(120), "nothing came for 1 s", arguments=("--timeout", 1)
        )

    def test_a_certificate_that_is_not_trusted_is_refused(self):
        self.expect_refused(self.download(trusted=False), "certificate is not trusted")

    def test_a_host_that_is_away_is_told(self):
        self.address = "https://127.0.0.1:1"
        self.expect_refused(self.download(), "cannot be reached", "--from")


if __name__ == "__main__":
    unittest.main()
