"""Steps of a network of two layers over HTTP, against the fake model server: the time of a step by its chain of
calls that wait for each other, and the requests of a step by those that it would send without looking for equal
ones. Run by tools/bench, like http_calls.py, whose runs and figures these are."""

import statistics
import tempfile

import h5py
from http_calls import QUICK, Bench, fake_llm_server, figure

LATENCY_MS = 100
SAMPLES, CANDIDATES, BATCH = 5, 10, 20
CLASSES = 2  # prompts that answer an example
# Examples a unit: with few, no example waits long for others; four fill a call's list of prompts.
BLOCK = 4
LAYERS = [
    {"prompt": "Say what it is about.", "residual": "{{input}}\n{{output}}", "max_tokens": 16},
    {"prompt": "Is this about a garden?"},
]


def requests_without_sharing(file, forms):
    """What a step would send that asks for every score of every formula anew: the forward pass, samples, the terms
    of their weights, and for each layer its proposals and all candidates on all samples."""
    forward = BATCH * (1 + CLASSES)
    samples = BATCH * SAMPLES
    weights = samples * (1 + forms)
    proposals = [len(file[f"step/layers/{layer}/proposals/prompt"]) for layer in (0, 1)]
    scores = samples * ((proposals[0] + 1) + (proposals[1] + 1) * forms)
    return forward + samples + weights + sum(proposals) + scores


class DeepBench(Bench):
    def steps(self, ranks, objective, posterior, latency_ms=LATENCY_MS):
        """Step files of a run on the fake server, without the first step, in which connections are made, and those
        that had nothing to learn."""
        with fake_llm_server.FakeServer("--latency-ms", latency_ms) as server:
            train = {
                "steps": 4 if QUICK else 8,
                "batch_size": BATCH,
                "candidates": CANDIDATES,
                "eval_every": 100,
                "eval_initial": False,
                "proposals": {"block": 1},
                # A server's user wants each example's next call as soon as its own earlier one is there.
                "posterior": {"samples": SAMPLES, "block": 1, **posterior},
            }
            scoring = {"objective": objective, "leading_space": False, "block": BLOCK}
            self.write_job(server, {"in_flight": 10_000}, train, scoring, network={"layers": LAYERS})
            self.write_data("test", 2)
            self.dln("train", "job.json", ranks=ranks)
        for path in sorted((self.folder / f"run-{self.runs}" / "steps").glob("*.h5"))[2:]:
            with h5py.File(path, "r") as file:
                if not file["step/nothing_to_learn"][()]:
                    yield file

    def step_against_its_chain(self, ranks, objective, speculate=False):
        """Forward through both layers, samples, their weights, proposals for the first layer, their scores; with
        `speculate` samples and weights beside the forward pass."""
        chain = 4 if speculate else 6
        forms = CLASSES if objective == "class_log_prob" else 1
        seconds, sent, asked = [], [], []
        for file in self.steps(ranks, objective, {"speculate": speculate}):
            seconds.append(float(file["timing/step_seconds"][()]))
            sent.append(int(file["timing/step_requests"][()]))
            asked.append(requests_without_sharing(file, forms))
        how = f"two layers{', speculate' if speculate else ''}, {objective}"
        figure(f"{how}, {ranks or 1} rank{'s' if ranks else ''}: time / longest chain",
               statistics.median(seconds) / (chain * LATENCY_MS / 1000), at_most=1.15)  # fmt: skip
        if ranks == 0:
            figure(f"{how}: requests of a step", statistics.median(sent))
            figure(f"{how}: those that equal another, not sent",
                   100 * (1 - sum(sent) / sum(asked)), " %")  # fmt: skip

    def calls_of_a_chain(self, speculate):
        """Calls of a second, beside which the processor's time is short."""
        seconds = [
            float(file["timing/step_seconds"][()])
            for file in self.steps(0, "log_prob", {"speculate": speculate}, latency_ms=1000)
        ]
        figure(f"two layers{', speculate' if speculate else ''}, log_prob, 1 s a call: time of a step",
               min(seconds), " s")  # fmt: skip


def main():
    with tempfile.TemporaryDirectory(prefix="dln-bench-") as folder:
        bench = DeepBench(folder)
        for speculate in (False, True):
            bench.calls_of_a_chain(speculate)
        for ranks in (0, 2):
            for objective in ("log_prob", "class_log_prob"):
                for speculate in (False, True):
                    bench.step_against_its_chain(ranks, objective, speculate)


if __name__ == "__main__":
    main()
