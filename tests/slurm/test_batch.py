"""dln-batch and the scripts that end with it, without Slurm: programs of the test stand for mpirun, scontrol,
srun and dln, and say how they were called."""

import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from slurm_job import ProgramTest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "slurm"
ALLOCATION = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NAME": "test",
    "SLURM_JOB_PARTITION": "main",
    "SLURM_NTASKS": "4",
    "SLURM_TASKS_PER_NODE": "4",
}
SAY = '#!/bin/sh\nprintf "%s:" "${0##*/}"; printf " <%s>" "$@"; echo\n'


class BatchTest(ProgramTest):
    def setUp(self):
        super().setUp()
        for name in ("mpirun", "srun", "scontrol", "dln"):
            self.program(name, SAY)
        self.program("squeue", "#!/bin/sh\necho 1:00:00\n")
        shutil.copy(SCRIPTS / "dln-batch", self.dir / "bin")
        self.write("job.json", {})

    def program(self, name, script):
        self.write(f"bin/{name}", script).chmod(0o755)

    def environment(self, **changes):
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        kept |= {"PATH": f"{self.dir}/bin:/usr/bin:/bin"} | ALLOCATION | changes
        return {name: value for name, value in kept.items() if value is not None}

    def run_script(self, script, *arguments, **changes):
        done = subprocess.run(
            ["timeout", "60", "bash", SCRIPTS / script, *arguments],
            cwd=self.dir,
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            check=False,
        )
        self.said = done.stdout + done.stderr
        return done.returncode

    def expect_refused(self, fragments, script, *arguments, **changes):
        """Exit code 2 and one error, before anything was started."""
        self.assertEqual(self.run_script(script, *arguments, **changes), 2, self.said)
        self.assertEqual(self.said.count("error: "), 1, self.said)
        for fragment in fragments:
            self.assertIn(fragment, self.said)
        for program in ("mpirun", "srun", "scontrol"):
            self.assertNotIn(f"{program}: <", self.said)


class Refusals(BatchTest):
    def test_outside_slurm(self):
        fragments = ["no Slurm job", "sbatch slurm/train.sbatch JOB"]
        self.expect_refused(fragments, "train.sbatch", "job.json", SLURM_JOB_ID=None)

    def test_missing_partition(self):
        fragments = ["no partition", "sbatch --partition=NAME"]
        self.expect_refused(fragments, "train.sbatch", "job.json", SLURM_JOB_PARTITION=None)

    def test_missing_number_of_ranks(self):
        self.expect_refused(["number of ranks", "--ntasks=N"], "train.sbatch", "job.json", SLURM_NTASKS=None)

    def test_missing_job(self):
        self.expect_refused(["no job file is named"], "train.sbatch")
        self.expect_refused(['"other.json" cannot be read in'], "train.sbatch", "other.json")
        self.expect_refused(["stand before the script"], "train.sbatch", "--time=1:00:00", "job.json")

    def test_missing_programs(self):
        (self.dir / "bin/mpirun").unlink()
        path = f"{self.dir}/bin"
        self.program("bash", f"#!/bin/sh\nexec {shutil.which('bash')} \"$@\"\n")
        for name in ("env", "nproc", "timeout"):
            (self.dir / "bin" / name).symlink_to(shutil.which(name))
        self.expect_refused(['no program "mpirun"', "module"], "train.sbatch", "job.json", PATH=path)
        (self.dir / "bin/dln").unlink()
        self.expect_refused(['no program "dln"', "export PATH"], "train.sbatch", "job.json", PATH=path)
        (self.dir / "bin/dln-batch").unlink()
        for script, arguments in (
            ("train.sbatch", ["job.json"]),
            ("serve-and-train.sbatch", ["server.bash", "job.json"]),
            ("sweep.sbatch", ["job.json"]),
            ("sweep-run.sbatch", ["job.json"]),
        ):
            fragments = ["dln-batch is not on PATH", "export PATH"]
            self.expect_refused(fragments, script, *arguments, PATH=path, SLURM_ARRAY_TASK_ID="0")

    def test_wrong_settings(self):
        train = ("train.sbatch", "job.json")
        self.expect_refused(["DLN_LAUNCHER", "Expected mpirun or srun"], *train, DLN_LAUNCHER="x")
        for name in ("DLN_MAX_RESTARTS", "DLN_MIN_SECONDS"):
            self.expect_refused([name, '"a[$(touch x)]"'], *train, **{name: "a[$(touch x)]"})
        self.assertFalse((self.dir / "x").exists(), "evaluated")

    def test_sweep_without_array_or_file(self):
        self.expect_refused(["no array", "--array=0-99%8", "slurm/sweep-run.sbatch"], "sweep.sbatch", "job.json")
        self.expect_refused(["no sweep file is named"], "sweep-run.sbatch")
        self.expect_refused(['sweep file "x" cannot be read'], "sweep-run.sbatch", "x")
        self.expect_refused(["no sweep file"], "sweep.sbatch", SLURM_ARRAY_TASK_ID="0")
        self.expect_refused(['sweep file "x" cannot be read'], "sweep.sbatch", "x", SLURM_ARRAY_TASK_ID="0")

    def test_wrong_server_file(self):
        script = "serve-and-train.sbatch"
        self.expect_refused(["no server file"], script)
        self.expect_refused(['server file "server.bash" cannot be read'], script, "server.bash", "job.json")
        for text, fragment in (
            ("server_command='vllm serve'", "Expected a bash array"),
            ("server_command=()", "sets no server_command"),
            ("server_command=(no-such-server)", '"no-such-server", which is not on PATH'),
            ("server_command=(sh)\nserver_wait_seconds=long", 'server_wait_seconds is "long"'),
        ):
            self.write("server.bash", text)
            self.expect_refused([fragment], script, "server.bash", "job.json")


class Calls(BatchTest):
    def test_arguments_reach_dln_as_they_are(self):
        words = ["--set", "/name=a b $(touch x) ; touch x", "--set", "*", "", "-n"]
        self.assertEqual(self.run_script("train.sbatch", "job.json", *words), 0, self.said)
        quoted = " ".join(f"<{word}>" for word in ["-n", "4", "dln", "train", "job.json", *words])
        self.assertIn(f"mpirun: {quoted}\n", self.said)
        self.assertFalse((self.dir / "x").exists(), "evaluated")

    def test_srun_starts_ranks_by_pmix(self):
        self.assertEqual(self.run_script("train.sbatch", "job.json", DLN_LAUNCHER="srun"), 0, self.said)
        self.assertIn("srun: <--mpi=pmix>", self.said)
        self.assertIn("<--ntasks=4> <dln> <train> <job.json>", self.said)

    def test_trial_of_a_sweep_is_the_task_of_the_array(self):
        code = self.run_script("sweep.sbatch", "job.json", "--x", SLURM_ARRAY_TASK_ID="12")
        self.assertEqual(code, 0, self.said)
        self.assertIn("<dln> <sweep> <trial> <job.json> <12> <--x>", self.said)

    def test_sweep_in_one_job_has_all_ranks(self):
        self.assertEqual(self.run_script("sweep-run.sbatch", "job.json", "--group-size", "2"), 0, self.said)
        self.assertIn("<-n> <4> <dln> <sweep> <run> <job.json> <--group-size> <2>", self.said)

    def test_open_mpi_gets_what_it_needs_and_keeps_what_was_set(self):
        names = ["mpi_yield_when_idle", "rmaps_base_oversubscribe", "hwloc_base_binding_policy"]
        show = 'echo "$0: ' + " ".join(f"[${{OMPI_MCA_{name}-}}]" for name in names) + '"\n'
        self.program("mpirun", "#!/bin/sh\n" + show)
        self.run_script("train.sbatch", "job.json", SLURM_TASKS_PER_NODE="4000(x2)")
        self.assertIn("mpirun: [1] [1] [none]", self.said)
        self.run_script("train.sbatch", "job.json", SLURM_TASKS_PER_NODE="1(x2),2")
        self.assertIn("mpirun: [1] [] []", self.said)
        self.run_script("train.sbatch", "job.json", OMPI_MCA_mpi_yield_when_idle="0", SLURM_TASKS_PER_NODE="1")
        self.assertIn("mpirun: [0] [] []", self.said)

    def test_open_mpi_has_a_directory_of_this_job_that_is_gone_afterwards(self):
        show = 'mkdir "$OMPI_MCA_orte_tmpdir_base" && echo "$0: [$OMPI_MCA_orte_tmpdir_base]"\n'
        self.program("mpirun", "#!/bin/sh\n" + show)
        self.run_script("train.sbatch", "job.json", TMPDIR=str(self.dir))
        place = f"{self.dir}/dln-{os.getuid()}-{ALLOCATION['SLURM_JOB_ID']}"
        self.assertIn(f"mpirun: [{place}]", self.said)
        self.assertFalse(os.path.exists(place))
        self.run_script("train.sbatch", "job.json", OMPI_MCA_orte_tmpdir_base=f"{self.dir}/own")
        self.assertTrue((self.dir / "own").exists(), "what was set is kept")

    def test_missing_time_limit_is_told_of(self):
        self.assertEqual(self.run_script("train.sbatch", "job.json"), 0, self.said)
        self.assertNotIn("time limit", self.said)
        self.program("squeue", "#!/bin/sh\necho UNLIMITED\n")
        self.assertEqual(self.run_script("train.sbatch", "job.json"), 0, self.said)
        self.assertIn("no time limit", self.said)

    def test_exit_code_is_that_of_dln(self):
        for code in (0, 1, 4, 5):
            self.program("mpirun", f"#!/bin/sh\nexit {code}\n")
            self.assertEqual(self.run_script("train.sbatch", "job.json"), code, self.said)
            self.assertNotIn("scontrol: ", self.said)


class Requeueing(BatchTest):
    """mpirun here stops cleanly."""

    def setUp(self):
        super().setUp()
        self.program("mpirun", "#!/bin/sh\nexit 75\n")

    def expect_stopped(self, *fragments, put_back, **changes):
        self.assertEqual(self.run_script("train.sbatch", "job.json", **changes), 75, self.said)
        for fragment in fragments:
            self.assertIn(fragment, self.said)
        if put_back:
            self.assertIn(f"scontrol: <requeue> <{put_back}>\n", self.said)
        else:
            self.assertNotIn("scontrol: ", self.said)

    def test_stopped_job_is_put_back(self):
        self.expect_stopped("restart 1 of at most 20", put_back="7")

    def test_task_of_an_array_is_put_back_alone(self):
        self.expect_stopped(put_back="6_3", SLURM_ARRAY_JOB_ID="6", SLURM_ARRAY_TASK_ID="3")

    def test_bound_of_restarts_holds(self):
        bound = {"DLN_MAX_RESTARTS": "2"}
        self.expect_stopped("restart 2 of at most 2", put_back="7", SLURM_RESTART_COUNT="1", **bound)
        self.expect_stopped("restarted 2 times already", put_back="", SLURM_RESTART_COUNT="2", **bound)
        self.expect_stopped("restarted 0 times already", put_back="", DLN_MAX_RESTARTS="0")

    def test_site_that_forbids_it_is_told_of(self):
        self.program("scontrol", "#!/bin/sh\necho disabled; exit 1\n")
        self.expect_stopped("could not put the job back", "The same sbatch command goes on", put_back="")


class Signals(BatchTest):
    """mpirun here is a process that says which signals it gets."""

    LISTENER = """#!/bin/bash
trap 'sleep 0.3; echo "mpirun: saved"; exit 75' USR1
trap 'echo "mpirun: TERM"' TERM
echo "mpirun: listening"
while :; do sleep 0.05; done
"""

    def start(self, listener, **changes):
        self.program("mpirun", listener)
        process = subprocess.Popen(
            ["timeout", "--foreground", "60", "bash", SCRIPTS / "train.sbatch", "job.json"],
            cwd=self.dir,
            env=self.environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for line in process.stdout:
            if line == "mpirun: listening\n":
                return process, int(children_of(process.pid)[0])
        self.fail("mpirun was not started")

    def test_warning_is_passed_on_and_the_exit_code_kept(self):
        process, script = self.start(self.LISTENER, DLN_MIN_SECONDS="0")
        os.kill(script, signal.SIGUSR1)
        said = process.stdout.read()
        self.assertEqual(process.wait(), 75, said)
        self.assertRegex(said, "(?s)mpirun: saved.*scontrol: <requeue> <7>")

    def test_warning_that_comes_too_soon_is_no_reason_to_go_on(self):
        process, script = self.start(self.LISTENER)
        os.kill(script, signal.SIGUSR1)
        said = process.stdout.read()
        self.assertEqual(process.wait(), 75, said)
        self.assertIn("leaves no time to train", said)
        self.assertNotIn("scontrol: ", said)

    def test_ranks_that_die_of_the_warning_count_as_stopped(self):
        deaf = "#!/bin/bash\necho mpirun: listening\nexec sleep 60\n"
        process, script = self.start(deaf, DLN_MIN_SECONDS="0")
        os.kill(script, signal.SIGUSR1)
        said = process.stdout.read()
        self.assertEqual(process.wait(), 75, said)
        self.assertIn("scontrol: <requeue> <7>", said)

    def test_ended_job_waits_for_its_ranks_and_is_not_put_back(self):
        process, script = self.start(self.LISTENER.replace("mpirun: TERM\"'", "mpirun: TERM\"; exit 75'"))
        os.kill(script, signal.SIGTERM)
        self.assertIn("SIGTERM", process.stdout.readline())
        os.kill(int(children_of(script)[0]), signal.SIGTERM)  # as Slurm does to all processes
        said = process.stdout.read()
        self.assertEqual(process.wait(), 75, said)
        self.assertIn("The same sbatch command goes on", said)
        self.assertNotIn("scontrol: ", said)


class Style(unittest.TestCase):
    def test_shellcheck_finds_nothing(self):
        if shutil.which("shellcheck") is None:
            raise unittest.SkipTest("no shellcheck on this machine")
        scripts = [path for path in SCRIPTS.iterdir() if path.is_file()]
        done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


def children_of(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
