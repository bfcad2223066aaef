"""What the end-to-end tests share: the program, run on ranks in a temporary directory, and what a run leaves.

CTest sets the environment (tests/e2e/CMakeLists.txt): DLN_PROGRAM is the program under test, DLN_MPIRUN
starts it on ranks, and the OMPI_* variables let more ranks than cores run, also as root.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import h5py

PROGRAM = os.environ["DLN_PROGRAM"]
MPIRUN = os.environ.get("DLN_MPIRUN", "mpirun")
ALONE = 0  # ranks: started without mpirun

# Everything below 0x20 but line ends, DEL, and the C1 controls as UTF-8: what a terminal might obey.
CONTROLS = [bytes([c]) for c in range(0x20) if c != 0x0A] + [b"\x7f"]
CONTROLS += [b"\xc2" + bytes([c]) for c in range(0x80, 0xA0)]


class Result:
    """How a program ended and what it said."""

    def __init__(self, code, out, err):
        self.code = code
        self.raw_out = out
        self.raw_err = err
        self.out = out.decode("utf-8", "replace")
        self.err = err.decode("utf-8", "replace")

    def messages(self):
        """The lines on standard error that are dln's and not mpirun's."""
        return [line for line in self.err.splitlines() if line.startswith("dln: ")]

    def __str__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}---"


def command_line(arguments, ranks):
    words = [PROGRAM, *map(str, arguments)]
    return words if ranks == ALONE else [MPIRUN, "--oversubscribe", "-n", str(ranks), *words]


def environment_with(changes):
    environment = dict(os.environ)
    environment.pop("DLN_FAILPOINT", None)
    for name, value in (changes or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = str(value)
    return environment


def killable():
    """Not shared memory between ranks: those that are killed leave their segments in /dev/shm."""
    return {"OMPI_MCA_btl": "tcp,self"}


def job(**changes):
    """A small class job with scripted replies; a change replaces or adds a whole part."""
    parts = {
        "name": "small",
        "seed": 7,
        "run_dir": "run",
        "data": {"train": "train.jsonl", "dev": "dev.jsonl", "test": "test.jsonl"},
        "classes": ["no", "yes"],
        "network": {"layers": [{"prompt": "Is it so?"}]},
        "train": {"steps": 4, "batch_size": 8, "candidates": 5},
        "scoring": {"block": 3},
        "backend": {"kind": "scripted"},
    }
    parts.update(changes)
    return parts


def examples(name, count, targets=("no", "yes")):
    """Different examples with balanced targets."""
    return [
        {"input": f"{name} word {i}", "target": targets[i % len(targets)]} for i in range(count)
    ]


def json_lines(objects):
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)


def snapshot(directory):
    """Every path below `directory` with its bytes and time of change."""
    return {
        str(path.relative_to(directory)): (
            path.read_bytes() if path.is_file() else None,
            path.lstat().st_mtime_ns if path.is_file() else 0,
        )
        for path in sorted(pathlib.Path(directory).rglob("*"))
    }


def bytes_of(path):
    """None without such a file: metrics.jsonl is absent where nothing is evaluated."""
    return path.read_bytes() if path.exists() else None


def text(value):
    """A text of a step file, whichever of its two forms it has."""
    return bytes(value)


def read_step(path):
    """Header and arrays of a step file, outside timing/: {path: (type, shape, values as bytes)}."""
    arrays = {}

    def visit(name, item):
        if not isinstance(item, h5py.Dataset) or name.startswith("timing/"):
            return
        data = item[()]
        if item.dtype.kind == "O":
            values = [text(data)] if item.shape == () else [text(v) for v in data.ravel()]
        else:
            values = data.tobytes()
        arrays[name] = (item.dtype.kind, item.shape, values)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        return dict(file.attrs), arrays


def seal(path):
    """Makes a step file that was changed a sound one (docs/checkpoint-format.md)."""
    data = path.read_bytes()
    text = (
        "dln sealed HDF5 file (HDF5 begins at byte 512)\n"
        f"bytes {len(data) - 512}\nsha256 {hashlib.sha256(data[512:]).hexdigest()}\n"
    )
    path.write_bytes(text.encode().ljust(511) + b"\n" + data[512:])


def step_paths(run):
    return sorted((pathlib.Path(run) / "steps").glob("*.h5"))


def value(path, name):
    """One array of a step file as Python values; texts as bytes."""
    with h5py.File(path, "r") as file:
        data = file[name]
        if data.dtype.kind == "O":
            return text(data[()]) if data.shape == () else [text(v) for v in data[()].ravel()]
        return data[()].tolist()


class ProgramTest(unittest.TestCase):
    """Each test has a directory of its own, `self.dir`, in which the program runs."""

    maxDiff = 4000

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="dln-e2e-")
        self.addCleanup(directory.cleanup)
        self.dir = pathlib.Path(directory.name)

    # Files -----------------------------------------------------------------------------------------

    def write(self, name, content):
        """Writes bytes, text, or anything else as JSON."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content, indent=1)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def write_data(self, train=12, dev=6, test=8, targets=("no", "yes")):
        for name, count in (("train", train), ("dev", dev), ("test", test)):
            self.write(f"{name}.jsonl", json_lines(examples(name, count, targets)))

    def write_job(self, **changes):
        """job.json with its data; returns its name."""
        self.write_data()
        self.write("job.json", job(**changes))
        return "job.json"

    # Running ---------------------------------------------------------------------------------------

    def dln(self, *arguments, ranks=ALONE, env=None, stdin="", timeout=60):
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        done = subprocess.run(
            ["timeout", "-k", "5", str(timeout), *command_line(arguments, ranks)],
            cwd=self.dir,
            env=environment_with(env),
            input=data,
            capture_output=True,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        self.assertNotIn(
            result.code, (124, -9, 137), f"more than {timeout} s, or killed: {arguments}\n{result}"
        )
        return result

    def succeed(self, *arguments, **options):
        result = self.dln(*arguments, **options)
        self.assertEqual(result.code, 0, f"dln {arguments}\n{result}")
        return result

    def train(self, *sets, run="run", job_file="job.json", **options):
        words = [word for one in sets for word in ("--set", one)]
        return self.succeed("train", job_file, "--set", f"/run_dir={run}", *words, **options)

    def train_until(self, failpoint, run="run", ranks=ALONE):
        """Runs until `failpoint` kills the program."""
        done = subprocess.run(
            ["timeout", "-k", "5", "60"]
            + command_line(["train", "job.json", "--set", f"/run_dir={run}"], ranks),
            cwd=self.dir,
            env=environment_with({"DLN_FAILPOINT": failpoint, **killable()}),
            capture_output=True,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        # timeout(1) ends with its child's signal, mpirun with 128 + 9.
        self.assertIn(result.code, (-9, 137), f"not killed at {failpoint}\n{result}")
        return result

    @contextlib.contextmanager
    def training(self, after_lines, run="run", ranks=ALONE):
        """A process (mpirun's, on ranks) that trains and has just reported step `after_lines`."""
        process = subprocess.Popen(
            command_line(["train", "job.json", "--set", f"/run_dir={run}"], ranks),
            cwd=self.dir,
            env=environment_with(killable()),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            seen = 0
            while seen < after_lines:
                line = process.stdout.readline()
                self.assertTrue(line, f"ended after {seen} steps")
                seen += b" candidates, incumbent" in line
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.stdout.close()
            process.wait()

    # Expectations ----------------------------------------------------------------------------------

    def result_json(self, run="run"):
        return json.loads((self.dir / run / "result.json").read_text())

    def outcome_json(self, run="run"):
        """result.json without what differs from one time to the next; None where there is no such file."""
        if not (self.dir / run / "result.json").exists():
            return None
        differs = ("measured", "spent")
        return {name: part for name, part in self.result_json(run).items() if name not in differs}

    def prompts_json(self, run="run"):
        return json.loads((self.dir / run / "prompts.json").read_text())

    def metrics(self, run="run"):
        lines = (self.dir / run / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def expect_same_files(self, run, other, *names):
        for name in names:
            self.assertEqual(bytes_of(self.dir / run / name), bytes_of(self.dir / other / name), name)

    def expect_same_results(self, run, other):
        """Equal byte for byte: prompts and result."""
        self.assertEqual(self.outcome_json(run), self.outcome_json(other), "result.json")
        self.expect_same_files(run, other, "prompts.json", "job.hash")

    def expect_same_run(self, run, other):
        """Equal byte for byte: prompts, result, metrics, and every array of every step outside timing/."""
        self.expect_same_results(run, other)
        self.expect_same_files(run, other, "metrics.jsonl", "LATEST")
        self.expect_same_steps(self.dir / run, self.dir / other)

    def expect_same_steps(self, run, other):
        """Every array of every step outside timing/; of run directories."""
        paths, others = step_paths(run), step_paths(other)
        self.assertEqual([p.name for p in paths], [p.name for p in others])
        self.assertTrue(paths)
        for path, its in zip(paths, others):
            header, arrays = read_step(path)
            its_header, its_arrays = read_step(its)
            for name in sorted(arrays.keys() | its_arrays.keys()):
                self.assertEqual(arrays.get(name), its_arrays.get(name), f"{path.name} {name}")
            self.assertEqual(header, its_header, path.name)

    def expect_message(self, result, code, *fragments):
        """Ended with `code` and one message that has all `fragments`."""
        self.assertEqual(result.code, code, str(result))
        messages = result.messages()
        self.assertEqual(len(messages), 1, f"one message, printed once\n{result}")
        for fragment in fragments:
            self.assertIn(fragment, messages[0])

    def expect_no_controls(self, result):
        for stream in (result.raw_out, result.raw_err):
            found = [control for control in CONTROLS if control in stream]
            self.assertEqual(found, [], f"raw control characters in\n{stream[:2000]!r}")


class EmbeddedTest(ProgramTest):
    """Needs the quick start's model in the cache (tools/setup puts it there); skipped without."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cache = os.environ.get("DLN_CACHE") or pathlib.Path.home() / ".cache/dln"
        cls.model = pathlib.Path(cache) / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
        if not cls.model.is_file():
            raise unittest.SkipTest(f"no model {cls.model}")


def pid_of_rank(launcher, rank, timeout=10):
    """The process that mpirun started as `rank`."""
    wanted = f"OMPI_COMM_WORLD_RANK={rank}".encode()
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for directory in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = (directory / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if int(parent) != launcher:
                    continue
                if wanted in (directory / "environ").read_bytes().split(b"\0"):
                    return int(directory.name)
            except (OSError, IndexError, ValueError):
                continue  # it ended meanwhile
    raise AssertionError(f"no rank {rank} below process {launcher}")
