"""slurm/sweep.sbatch and sweep-run.sbatch on a real cluster: each task of an array is a trial of its own, or one job
runs them all.

Where one trial must run for longer than the others, which a sweep's steps do not allow, a script stands for
`dln sweep trial`: trial I is the job with the seed I.
"""

import json

from slurm_job import NEVER, PROGRAM, SlurmTest

TRIAL = f"""#!/bin/sh
[ "$1 $2 $3" = "sweep trial sweep.json" ] || exit 2
while [ -n "$SLURM_RESTART_COUNT" ] && [ ! -e go ]; do sleep 0.1; done
exec {PROGRAM} train job.json --set "/seed=$4" --set "/run_dir=run-$4" --set "/train/steps=$(cat "steps-$4")"
"""


class Sweep(SlurmTest):
    def test_each_task_of_an_array_runs_its_trial(self):
        self.write_data()
        self.write_steps(3)
        space = [{"pointer": "/train/candidates", "values": [3, 4]}]
        self.write("sweep.json", {"job": "job.json", "space": space, "seeds": [1, 2], "runs_dir": "runs"})
        array = self.submit("sweep.sbatch", "sweep.json", options=("--array=0-3", "--ntasks=2"))
        for trial in range(4):
            self.expect_completed(f"{array}_{trial}")
        for trial in range(4):
            configuration = trial // 2
            changed = (f"/train/candidates={3 + configuration}", f"/seed={1 + trial % 2}",
                       f"/name=sweep-{configuration}")  # fmt: skip
            self.train(*changed, run=f"whole-{trial}")
            self.expect_same_run(f"runs/00000{trial}", f"whole-{trial}")
        self.assertRegex(self.succeed("sweep", "status", "sweep.json").out, r"\b4  finished")


    def test_one_job_runs_them_all_and_decides_by_results(self):
        self.write_data()
        self.write_steps(3)
        space = [{"pointer": "/train/proposals/temperature", "min": 0.1, "max": 1}]
        halving = {"most_steps": 2, "reduction": 2}
        sweep = {"job": "job.json", "space": space, "method": "asha", "configurations": 4, "halving": halving}
        self.write("sweep.json", {**sweep, "runs_dir": "runs"})
        job = self.submit("sweep-run.sbatch", "sweep.json", options=("--nodes=2", "--ntasks=4"))
        self.expect_completed(job)
        (rungs,) = json.loads(self.succeed("sweep", "status", "sweep.json", "--json").out)["brackets"]
        self.assertEqual([rung["observed"] for rung in rungs], [4, 2])


class Array(SlurmTest):
    def setUp(self):
        super().setUp()
        self.write_data()
        self.write_steps(3)
        self.write("sweep.json", {})
        self.put_on_path("dln", TRIAL)

    def begin(self, steps):
        for trial, number in enumerate(steps):
            self.write(f"steps-{trial}", str(number))
        options = ("--array=0-3", "--ntasks=2")
        return self.submit("sweep.sbatch", "sweep.json", options=options, env={"DLN_MIN_SECONDS": "0"})

    def log_of(self, array, trial):
        path = self.dir / f"dln-sweep-{array}_{trial}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def expect_trial(self, array, trial, steps, restarts=0):
        self.expect_completed(f"{array}_{trial}", restarts)
        self.train(f"/seed={trial}", f"/train/steps={steps}", run=f"whole-{trial}")
        self.expect_same_run(f"run-{trial}", f"whole-{trial}")

    def test_four_trials_and_a_warned_one_goes_on_without_disturbing_the_others(self):
        """The last task has the number of the whole array, so that it could put all of it back."""
        array = self.begin([3, 3, 3, NEVER])
        for trial in range(3):
            self.expect_trial(array, trial, steps=3)
        self.wait_for_steps(3, run="run-3")
        self.run_slurm("scancel", "--batch", "--signal=USR1", f"{array}_3")
        self.wait_until(lambda: "start 2, " in self.log_of(array, 3), "trial 3 starts again")
        steps = self.steps_done("run-3") + 2
        self.write("steps-3", str(steps))
        self.write("go", "")
        self.expect_trial(array, 3, steps, restarts=1)
        for trial in range(3):
            self.assertNotIn("start 2, ", self.log_of(array, trial))
