"""What the tests of tools/get-data share: the tool, run on small files in a temporary directory."""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
import task_sources
from dln_program import ProgramTest, Result, environment_with

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ("train", "dev", "test")
SMALL = ("--train", 24, "--dev", 12, "--test", 18)


class GetDataTest(ProgramTest):
    def get_data(self, *arguments, env=None):
        done = subprocess.run(
            ["timeout", "-k", "5", "60", sys.executable, "-B", ROOT / "tools/get-data", *map(str, arguments)],
            cwd=self.dir,
            env=environment_with({"no_proxy": "127.0.0.1", **(env or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        self.assertNotIn(result.code, (124, 137), str(result))
        return result

    def get(self, task, *arguments, **options):
        """Data in data/TASK from files that are no published ones; fails when the tool does."""
        result = self.get_data(task, "--unverified", "--out", "data", *arguments, **options)
        self.assertEqual(result.code, 0, str(result))
        return result

    def write_public(self, task):
        """The task's sources; returns their names."""
        for name, content in task_sources.public_files(task).items():
            self.write(f"sources/{task}/{name}", content)
        return [f"sources/{task}/{name}" for name in task_sources.public_files(task)]

    def part(self, task, name):
        path = self.dir / "data" / task / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().split("\n") if line]

    def parts(self, task):
        return {name: self.part(task, name) for name in PARTS}

    def examples_of(self, task):
        """All examples as {input: target}."""
        return {one["input"]: one["target"] for name in PARTS for one in self.part(task, name)}

    def expect_refused(self, result, *fragments):
        """Exit code 2, one message with all fragments, and nothing written."""
        self.assertEqual(result.code, 2, str(result))
        self.assertTrue(result.err.startswith("tools/get-data: error: "), str(result))
        self.assertEqual(result.err.count("error:"), 1, str(result))
        for fragment in fragments:
            self.assertIn(fragment, result.err)
        left = list((self.dir / "data").glob("*")) if (self.dir / "data").exists() else []
        self.assertEqual([path for path in left if path.name.startswith(".")], [], "nothing stays half-made")
