"""Step files of every released format: read by later programs, and gone on from."""

import pathlib
import shutil

import h5py

from dln_program import ALONE, ProgramTest, read_step, seal, step_paths, value

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
# By format, the digest of the step file's content when it was written.
RELEASED = {3: "7aaf67ff8565ce2ae74b66dc21f31eb54fc9a55c2cc474bd8dc5a00b4dce26ed"}


def change_attribute(path, name, content):
    with h5py.File(path, "r+") as file:
        kind = file.attrs.get_id(name).dtype
        file.attrs.create(name, content, dtype=kind)
    seal(path)


class Released(ProgramTest):
    def of_format(self, version):
        """A run that was killed after step 2 by this program, whose newest step file is one of that format."""
        fixture = FIXTURES / f"step-format-{version}"
        for file in fixture.iterdir():
            shutil.copy(file, self.dir)
        self.train_until("step_end:2")
        newest = step_paths(self.dir / "run")[-1]
        shutil.rmtree(newest.parent)
        newest.parent.mkdir()
        shutil.copy(fixture / newest.name, newest)
        # A new field changes the identity of jobs, and with it which runs go on, but not the format.
        change_attribute(newest, "job_hash", (self.dir / "run/job.hash").read_text().strip())
        return newest

    def test_step_file_is_read(self):
        for version, digest in RELEASED.items():
            with self.subTest(format=version):
                path = FIXTURES / f"step-format-{version}" / "000002.h5"
                self.assertEqual(value_of(path, "format_version"), version)
                self.assertIn(digest[:12], self.succeed("inspect", path).out)
                self.assertEqual(value_of(path, "digest"), digest)

    def test_run_goes_on_from_it(self):
        for version in RELEASED:
            for ranks in (ALONE, 2):
                with self.subTest(format=version, ranks=ranks):
                    newest = self.of_format(version)
                    incumbent = value(newest, "state/current/prompt")
                    result = self.train(ranks=ranks)
                    self.assertIn("resumed after step 2 of 4", result.out)
                    after = step_paths(self.dir / "run")
                    self.assertEqual([p.name for p in after], ["000002.h5", "000003.h5", "000004.h5"])
                    self.assertEqual(value(after[1], "step/layers/0/candidates/prompt")[:1], incumbent)
                    shutil.rmtree(self.dir / "run")

    def test_other_formats_are_refused_with_both_versions_and_the_program(self):
        for version in (1, 2, 4):
            for ranks in (ALONE, 2):
                with self.subTest(format=version, ranks=ranks):
                    newest = self.of_format(3)
                    change_attribute(newest, "format_version", version)
                    before = newest.read_bytes()
                    result = self.dln("train", "job.json", ranks=ranks)
                    self.expect_message(result, 5, newest.name, f"checkpoint format {version}",
                                        "reads 3", "written by dln ", "continue the run with that version")  # fmt: skip
                    self.assertEqual(newest.read_bytes(), before)
                    shutil.rmtree(self.dir / "run")


def value_of(path, attribute):
    header, _ = read_step(path)
    content = header[attribute]
    return content.decode() if isinstance(content, bytes) else content
