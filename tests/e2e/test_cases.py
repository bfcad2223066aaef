"""Every folder of cases/ is a job with its data and scripted replies, and what training it must give.

expected.json holds any part of what `outcome` below returns; numbers are equal to 1e-6. To add a case, add
a folder: think what the replies imply, write that down, and run it.
"""

import json
import pathlib
import shutil
import unittest

from dln_program import ALONE, ProgramTest, step_paths, value

CASES = pathlib.Path(__file__).parent / "cases"


def texts(path, name):
    return [one.decode() for one in value(path, name)]


def step_outcome(path):
    batch, ranked_on = value(path, "step/batch"), value(path, "step/ranked_on")
    return {
        "chosen": value(path, "step/layers/0/chosen"),
        "prompts": texts(path, "step/layers/0/candidates/prompt"),
        "templates": value(path, "step/layers/0/candidates/template"),
        "origins": texts(path, "step/layers/0/candidates/origin"),
        "means": value(path, "step/layers/0/candidates/mean"),
        "scored": value(path, "step/layers/0/candidates/scored"),
        "forward_right": value(path, "step/forward_right"),
        "replies": texts(path, "step/layers/0/proposals/reply"),
        "distinct_examples": len(set(batch)),
        "held_out": ranked_on == batch[len(batch) // 2 :],
    }


def outcome(run):
    paths = step_paths(run)
    steps = paths[1:]
    return {
        "prompts": json.loads((run / "prompts.json").read_text())["layers"],
        "result": json.loads((run / "result.json").read_text()),
        "steps": [step_outcome(path) for path in steps],
        "current": texts(paths[-1], "state/current/prompt"),
        "distinct_examples": len({i for path in steps for i in value(path, "step/batch")}),
    }


class Cases(ProgramTest):
    def expect_within(self, expected, actual, place):
        """`expected` is a part of `actual`: objects may have more fields, lists may not have more entries."""
        if isinstance(expected, dict):
            for name, part in expected.items():
                self.assertIn(name, actual, place)
                self.expect_within(part, actual[name], f"{place}/{name}")
        elif isinstance(expected, list):
            self.assertEqual(len(expected), len(actual), f"{place}: {actual}")
            for i, part in enumerate(expected):
                self.expect_within(part, actual[i], f"{place}/{i}")
        elif isinstance(expected, float) or isinstance(actual, float):
            self.assertAlmostEqual(expected, actual, delta=1e-6, msg=place)
        else:
            self.assertEqual(expected, actual, place)

    def expect_case(self, case, ranks):
        shutil.copytree(case, self.dir, dirs_exist_ok=True)
        self.train(ranks=ranks)
        expected = json.loads((case / "expected.json").read_text())
        self.expect_within(expected, outcome(self.dir / "run"), case.name)


def add_case(case):
    for ranks in (ALONE, 3):
        name = f"test_{case.name}_on_{ranks}_ranks" if ranks else f"test_{case.name}_without_mpirun"
        setattr(Cases, name, lambda self, ranks=ranks: self.expect_case(case, ranks))


for folder in sorted(CASES.iterdir()):
    add_case(folder)


if __name__ == "__main__":
    unittest.main()
