"""Budgets: a run that has used what its job allows stops with exit code 4, and goes on with more."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

# pylint: disable=wrong-import-position
from dln_program import ALONE, ProgramTest, step_paths
from fake_llm_server import FakeServer


class BudgetTest(ProgramTest):
    def spend(self, *sets, run="run", ranks=ALONE):
        """Trains until the budget is spent; what dln said."""
        words = [word for one in sets for word in ("--set", one)]
        result = self.dln("train", "job.json", "--set", f"/run_dir={run}", *words, ranks=ranks)
        self.assertEqual(result.code, 4, result)
        self.assertEqual(len(result.messages()), 1, result)
        self.assertIn("the budget is spent", result.err)
        self.assertFalse((self.dir / run / "result.json").exists())
        return result

    def spent_json(self, run="run"):
        return json.loads((self.dir / run / "spent.json").read_text())


class Servers(BudgetTest):
    def setUp(self):
        super().setUp()
        self.server = FakeServer(lifetime=280)
        self.addCleanup(self.server.close)
        self.write_job(
            train={"steps": 2, "batch_size": 8, "candidates": 4},
            backend={
                "kind": "http",
                "endpoints": {"address": f"http://127.0.0.1:{self.server.port}", "in_flight": 4},
                "prompts_a_call": 2,
                "price_input": 2.0,
                "price_output": 10.0,
            },
        )
        # No example comes twice, so that no call does.
        self.write_data(train=40, test=24)
        self.probe = self.paid_for("/train/steps=0", "/data/dev=null", "/data/test=null")
        self.probed = self.probe["prompts"]
        self.paid = self.paid_for(run="whole")
        self.whole = self.paid["prompts"]
        self.usage = self.result_json("whole")["spent"]

    def paid_for(self, *sets, run="probe"):
        """What the server counts of a run."""
        self.server.post("/stats/reset", {})
        self.train(*sets, run=run)
        return self.server.stats()

    def test_usage_is_what_the_server_counts(self):
        self.expect_usage_is(self.usage, self.paid)

    def test_probe_counts(self):
        usage = self.result_json("probe")["spent"]
        self.expect_usage_is(usage, self.probe)
        self.assertGreater(usage["requests"], 0)
        self.assertEqual(usage["generated_tokens"], 0, "its texts are thrown away")

    def test_replies_of_no_use_count(self):
        """A server bills what it has computed, also when the client asks once more."""
        for fault in ("missing-choice:0.1", "logprobs-short:0.1", "null-logprob:0.1"):
            with self.subTest(fault=fault):
                self.server.post("/faults", {"faults": [fault]})
                paid = self.paid_for(run=fault)
                calls = self.result_json(fault)["measured"]["calls"]
                self.assertGreater(calls["unusable"], 0)
                self.assertGreater(paid["prompts"], self.whole)
                self.expect_usage_is(self.result_json(fault)["spent"], paid)
                self.expect_same_run(fault, "whole")

    def expect_usage_is(self, usage, paid):
        self.assertEqual(usage["requests"], paid["prompts"])
        self.assertEqual(usage["prompt_tokens"], paid["prompt_tokens"])
        # One token beside each score is output too.
        output = usage["generated_tokens"] + usage["discarded_tokens"]
        self.assertEqual(output, paid["completion_tokens"])

    def test_spent_run_goes_on_with_more_and_pays_for_nothing_twice(self):
        requests = self.usage["requests"] // 2
        for ranks in (1, 2, 3):
            with self.subTest(ranks=ranks):
                self.server.post("/stats/reset", {})
                run = f"on-{ranks}"
                result = self.spend(f"/budget/requests={requests}", run=run, ranks=ranks)
                self.assertIn(f"/budget/requests is {requests}", result.err)
                paid = self.server.stats()["prompts"]
                self.assertEqual(self.spent_json(run)["requests"], paid)
                self.assertGreaterEqual(paid, requests)
                self.assertLess(paid, self.whole)
                # With the same budget nothing more is sent.
                again = self.spend(f"/budget/requests={requests}", run=run, ranks=4 - ranks)
                self.assertEqual(again.messages(), result.messages())
                self.assertEqual(self.server.stats()["prompts"], paid)
                # With a larger one the rest is.
                self.train(f"/budget/requests={10 * requests}", run=run, ranks=4 - ranks)
                self.assertEqual(self.server.stats()["prompts"], self.whole)
                self.expect_same_run(run, "whole")
                self.assertFalse((self.dir / run / "spent.json").exists())

    def test_budget_is_overdrawn_by_what_was_in_flight_only(self):
        for more in (20, 100, 140):
            with self.subTest(more=more):
                requests = self.probed + more
                run = f"of-{more}"
                self.spend(f"/budget/requests={requests}", "/backend/endpoints/0/in_flight=1", run=run)
                # One rank holds two units, of three examples with two classes in two forms each.
                self.assertLessEqual(self.spent_json(run)["requests"], requests + 2 * 3 * 2 * 2)

    def test_tokens_and_money_are_limits_too(self):
        output = self.usage["generated_tokens"] + self.usage["discarded_tokens"]
        tokens = self.usage["prompt_tokens"] + output
        money = (2.0 * self.usage["prompt_tokens"] + 10.0 * output) / 1e6
        self.assertAlmostEqual(self.usage["money"], money)
        for limit, amount in (("tokens", tokens), ("money", money)):
            with self.subTest(limit=limit):
                half = amount // 2 if limit == "tokens" else amount / 2
                self.server.post("/stats/reset", {})
                result = self.spend(f"/budget/{limit}={half}", run=limit, ranks=2)
                self.assertIn(f"/budget/{limit}", result.err)
                self.train(f"/budget/{limit}={amount + 1}", run=limit, ranks=2)
                self.expect_same_run(limit, "whole")
                self.assertEqual(self.server.stats()["prompts"], self.whole)

    def test_budget_may_end_in_the_evaluation_on_test(self):
        requests = self.usage["requests"] - 90  # of the 96 on test
        self.server.post("/stats/reset", {})
        result = self.spend(f"/budget/requests={requests}", run="test", ranks=2)
        self.assertIn("2 of 2 steps are complete", result.err)
        self.train(run="test", ranks=2)
        self.expect_same_run("test", "whole")
        self.assertEqual(self.server.stats()["prompts"], self.whole)

    def test_killed_run_counts_what_its_journal_holds(self):
        requests = self.usage["requests"] // 2
        self.train_until("step.after_close:2", run="killed", ranks=2)
        self.server.post("/stats/reset", {})
        self.spend(f"/budget/requests={requests}", run="killed", ranks=2)
        self.assertLess(self.server.stats()["prompts"], requests)
        self.train(run="killed", ranks=2)
        self.expect_same_run("killed", "whole")

    def test_hours_of_all_processes_count(self):
        result = self.spend("/budget/hours=1e-9", run="hours", ranks=2)
        self.assertIn("/budget/hours", result.err)
        self.assertGreater(self.spent_json("hours")["seconds"], 0.0)
        self.server.post("/stats/reset", {})
        self.spend("/budget/hours=1e-9", run="hours", ranks=2)
        self.assertEqual(self.server.stats()["prompts"], 0, "the first process had spent it")
        self.train("/budget/hours=1", run="hours")
        self.expect_same_run("hours", "whole")

    def test_complete_run_is_complete_whatever_its_budget(self):
        result = self.train("/budget/requests=1", run="whole")
        self.assertIn("complete after 2 steps", result.out)

    def test_inspect_tells_where_the_budget_stopped_the_run(self):
        self.spend(f"/budget/requests={self.usage['requests'] // 2}")
        spent = self.spent_json()
        shown = self.succeed("inspect", "run").out
        self.assertIn(f"stopped by its budget after step {spent['after_step']}", shown)
        self.assertIn(f"{spent['requests']} requests", shown)


class WithoutJournal(BudgetTest):
    def test_step_under_way_is_completed_before_the_run_stops(self):
        self.write_job()
        self.train(run="whole")
        calls = self.result_json("whole")["usage"]["calls"]
        for ranks in (1, 3):
            with self.subTest(ranks=ranks):
                run = f"on-{ranks}"
                result = self.spend(f"/budget/requests={calls // 2}", run=run, ranks=ranks)
                done = len(step_paths(self.dir / run)) - 1
                self.assertIn(f"{done} of 4 steps are complete", result.err)
                self.assertIn(done, (1, 2, 3))
                again = self.spend(f"/budget/requests={calls // 2}", run=run, ranks=ranks)
                self.assertEqual(again.messages(), result.messages())
                self.assertEqual(len(step_paths(self.dir / run)) - 1, done)
                self.train("/budget/requests=0", run=run)
                self.expect_same_run(run, "whole")

    def test_kill_behind_the_last_step_leaves_nothing_of_the_one_before(self):
        self.write_job()
        self.train(run="unlimited")
        calls = self.result_json("unlimited")["usage"]["calls"]
        self.write_job(budget={"requests": calls // 2})
        result = self.spend(run="whole")
        saved = len(step_paths(self.dir / "whole"))
        for file in ("LATEST", "prompts.json"):
            with self.subTest(file=file):
                run = f"without-{file}"
                self.train_until(f"{file}.before_open:{saved}", run=run)
                self.assertEqual(self.spend(run=run).messages(), result.messages())
                self.expect_same_run(run, "whole")

    def test_evaluation_on_test_is_not_begun_with_a_spent_budget(self):
        self.write_job()
        self.train(run="whole")
        calls = self.result_json("whole")["usage"]["calls"]
        result = self.spend(f"/budget/requests={calls}")
        self.assertIn("4 of 4 steps are complete", result.err)
        self.train()
        self.expect_same_run("run", "whole")


class BadBudgets(BudgetTest):
    def test_money_without_prices_is_refused(self):
        self.write_job(budget={"money": 5})
        result = self.dln("train", "job.json")
        self.expect_message(result, 2, "/budget/money", "/backend/price_input")
        self.assertFalse((self.dir / "run").exists())
