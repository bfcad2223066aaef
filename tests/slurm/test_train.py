"""slurm/train.sbatch on a real cluster: runs to the end, and what interrupts a run loses nothing."""

from slurm_job import FakeServer, SlurmTest

SRUN = {"DLN_LAUNCHER": "srun"}
TWO_NODES = ("--nodes=2", "--ntasks=4", "--ntasks-per-node=2")


class Complete(SlurmTest):
    def test_mpirun_and_srun_train_on_two_nodes_with_the_result_of_one_process(self):
        self.write_data()
        self.write_steps(4)
        launch = ("train.sbatch", "job.json", "--set")
        mpirun = self.submit(*launch, "/run_dir=run", options=TWO_NODES)
        srun = self.submit(*launch, "/run_dir=by srun", options=TWO_NODES, env=SRUN)
        self.train(run="whole")
        for number, run in ((mpirun, "run"), (srun, "by srun")):
            self.expect_completed(number)
            self.assertIn("on 4 ranks", self.log(number))
            self.expect_same_run(run, "whole")

    def test_job_that_depends_on_another_runs_after_it(self):
        self.write_data()
        self.write_steps(4)
        first = self.submit("train.sbatch", "job.json")
        second = self.submit("train.sbatch", "job.json", options=(f"--dependency=afterok:{first}",))
        self.expect_completed(first)
        self.expect_completed(second)
        self.assertIn("complete after 4 steps", self.log(second))

    def test_failure_is_the_jobs_failure(self):
        self.write_data()
        self.write("job.json", {"seed": "one"})
        number = self.submit("train.sbatch", "job.json", options=("--ntasks=1", "--time=UNLIMITED"))
        self.wait_for_end(number)
        self.assertIn("no time limit", self.log(number))
        self.assertEqual(self.state(number), "FAILED")
        self.assertEqual(self.field(number, "ExitCode"), "2:0")


class Endless(SlurmTest):
    """Runs of a job that never end by themselves are interrupted, are given an end, and go on."""

    def begin(self, run="run", options=("--ntasks=2",), env=None):
        arguments = ("job.json", "--set", f"/run_dir={run}")
        env = {"DLN_MIN_SECONDS": "0"} | (env or {})
        return self.submit("train.sbatch", *arguments, options=options, env=env)

    def warn(self, number):
        """What --signal=B:USR1@... does near the limit."""
        self.run_slurm("scancel", "--batch", "--signal=USR1", number)

    def expect_resumed(self, numbers, **changes):
        """After an interruption: the jobs {run: number} start again, and their runs end as if nothing had been."""
        for run, number in numbers.items():
            self.wait_until(lambda job=number: "start 2, " in self.log(job), f"job {number} starts again")
        done = {run: self.steps_done(run) for run in numbers}
        self.let_it_end(max(done.values()) + 2, **changes)
        self.train(run="whole")
        for run, number in numbers.items():
            self.expect_completed(number, restarts=1)
            said = self.log(number)
            self.assertIn("start 1, ", said, "kept by --open-mode=append")
            self.assertGreaterEqual(done[run], 3)
            self.assertIn(f"resumed after step {done[run]}", said)
            self.expect_same_run(run, "whole")


class Interrupted(Endless):
    def setUp(self):
        super().setUp()
        self.write_endless_job()

    def begin_both(self, options=("--ntasks=2",)):
        """A job with mpirun and one with srun."""
        numbers = {
            "by-mpirun": self.begin("by-mpirun", options),
            "by-srun": self.begin("by-srun", env=SRUN),
        }
        for run in numbers:
            self.wait_for_steps(3, run)
        return numbers

    def test_warned_jobs_stop_and_put_themselves_back(self):
        numbers = self.begin_both(TWO_NODES)
        for number in numbers.values():
            self.warn(number)
        self.expect_resumed(numbers)
        for number in numbers.values():
            self.assertRegex(self.log(number), r"stopped \((rank \d+: )?SIGUSR1\) with \d+ of")
            self.assertIn("put back into the queue (restart 1 of at most 20)", self.log(number))

    def test_requeued_jobs_go_on(self):
        numbers = self.begin_both()
        for number in numbers.values():
            self.run_slurm("scontrol", "requeue", number)
        self.expect_resumed(numbers)

    def test_job_that_is_warned_at_once_is_not_put_back_for_ever(self):
        number = self.begin(env={"DLN_MIN_SECONDS": "1000"})
        self.wait_for_steps(1)
        self.warn(number)
        self.wait_for_end(number)
        self.assertEqual(self.field(number, "ExitCode"), "75:0")
        self.assertIn("leaves no time to train", self.log(number))

    def test_job_whose_node_goes_down_goes_on_elsewhere(self):
        number = self.begin()
        self.wait_for_steps(3)
        node = self.field(number, "NodeList")
        change = ("scontrol", "update", f"NodeName={node}", "Reason=test")
        self.addCleanup(self.run_slurm, *change, "State=RESUME", check=False)
        self.run_slurm(*change, "State=DRAIN")  # it takes no other job: its slurmd lives and reports back
        self.run_slurm(*change, "State=DOWN")
        self.expect_resumed({"run": number})
        self.assertNotEqual(self.field(number, "NodeList"), node)

    def test_cancelled_job_goes_on_in_another_one(self):
        # So long (3 s, then as long again) mpirun lets its ranks live.
        number = self.begin(options=TWO_NODES, env={"OMPI_MCA_odls_base_sigkill_timeout": "3"})
        self.wait_for_steps(3)
        self.run_slurm("scancel", number)
        lock = self.dir / "run/lock"
        self.wait_until(lambda: not lock.exists(), "the ranks stop in order, not by SIGKILL")
        self.wait_for_end(number)
        self.assertEqual(self.state(number), "CANCELLED")
        done = self.steps_done()
        self.let_it_end(done + 2)
        again = self.begin(options=("--ntasks=3",))
        self.expect_completed(again)
        self.assertIn(f"resumed after step {done}", self.log(again))
        self.train(run="whole")
        self.expect_same_run("run", "whole")


class TimeLimit(Endless):
    """Slurm's own limit of a minute. It looks at limits every half minute only: the run must last so long."""

    def test_job_near_its_limit_stops_and_goes_on_after_it(self):
        options = ("--ntasks=2", "--time=1", "--signal=B:USR1@30")
        with FakeServer() as server:
            endpoint = {"address": f"http://127.0.0.1:{server.port}"}
            changes = {"backend": {"kind": "http", "endpoints": [endpoint]}}
            self.write_endless_job(**changes)
            number = self.begin(options=options)
            self.wait_for_steps(3)
            server.post("/faults", {"faults": ["slow:1:2"]})  # ms for each byte of a reply
            self.wait_until(lambda: "asking dln to stop in order" in self.log(number), "Slurm's warning")
            server.post("/faults", {"faults": []})
            self.expect_resumed({"run": number}, **changes)
