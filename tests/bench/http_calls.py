"""Calls over HTTP: dln against the fake model server on loopback, each figure beside its ideal.

Run by tools/bench, which sets DLN_PROGRAM and DLN_FAKE_LLM_SERVER. The program is run as people run it; the
server tells when calls came and went, so that starting ranks and reading data do not count.
"""

import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

# pylint: disable=wrong-import-position
import fake_llm_server

fake_llm_server.SECONDS = 900  # that a server lives at most
QUICK = "--quick" in sys.argv[1:]
WORDS = "the old gardener mended seven yellow lanterns before evening while rain fell on hills".split()


def figure(name, value, unit="", at_least=None, at_most=None):
    """The line that tools/bench reads; without a bound for information."""
    target, verdict = "-", "-"
    if at_least is not None:
        target, verdict = f">= {at_least:g}{unit}", "met" if value >= at_least else "MISSED"
    if at_most is not None:
        target, verdict = f"<= {at_most:g}{unit}", "met" if value <= at_most else "MISSED"
    print(f"figure\t{name}\t{value:.4g}{unit}\t{target}\t{verdict}", flush=True)


def examples(count):
    """Inputs of three words, all different: what is measured is calls, not how fast the server makes JSON."""
    for i in range(count):
        words = [WORDS[(i * (k + 3) + k * k) % len(WORDS)] for k in range(2)]
        yield {"input": " ".join([*words, str(i)]), "target": ("no", "yes")[i % 2]}


class Bench:
    """A directory with data, and runs in it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.runs = 0
        self.said = ""
        self.write_data("train", 400)
        self.write_data("dev", 2)

    def write_data(self, name, count):
        with open(self.folder / f"{name}.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(one) + "\n" for one in examples(count))

    def write_job(self, server, endpoint, train=None, scoring=None, network=None, **backend):
        self.runs += 1
        job = {
            "name": "bench",
            "seed": 1,
            "run_dir": f"run-{self.runs}",
            "data": {"train": "train.jsonl", "dev": "dev.jsonl", "test": "test.jsonl"},
            "classes": ["no", "yes"],
            "network": network or {"layers": [{"prompt": "Is this about a garden?"}]},
            "train": train or {},
            "scoring": scoring or {},
            "backend": {
                "kind": "http",
                "endpoints": [{"address": f"http://127.0.0.1:{server.port}", **endpoint}],
                **backend,
            },
        }
        (self.folder / "job.json").write_text(json.dumps(job))

    def dln(self, *arguments, ranks=0):
        """Runs to the end; returns its processor seconds. What it said is in `said`."""
        command = [os.environ["DLN_PROGRAM"], "--log-level", "debug", *arguments]
        if ranks:
            command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            ["timeout", "-k", "5", "600", *command], cwd=self.folder, capture_output=True, check=False
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr.decode()}")
        self.said = done.stderr.decode("utf-8", "replace")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def evaluate(self, server, count, in_flight, ranks=0):
        """One prompt a call, four for each of `count` examples. Returns the server's counts and the seconds."""
        self.write_data("test", count)
        self.write_job(server, {"in_flight": in_flight}, prompts_a_call=1)
        server.post("/stats/reset", {})
        seconds = self.dln("eval", "job.json", ranks=ranks)
        stats = server.stats()
        assert stats["prompts"] == 4 * count, stats
        stats["span"] = stats["last_departure_s"] - stats["first_arrival_s"]
        return stats, seconds

    # The figures ---------------------------------------------------------------------------------------

    def step_against_its_chain(self, ranks, forms):
        """Forward, proposals, scores of the proposals: three calls that wait for each other."""
        latency_ms, chain = 100, 3
        with fake_llm_server.FakeServer("--latency-ms", latency_ms) as server:
            train = {"steps": 6, "batch_size": 20, "candidates": 10, "memory": 2, "eval_every": 3}
            scoring = {"leading_space": forms == 4}
            self.write_job(server, {"in_flight": 10_000}, train, scoring)
            self.write_data("test", 2)
            self.dln("train", "job.json", ranks=ranks)
        steps = []
        for path in sorted((self.folder / f"run-{self.runs}" / "steps").glob("*.h5"))[1:]:
            with h5py.File(path, "r") as file:
                steps.append(float(file["timing/step_seconds"][()]))
        ideal = chain * latency_ms / 1000
        place = f"{ranks} ranks" if ranks else "1 rank"
        # With more prompts the server's own processor time is a good part of a step.
        figure(f"step, all slots, 100 ms, {forms} prompts an example, {place}: time / longest chain",
               statistics.median(steps) / ideal, at_most=1.15 if forms == 2 else None)  # fmt: skip

    def busy_slots(self, ranks):
        slots = 64
        with fake_llm_server.FakeServer("--slots", slots, "--latency-ms", 20) as server:
            stats, _ = self.evaluate(server, 800 if QUICK else 3000, slots + slots // 4, ranks)
        place = f"{ranks} ranks" if ranks else "1 rank"
        figure(f"64 slots, 20 ms, {place}: busy slots while work is left",
               100 * stats["busy_share_until_last_arrival"], " %", at_least=95)  # fmt: skip

    def spread_latency(self, ranks):
        slots = 64
        with fake_llm_server.FakeServer("--slots", slots, "--latency-lognormal", "20,1") as server:
            stats, _ = self.evaluate(server, 1500 if QUICK else 6000, slots + slots // 4, ranks)
        place = f"{ranks} ranks" if ranks else "1 rank"
        figure(f"64 slots, log-normal 20 ms, {place}: time / (total work / slots)",
               stats["span"] * slots / stats["busy_slot_seconds"], at_most=1.15)  # fmt: skip
        figure(f"64 slots, log-normal 20 ms, {place}: busy slots while work is left",
               100 * stats["busy_share_until_last_arrival"], " %")  # fmt: skip

    def client_cost(self):
        """Of what comes with more calls; starting, reading and the end fall out."""
        with fake_llm_server.FakeServer("--latency-ms", 20) as server:
            few, many = (50, 1500) if QUICK else (100, 4000)
            _, base = self.evaluate(server, few, 64)
            _, full = self.evaluate(server, many, 64)
        figure("processor time of dln for a scoring call", 1e6 * (full - base) / (4 * (many - few)),
               " us", at_most=100)  # fmt: skip

    def calls_a_second(self):
        with fake_llm_server.FakeServer() as server:
            stats, _ = self.evaluate(server, 2000 if QUICK else 8000, 256)
        figure("calls a second of one rank", stats["requests"] / stats["span"], at_least=5000)

    def many_ranks(self):
        rates, slots = {}, 512
        for ranks in (4, 64):
            with fake_llm_server.FakeServer("--slots", slots, "--latency-ms", 200) as server:
                stats, seconds = self.evaluate(server, 2500 if QUICK else 8000, slots + slots // 4, ranks)
            rates[ranks] = stats["requests"] / stats["span"]
            figure(f"512 slots, 200 ms, {ranks} ranks: calls a second", rates[ranks])
            figure(f"512 slots, 200 ms, {ranks} ranks: processor time", seconds, " s")
        waits = re.findall(r"rank \d+: waited ([0-9.]+) s for the backends", self.said)
        assert len(waits) == 64, self.said
        figure("512 slots, 200 ms, 64 ranks: longest wait of a rank for another to start",
               max(map(float, waits)), " s", at_most=1)  # fmt: skip
        figure("512 slots, 200 ms: 64 ranks / 4 ranks", rates[64] / rates[4], at_least=0.9)


def main():
    with tempfile.TemporaryDirectory(prefix="dln-bench-") as folder:
        bench = Bench(folder)
        for ranks in (0, 2):
            for forms in (2, 4):
                bench.step_against_its_chain(ranks, forms)
        for ranks in (0, 4):
            bench.busy_slots(ranks)
        for ranks in (0, 4):
            bench.spread_latency(ranks)
        bench.client_cost()
        bench.calls_a_second()
        bench.many_ranks()


if __name__ == "__main__":
    main()
