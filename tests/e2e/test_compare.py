"""dln compare: runs of scripted jobs, with figures that follow from the replies."""

import json
import pathlib

from dln_program import examples, json_lines, snapshot
from test_commands import CommandTest


class CompareTest(CommandTest):
    """good: 8 of 8 test examples right. poor: finds no other prompt than its first, 4 of 8 right."""

    def setUp(self):
        super().setUp()
        replies = [json.loads(line) for line in (self.dir / "replies.jsonl").read_text().splitlines()]
        replies[0]["text"] = "Always no."
        self.write("poor.jsonl", json_lines(replies))
        self.train(run="good")
        self.train("/backend/replies=poor.jsonl", "/name=poor", run="poor")

    def compare(self, *arguments, **options):
        return self.succeed("compare", *arguments, **options)

    def compared(self, *arguments):
        return json.loads(self.compare(*arguments, "--json").out)

    def change_result(self, run, change):
        result = self.result_json(run)
        change(result)
        self.write(f"{run}/result.json", result)


class Compare(CompareTest):
    def test_paired_figures_follow_from_the_replies(self):
        made = self.compared("good", "poor")
        self.assertEqual(made["against"], "good")
        tests = [run["test"] for run in made["runs"]]
        self.assertEqual([test["accuracy"] for test in tests], [1.0, 0.5])
        self.assertEqual([round(x, 4) for x in tests[1]["accuracy_95"]], [0.2152, 0.7848])
        (row,) = made["comparisons"]
        self.assertEqual((row["run"], row["difference"]), ("poor", -0.5))
        # Sums of 8 draws of which half are lost: the quantiles of a binomial distribution.
        self.assertEqual(row["bootstrap"]["difference_95"], [-7 / 8, -1 / 8])
        self.assertAlmostEqual(row["bootstrap"]["p_value"], 2 * 0.5**8, delta=0.005)
        self.assertEqual(row["mcnemar"]["only_against_right"], 4)
        self.assertEqual(row["mcnemar"]["only_run_right"], 0)
        self.assertAlmostEqual(row["mcnemar"]["p_value"], 2 * 0.5**4)

    def test_costs_are_those_of_the_run(self):
        (run, _) = self.compared("good", "poor")["runs"]
        result = self.result_json("good")
        self.assertEqual(run["spent"]["requests"], result["spent"]["requests"])
        self.assertEqual(run["spent"]["input_tokens"], result["spent"]["prompt_tokens"])
        self.assertEqual(run["spent"]["output_tokens"], result["spent"]["generated_tokens"])
        self.assertAlmostEqual(run["spent"]["hours"], result["measured"]["seconds"] / 3600)

    def test_table_is_aligned_and_says_how_many_comparisons_were_made(self):
        self.train("/seed=8", run="third")
        lines = self.compare("good", "poor", "third").out.splitlines()
        self.assertEqual(lines[0][:27], "test: 8 examples, sha256 " + self.result_json("good")["test"]["data_sha256"][:2])
        self.assertRegex("\n".join(lines), r"(?m)^good +7 +2 +1\.0000  0\.6756 to 1\.0000 ")
        self.assertRegex("\n".join(lines), r"(?m)^poor +-0\.5000 -0\.8750 to -0\.1250 .* 0 +4 +0\.12 +0\.25$")
        self.assertIn('2 comparisons were made in this table; "Holm" is p adjusted for all of them.', lines)
        self.assertLessEqual(max(map(len, lines)), 100)

    def test_baseline_is_chosen_and_may_come_beside_the_list(self):
        for runs in (("good", "poor"), ("good",)):
            with self.subTest(runs=runs):
                made = self.compared(*runs, "--against", "poor/")
                self.assertEqual(made["against"], "poor")
                (row,) = made["comparisons"]
                self.assertEqual((row["run"], row["difference"]), ("good", 0.5))

    def test_same_figures_each_time_and_once_on_two_ranks(self):
        first = self.compare("good", "poor").out
        self.assertEqual(self.compare("good", "poor").out, first)
        self.assertEqual(self.compare("good", "poor", ranks=2).out, first)

    def test_nothing_is_written(self):
        self.train_until("step.after_close:2", run="killed")
        before = snapshot(self.dir)
        self.compare("good", "poor", "killed")
        self.compare("good", "killed", "--group", "--json")
        self.assertEqual(snapshot(self.dir), before)

    def test_unfinished_run_is_shown_without_tests(self):
        self.train_until("step.after_close:3", run="killed")
        result = self.compare("good", "killed", "poor")
        self.assertRegex(result.out, r"(?m)^killed +7 +1 of 2  unfinished$")
        self.assertIn("Not paired: killed: unfinished.", result.out)
        made = self.compared("killed", "good", "poor")
        self.assertEqual(made["comparisons"], [])
        self.assertEqual(made["runs"][0]["state"], "unfinished")
        self.assertGreater(made["runs"][0]["spent"]["requests"], 0)
        self.assertEqual(made["left_out"], [{"run": "killed", "why": "unfinished"}])

    def test_run_that_a_budget_stopped_is_shown_as_such(self):
        result = self.dln(
            "train", "job.json", "--set", "/run_dir=stopped", "--set", "/budget/requests=20"
        )
        self.assertEqual(result.code, 4, str(result))
        out = self.compare("good", "stopped").out
        self.assertRegex(out, r"(?m)^stopped +7 +\d of 2  stopped by its budget$")

    def test_older_result_is_shown_and_can_be_made_anew(self):
        def make_older(result):
            for name in ("right", "data_sha256", "measured"):
                del result["test"][name]

        self.change_result("poor", make_older)
        out = self.compare("good", "poor").out
        self.assertRegex(out, r"(?m)^poor +7 +2 +0\.5000 ")
        self.assertIn("Not paired: poor: its result.json, by an older dln, does not tell which", out)
        # As the message says.
        (self.dir / "poor/result.json").unlink()
        self.train("/backend/replies=poor.jsonl", "/name=poor", run="poor")
        self.assertEqual(len(self.compared("good", "poor")["comparisons"]), 1)

    def test_run_without_test_split_is_shown(self):
        self.train("/data/test=null", run="untested")
        out = self.compare("good", "untested").out
        self.assertRegex(out, r"(?m)^untested +7 +2  no test split$")

    def test_groups_show_the_spread_over_seeds(self):
        for seed in (8, 9):
            self.train(f"/seed={seed}", run=f"good-{seed}")
            self.train(f"/seed={seed}", "/backend/replies=poor.jsonl", "/name=poor", run=f"poor-{seed}")
        runs = sorted(path.name for path in pathlib.Path(self.dir).glob("*oo*/"))
        self.assertEqual(len(runs), 6)
        made = self.compared(*runs, "--group", "--against", "small")
        self.assertEqual(made["against"], "small")
        self.assertEqual([group["name"] for group in made["groups"]], ["small", "poor"])
        self.assertEqual(made["groups"][1]["accuracy"], {"mean": 0.5, "deviation": 0.0})
        (row,) = made["comparisons"]
        self.assertEqual((row["group"], row["difference"]), ("poor", -0.5))
        self.assertEqual(row["permutation"]["p_value"], 0.1)
        self.assertEqual(row["permutation"]["least_p"], 0.1)
        self.assertEqual(made["notes"], [])
        out = self.compare(*runs, "--group").out
        self.assertRegex(out, r"(?m)^poor +3 +0\.5000 +0\.0000 +0\.5000 +0\.5000 ")
        self.assertNotIn("Paired", out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)


class CompareRefusals(CompareTest):
    def test_runs_on_different_test_data_are_refused(self):
        self.write("test.jsonl", json_lines(examples("test", 6)))
        self.train(run="other")
        for more in ((), ("--group",), ("--json",)):
            result = self.dln("compare", "good", "other", *more)
            self.expect_message(result, 2, "good and other were tested on different data", "8 examples", "6 examples")
            self.assertEqual(result.out, "")

    def test_what_is_no_run_is_refused(self):
        self.expect_message(self.dln("compare", "good", "nowhere"), 2, "nowhere: no such directory")
        self.expect_message(self.dln("compare", "good", "job.json"), 2, "job.json: is no directory")
        (self.dir / "empty").mkdir()
        self.expect_message(self.dln("compare", "good", "empty"), 2, "empty: not the directory of a training run")
        self.expect_message(self.dln("compare", "good", "."), 2, "There are runs below it: give ./* or ./good")

    def test_one_run_is_refused(self):
        self.expect_message(self.dln("compare", "good"), 2, "one run, good", "two or more")
        self.expect_message(self.dln("compare", "good", "--against", "good"), 2, "one run, good")

    def test_the_same_run_twice_is_refused(self):
        (self.dir / "link").symlink_to("good")
        for other in ("good", "good/", "./good", "poor/../good", "link"):
            with self.subTest(other=other):
                self.expect_message(self.dln("compare", "good", other), 2, "the same run directory")

    def test_unknown_baseline_is_refused_with_a_near_miss(self):
        result = self.dln("compare", "good", "poor", "--against", "fine")
        self.expect_message(result, 2, "--against fine: is none of the runs")
        result = self.dln("compare", "good", "poor", "--group", "--against", "smal")
        self.expect_message(result, 2, 'Did you mean "small"?')

    def test_damaged_files_are_refused_with_place_and_remedy(self):
        self.write("poor/result.json", (self.dir / "poor/result.json").read_bytes()[:-40])
        self.expect_message(self.dln("compare", "good", "poor"), 2, "poor/result.json", "damaged", "train command")
        self.write("good/job.json", "")
        self.expect_message(self.dln("compare", "good", "poor"), 2, "good/job.json", "damaged", "train command")

    def test_contradiction_is_refused(self):
        def flip(result):
            result["test"]["right"] = "1" * 8

        self.change_result("poor", flip)
        self.expect_message(self.dln("compare", "good", "poor"), 2, "/test/right contradicts /test/accuracy")

    def test_names_in_files_reach_the_terminal_without_controls(self):
        job = json.loads((self.dir / "poor/job.json").read_text())
        job["name"] = "\x1b[31mred\u202e"
        self.write("poor/job.json", job)
        for more in ((), ("--json",)):
            self.expect_no_controls(self.compare("good", "poor", "--group", *more))
