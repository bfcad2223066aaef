"""Replays: a run over model servers, once more from its journal, without any server."""

import hashlib
import json
import os
import shutil
import struct
import sys

import h5py

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import ALONE, ProgramTest, seal, step_paths, value
from fake_llm_server import FakeServer


def digest(file):
    """Of a step file's arrays (docs/checkpoint-format.md)."""
    found = []
    file.visititems(lambda path, item: found.append((path, item)))
    arrays = [one for one in found if isinstance(one[1], h5py.Dataset)]
    whole = b""
    for path, data in sorted(arrays, key=lambda one: one[0].encode()):
        if path.startswith("timing/"):
            continue
        tag = {"i": "i", "f": "d", "O": "s"}[data.dtype.kind]
        head = [len(path.encode())], path.encode() + tag.encode(), [len(data.shape), *data.shape]
        for part in head:
            whole += part if isinstance(part, bytes) else struct.pack(f"<{len(part)}q", *part)
        values = [data[()]] if data.shape == () else list(data[()].ravel())
        for one in values:
            text = bytes(one) if tag == "s" else struct.pack("<q" if tag == "i" else "<d", one)
            whole += (struct.pack("<q", len(text)) if tag == "s" else b"") + text
    return hashlib.sha256(whole).hexdigest()


def change_real(path, name, number):
    """Another number in a step file, which stays valid."""
    with h5py.File(path, "r+") as file:
        file[name][()] = number
        file.attrs["digest"] = digest(file)
    seal(path)


class Replays(ProgramTest):
    def write_http_job(self, server, **backend):
        self.write_job(
            train={"steps": 2, "batch_size": 8, "candidates": 4},
            backend={"kind": "http", "endpoints": f"http://127.0.0.1:{server.port}", **backend},
        )

    def replay(self, *sets, run="again", of="nav", ranks=ALONE, **options):
        words = [word for one in sets for word in ("--set", one)]
        return self.dln("train", "job.json", "--set", f"/run_dir={run}", "--replay", of, *words,
                        ranks=ranks, **options)  # fmt: skip

    def expect_replay(self, run, *sets, of="nav", **options):
        result = self.replay(*sets, run=run, of=of, **options)
        self.assertEqual(result.code, 0, result)
        self.expect_same_run(run, of)
        return result

    def journal_lines(self, run="nav"):
        """(file, index of the line, line) of all lines."""
        found = []
        for path in sorted((self.dir / run / "journal").glob("*.jsonl")):
            found += [(path, i, line) for i, line in enumerate(path.read_bytes().split(b"\n")[:-1])]
        return found

    def delete_line(self, path, index):
        lines = path.read_bytes().split(b"\n")
        del lines[index]
        path.write_bytes(b"\n".join(lines))


class Replay(Replays):
    def test_replay_without_a_server_gives_the_same_run_on_any_number_of_ranks(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train(run="nav", ranks=2)
        # Ranks may have asked the same.
        held = len({json.loads(line)["key"] for _, _, line in self.journal_lines()})
        for ranks in (ALONE, 1, 2, 3):
            with self.subTest(ranks=ranks):
                result = self.expect_replay(f"on-{ranks}", ranks=ranks)
                self.assertIn(f"journal: {held} replies are held", result.out)
                recalled = self.result_json(f"on-{ranks}")["measured"]["recalled"]
                self.assertIn(f"journal: {recalled} replies were held already", result.out)
                self.assertGreater(recalled, 100)
                self.assertEqual(self.journal_lines(f"on-{ranks}"), [])

    def test_each_dialect_is_replayed(self):
        for flavour, dialect in (("sglang", "sglang"), ("tgi", "tgi"), ("together", "together"),
                                 ("llama-server", "llama-server")):  # fmt: skip
            with self.subTest(dialect=dialect):
                with FakeServer("--flavour", flavour) as server:
                    self.write_http_job(server, dialect=dialect)
                    self.train(run=dialect, ranks=2)
                self.expect_replay(f"{dialect}-again", of=dialect, ranks=2)

    def test_run_that_was_killed_and_resumed_is_replayed(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train_until("step.after_close:2", run="nav", ranks=2)
            resumed = self.train(run="nav", ranks=3)
        self.assertRegex(resumed.out, "journal: [0-9,]+ replies are held")
        self.expect_replay("again", ranks=2)

    def test_calls_that_came_to_nothing_do_so_again(self):
        with FakeServer() as server:
            self.write_http_job(server, prompts_a_call=1)
            self.write_data(train=40)  # no call occurs twice, to fail once and to succeed once
            server.post("/faults", {"faults": [f"400@{n}" for n in range(150, 400, 50)]})
            self.train(run="nav", ranks=2)
        failures = sum(value(path, "step/failures") for path in step_paths(self.dir / "nav")[1:])
        self.assertGreater(failures, 0)
        self.expect_replay("again", ranks=3)

    def test_noise_floor_is_that_of_the_run(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train("/train/steps=1", run="nav")
        first = step_paths(self.dir / "nav")[0]
        change_real(first, "state/noise_floor", 100.0)
        result = self.replay("/train/steps=1")
        self.assertEqual(result.code, 0, result)
        for path in step_paths(self.dir / "again"):
            self.assertEqual(value(path, "state/noise_floor"), 100.0)
        self.assertIn("kept at", result.out, "no candidate is better by 100 nats")

    def test_missing_reply_ends_the_replay_with_the_step_and_the_call(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train(run="nav")
            before = server.stats()
            scored = [one for one in self.journal_lines() if b"choices" in one[2]]
            path, index, _ = scored[-1]  # behind it may stand look-ups
            self.delete_line(path, index)
            for ranks in (ALONE, 3):
                with self.subTest(ranks=ranks):
                    result = self.replay(run=f"on-{ranks}", ranks=ranks)
                    self.expect_message(result, 3, "test after step 2", "/v1/completions", "nav",
                                        "Nothing was sent", "the job and the program")  # fmt: skip
            lines = self.journal_lines()
            for path, index, _ in lines[len(lines) // 2 :: -1]:
                self.delete_line(path, index)
            self.expect_message(self.replay(run="third", ranks=2), 3, "step", "nav")
            after = server.stats()
            self.assertEqual(after["requests"], before["requests"])
            self.assertEqual(after["connections_opened"], before["connections_opened"] + 1, "ours")

    def test_other_job_misses(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train(run="nav")
        result = self.replay("/seed=8")
        self.expect_message(result, 3, "step 1", "the job and the program")
        self.assertFalse((self.dir / "again/result.json").exists())

    def test_stopped_replay_goes_on(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train(run="nav")
        result = self.replay("/budget/requests=60")
        self.assertEqual(result.code, 4, result)
        self.expect_replay("again", ranks=2)

    def test_no_key_is_needed_or_kept(self):
        key = "sk-canary-3b1f9a7c5d2e4680"
        with FakeServer("--api-key-env", "THE_KEY", env={"THE_KEY": key}) as server:
            endpoint = {"address": f"http://127.0.0.1:{server.port}", "key_env": "THE_KEY"}
            self.write_http_job(server, endpoints=[endpoint])
            self.train(run="nav", env={"THE_KEY": key})
        self.expect_replay("again", env={"THE_KEY": None})
        for path in self.dir.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"canary", path.read_bytes(), path)


class Refusals(Replays):
    def test_replay_of_what_is_no_such_run_is_refused(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train("/train/steps=0", run="nav")
        self.expect_message(self.replay(of="nothing"), 2, "--replay nothing", "there is no run")
        self.expect_message(self.replay(run="nav"), 2, "--replay nav", "own run_dir")
        (self.dir / "nav/server.json").unlink()
        self.expect_message(self.replay(), 2, "--replay nav", "there is no server.json")
        self.assertFalse((self.dir / "again").exists())

    def test_backends_that_compute_are_not_replayed(self):
        self.write_job()
        self.train(run="nav")
        self.expect_message(self.replay(), 2, "--replay nav", "/backend/kind")

    def test_run_without_step_files_has_no_noise_floor(self):
        with FakeServer() as server:
            self.write_http_job(server)
            self.train("/train/steps=0", run="nav")
        shutil.rmtree(self.dir / "nav/steps")
        self.expect_message(self.replay(), 2, "--replay nav", "noise floor")
