"""Faults of model servers that must not matter, those that must end a run, and what is counted of them.

Against tools/fake-llm-server, whose faults are a function of its seed and the requests. What the client counted
is compared with what the server did."""

import json
import os
import resource
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import ALONE, ProgramTest, examples, json_lines, step_paths
from fake_llm_server import FakeServer

# Faults that a client outlives, by the name under which it counts them. Those in HARMLESS need not be noticed:
# an answer may be in order all the same (there is one choice only, or no log-probability in it).
COUNTED = {
    "busy": ["429:{}:absent", "429:{}:0"],
    "come_again": ["408:{}", "409:{}"],
    "server_errors": ["500:{}", "502:{}", "503:{}", "504:{}", "529:{}"],
    "lost": ["reset:{}:before"],
    "cut_off": ["reset:{}:middle", "truncated:{}"],
    "other_protocol": ["gzip-bomb:{}:2"],
    "too_large": ["big:{}:70"],
    "too_late": ["stall:{}", "endless:{}"],
    "unusable": ["html-200:{}", "empty-200:{}", "truncated-json:{}", "deep-nesting:{}"],
}
HARMLESS = [
    "slow:{}:1", "close-idle:{}", "bad-utf8:{}", "lone-surrogate:{}", "logprobs-short:{}", "logprobs-long:{}",
    "permuted-choices:{}", "missing-choice:{}", "duplicate-index:{}", "null-logprob:{}", "nan:{}", "1e400:{}",
    "string-logprob:{}", "positive-logprob:{}",
]  # fmt: skip
WITHOUT_ANSWER = [*COUNTED, "refusals", "no_connection", "stalled"]
SERVER_SECONDS = 400


def kind(fault):
    return fault.split(":")[0]


class HttpFaults(ProgramTest):
    def serve(self, *options, **more):
        server = FakeServer(*options, lifetime=SERVER_SECONDS, **more)
        self.addCleanup(server.close)
        return server

    def address(self, server):
        return f"http://127.0.0.1:{server.port}"

    def write_http_job(self, *servers, train=(2, 8, 4), endpoint=None, **backend):
        steps, batch, candidates = train
        backend.setdefault("tries", 20)
        self.write_job(
            train={"steps": steps, "batch_size": batch, "candidates": candidates},
            backend={
                "kind": "http",
                "endpoints": [{"address": self.address(s), **(endpoint or {})} for s in servers],
                **backend,
            },
        )

    def calls(self, run="run"):
        """What the process that ended the run counted; all of it but what only tells of time and bytes."""
        return self.result_json(run)["measured"]["calls"]

    def expect_all_is_counted(self, calls):
        """Each try has one end."""
        self.assertEqual(calls["sent"], calls["answered"] + sum(calls[n] for n in WITHOUT_ANSWER))
        self.assertEqual(calls["failed"], 0, calls)

    def fault(self, server, *faults):
        response = server.post("/faults", {"faults": list(faults)})
        self.assertEqual(response.status, 200, response.body)
        server.post("/stats/reset", {})

    def expect_ended(self, *parts, ranks=2, sets=(), timeout=60):
        """Exit code 3, with one message that has the parts; what it says of its calls follows."""
        words = [word for one in sets for word in ("--set", one)]
        result = self.dln("train", "job.json", *words, ranks=ranks, timeout=timeout)
        self.expect_message(result, 3, *parts)
        self.assertTrue(any(line.startswith("calls in this process: ") for line in result.out.splitlines()[-2:]))
        return result


class Campaign(HttpFaults):
    """All that is retried, in all kinds at once and at five per cent each."""

    def expect_outlived(self, server, run, ranks, counted, harmless):
        result = self.train(run=run, ranks=ranks, timeout=120)
        self.expect_same_run(run, "faultless")
        by_fault = server.stats()["by_fault"]
        calls = self.calls(run)
        self.expect_all_is_counted(calls)
        self.assertEqual(set(by_fault), {kind(f) for f in counted + harmless}, "each kind occurred")
        uncertain = sum(by_fault[kind(f)] for f in harmless)
        # On a slow machine a call can be too late whatever else was to come.
        late = max(calls["too_late"] - by_fault.get("stall", 0) - by_fault.get("endless", 0), 0)
        for name, faults in COUNTED.items():
            certain = sum(by_fault[k] for k in {kind(f) for f in faults} & by_fault.keys() if k != "reset")
            if name in ("lost", "cut_off"):
                continue  # the server does not tell its two resets apart
            most = certain + (uncertain if name == "unusable" else 0) + (late if name == "too_late" else 0)
            self.assertTrue(certain - late <= calls[name] <= most, (name, calls, by_fault))
        broken = by_fault.get("reset", 0) + by_fault.get("truncated", 0)
        # A call may be on its way over a connection that the server closes after its last reply.
        most = broken + by_fault.get("close-idle", 0)
        self.assertTrue(broken - late <= calls["lost"] + calls["cut_off"] <= most, (calls, by_fault))
        self.assertIn(f"{calls['unusable']} unusable repl" if calls["unusable"] else "without an answer", result.out)

    def campaign(self, rate, groups, ranks, prompts_a_call):
        server = self.serve("--seed", 3)
        self.write_http_job(server, prompts_a_call=prompts_a_call, deadline_seconds=1)
        self.train(run="faultless")
        for number, (counted, harmless) in enumerate(groups):
            with self.subTest(group=number):
                counted = [f.format(rate) for f in counted]
                harmless = [f.format(rate) for f in harmless]
                self.fault(server, *counted, *harmless)
                self.expect_outlived(server, f"group-{number}", ranks[number % len(ranks)], counted, harmless)

    def test_all_kinds_in_one_run_change_nothing(self):
        self.campaign(0.01, [([f for faults in COUNTED.values() for f in faults], HARMLESS)], [3], 1)

    def test_five_per_cent_of_each_kind_change_nothing(self):
        certain = [f for faults in COUNTED.values() for f in faults]
        self.campaign(
            0.05,
            [(certain[i::4], HARMLESS[i::4]) for i in range(4)],
            [2, 3],
            8,
        )


class Outages(HttpFaults):
    def test_endpoint_that_is_away_for_ten_seconds_costs_nothing_but_time(self):
        server = self.serve()
        self.write_http_job(server)
        self.train(run="faultless")
        self.fault(server, "dead@30:10000")
        result = self.train(run="interrupted", ranks=2, timeout=120)
        self.expect_same_run("interrupted", "faultless")
        calls = self.calls("interrupted")
        self.assertGreaterEqual(calls["outages"], 1)
        self.assertEqual(calls["failed"], 0)
        self.assertRegex(result.out, "without an answer: .*; .* outages? of an endpoint")

    def test_other_endpoint_takes_the_calls_of_one_that_dies(self):
        first, second = self.serve(), self.serve()
        self.write_http_job(first)
        self.train(run="faultless")
        self.write_http_job(first, second)
        self.fault(second, "dead@15:600000")
        self.train(run="one-died", ranks=2)
        self.expect_same_run("one-died", "faultless")
        calls = self.calls("one-died")
        self.assertGreaterEqual(calls["failovers"], 1)
        self.assertEqual(calls["failed"], 0)

    def test_both_endpoints_dead_end_the_run_which_goes_on_later(self):
        first, second = self.serve(), self.serve()
        self.write_http_job(first, second, patience_seconds=2)
        self.train(run="whole")
        self.fault(first, "dead@40:600000")
        self.fault(second, "dead@40:600000")
        self.expect_ended(self.address(first), self.address(second), "no endpoint has been alive")
        self.assertTrue(step_paths(self.dir / "run"))
        first.close()
        second.close()
        others = [self.serve(), self.serve()]
        sets = [f"/backend/endpoints/{i}/address={self.address(s)}" for i, s in enumerate(others)]
        self.train(*sets, ranks=3)
        self.expect_same_run("run", "whole")

    def test_probe_before_training_outlives_an_outage_too(self):
        server = self.serve()
        self.write_http_job(server)
        self.train(run="faultless")
        self.fault(server, "dead@3:1000")
        self.train(run="interrupted")
        self.expect_same_run("interrupted", "faultless")


class ChangedServers(HttpFaults):
    """A server that computes something else from some call on, in the middle of a run."""

    FROM = 75  # a call in the middle of training

    def expect_refused(self, faults, *parts, **backend):
        server = self.serve()
        self.write_http_job(server, **backend)
        self.train(run="faultless")
        self.assertGreater(server.stats()["requests"], self.FROM + 10)
        self.fault(server, *(f.format(self.FROM) for f in faults))
        self.expect_ended(*parts)
        # What was there before is good: the run goes on with the server as it was.
        self.fault(server)
        self.train()
        self.expect_same_run("run", "faultless")

    def test_other_model_is_refused(self):
        self.expect_refused(["other-model@{}+"], "the reply comes from model", "Expected one model")

    def test_scores_of_other_tokens_are_refused(self):
        self.expect_refused(["wrong-tokens@{}+"], "the server scored token")

    def test_ignored_echo_is_refused(self):
        self.expect_refused(["ignored-echo@{}+"], "echo")

    def test_shifted_scores_after_an_outage_are_refused(self):
        self.expect_refused(["dead@{}:1500", f"shifted@{self.FROM + 1}+"], "was away and now computes something else",
                            "nats a token differently")  # fmt: skip


class Refusals(HttpFaults):
    """Faults that further tries cannot heal end the run at once."""

    def expect_ended_at_once(self, fault, *parts):
        server = self.serve()
        self.write_http_job(server)
        self.fault(server, f"{fault}@40+")
        result = self.expect_ended(self.address(server), *parts, ranks=ALONE)
        # Those that were in flight may have come too, none is asked again.
        stats = server.stats()
        self.assertLess(stats["requests"], 40 + 16)
        self.assertNotIn("tried again", result.out)
        self.assertIn("refusal" if "quota" not in fault else "busy (429)", result.out)

    def test_key_that_is_refused(self):
        self.expect_ended_at_once("401", "Incorrect API key", "key_env")

    def test_key_that_may_not_use_the_model(self):
        self.expect_ended_at_once("403", "may not use this model", "key_env")

    def test_model_that_is_gone(self):
        self.expect_ended_at_once("404-model", "does not exist", "served_model")

    def test_account_that_is_used_up(self):
        self.expect_ended_at_once("429-quota", "exceeded your current quota", "top it up")


class Bounds(HttpFaults):
    """Replies without end cost their bounds in time and memory, no more."""

    def test_replies_without_end_are_cut_off(self):
        server = self.serve()
        self.write_http_job(server, deadline_seconds=1)
        self.train(run="faultless")
        for fault, name in (("stall@20", "too_late"), ("slow@20:100", "too_late"), ("endless@20", "too_late"),
                            ("endless@20:0", "too_large"), ("big@20:300", "too_large"),
                            ("gzip-bomb@20:30", "other_protocol")):  # fmt: skip
            with self.subTest(fault=fault):
                self.fault(server, fault)
                run = fault.replace(":", "-")
                self.train(run=run)
                self.expect_same_run(run, "faultless")
                calls = self.calls(run)
                if fault == "endless@20:0":  # whichever bound comes first
                    self.assertEqual(calls["too_large"] + calls["too_late"], 1)
                else:
                    self.assertGreaterEqual(calls[name], 1)
        peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertLess(peak_kb, 400 * 1024)

    def test_server_that_never_answers_ends_the_run(self):
        server = self.serve()
        self.write_http_job(server, deadline_seconds=1, patience_seconds=3)
        self.fault(server, "stall@60+")
        self.expect_ended(self.address(server), "no endpoint has been alive", "deadline", timeout=90)


class Retries(HttpFaults):
    def test_prompt_that_always_fails_costs_its_own_scores_only(self):
        server = self.serve()
        self.write_http_job(server, tries=3)
        dev = examples("dev", 6)
        dev[3]["input"] = "\u00a7" * 6  # tokens of its own, whatever stands beside it
        self.write("dev.jsonl", json_lines(dev))
        self.train(run="faultless")
        tokens = server.succeed("/tokenize", {"prompt": dev[3]["input"]})["tokens"]
        # As text or as tokens, whichever way it is asked for.
        self.fault(server, "500~\u00a7\u00a7\u00a7", "500~" + ",".join(map(str, tokens[2:-2])))
        result = self.train()
        self.assertRegex(result.err, r"dev: 1 requests failed; the first: given up after 3 tries")
        self.assertIn("The server had an error", result.err)
        dev = [line for line in self.metrics() if line["split"] == "dev"]
        self.assertEqual(dev[0]["examples"], 6)
        self.assertGreater(self.calls()["failed"], 0)
        self.assertGreater(self.calls()["server_errors"], 3)
        # What does not depend on dev is as it was.
        self.assertEqual(self.metrics()[0]["step"], self.metrics("faultless")[0]["step"])

    def test_server_that_always_fails_ends_the_run(self):
        server = self.serve()
        self.write_http_job(server, tries=3, patience_seconds=2)
        self.fault(server, "500@60+")
        self.expect_ended("The server had an error", timeout=90)
        self.fault(server)
        self.train()


class Waits(HttpFaults):
    """Retry-After, in seconds or as a date, is the least wait."""

    def arrivals(self, log):
        """Of the request that got 429: when it did, and when it came again."""
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        refused = next(line for line in lines if line.get("status") == 429)
        request = next(l["request"] for l in lines if l["event"] == "arrive" and l["id"] == refused["id"])
        again = [l["t"] for l in lines if l["event"] == "arrive" and l["request"] == request and l["t"] > refused["t"]]
        return refused["t"], again

    def test_retry_after_is_the_least_wait(self):
        # The date is that of the next full second after one second; the log is written a little later.
        for form, least in (("2", 2.0), ("date", 0.9)):
            with self.subTest(form=form):
                log = self.dir / f"log-{form}.jsonl"
                server = self.serve("--log", log)
                self.write_http_job(server)
                self.fault(server, f"429@30:{form}")
                self.train(run=f"run-{form}", ranks=2)
                refused, again = self.arrivals(log)
                self.assertEqual(len(again), 1)
                self.assertGreaterEqual(again[0] - refused, least)
                self.assertEqual(self.calls(f"run-{form}")["busy"], 1)


class RateLimits(HttpFaults):
    """Limits of a job hold for all ranks together: a server that allows a little more never says 429."""

    def expect_no_429(self, limit, option, rate, ranks):
        server = self.serve(option, rate * 1.05)
        self.write_http_job(server, endpoint={limit: rate}, prompts_a_call=1)
        self.train(run=f"{limit}-{ranks}", ranks=ranks, timeout=120)
        stats = server.stats()
        self.assertEqual(stats["by_status"].keys(), {"200"}, stats)
        return stats

    def test_requests_per_minute_are_shared_by_the_ranks(self):
        for ranks in (1, 2, 3):
            with self.subTest(ranks=ranks):
                self.expect_no_429("requests_per_minute", "--rpm", 2400, ranks)

    def test_tokens_per_minute_are_shared_by_the_ranks(self):
        for ranks in (1, 3):
            with self.subTest(ranks=ranks):
                self.expect_no_429("tokens_per_minute", "--tpm", 60000, ranks)
