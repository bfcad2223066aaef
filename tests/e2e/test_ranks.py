"""One job, any number of ranks: prompts, scores, choices and step files are equal byte for byte."""

import unittest

from dln_program import EmbeddedTest, ProgramTest, examples, job, json_lines, step_paths, value


class RankCounts(ProgramTest):
    """Runs job.json on several numbers of ranks and compares all runs with the one without mpirun."""

    def expect_equal_on(self, *rank_counts, timeout=60):
        self.train(run="run-alone", timeout=timeout)
        for ranks in rank_counts:
            with self.subTest(ranks=ranks):
                result = self.train(run=f"run-{ranks}", ranks=ranks, timeout=timeout)
                self.assertIn(f"on {ranks} rank", result.out)
                self.expect_same_run(f"run-{ranks}", "run-alone")
        for path in step_paths(self.dir / "run-alone")[1:]:
            self.assertGreater(len(value(path, "step/layers/0/candidates/prompt")), 1, path)


class ScriptedRuns(RankCounts):
    def test_class_job_with_memory_and_templates_is_equal_on_any_number_of_ranks(self):
        self.write_job(
            network={
                "layers": [
                    {
                        "prompts": ["Is it so?"],
                        "templates": ["{{prompt}}\n\n{{input}}", "{{prompt}} {{input}}:"],
                        "few_shot": 2,
                    }
                ]
            },
            train={
                "steps": 4,
                "batch_size": 7,
                "candidates": 6,
                "memory": 2,
                "tolerance": 2,
                "eval_candidates": 2,
                "proposals": {"block": 2},
            },
        )
        self.expect_equal_on(1, 2, 3, 4)

    def test_accuracy_job_that_generates_is_equal_on_any_number_of_ranks(self):
        self.write_job(
            classes=[],
            scoring={"objective": "accuracy", "block": 2},
            network={"layers": [{"prompt": "Is it so?", "temperature": 0.8}]},
            train={"steps": 3, "batch_size": 6, "candidates": 4, "held_out_ranking": True},
        )
        self.expect_equal_on(1, 2, 4)

    def test_free_text_job_is_equal_on_any_number_of_ranks(self):
        self.write_job(
            classes=[],
            scoring={"objective": "log_prob", "block": 1, "length_normalise": "bytes"},
            train={"steps": 3, "batch_size": 5, "candidates": 4, "eval_every": 2},
        )
        self.expect_equal_on(1, 3, 4)

    def test_more_ranks_than_work_changes_nothing(self):
        self.write("train.jsonl", json_lines(examples("train", 2)))
        self.write(
            "job.json",
            job(data={"train": "train.jsonl"}, train={"steps": 2, "batch_size": 2, "candidates": 2}),
        )
        self.expect_equal_on(4)


class EmbeddedRuns(EmbeddedTest, RankCounts):
    def test_job_with_a_real_model_is_equal_on_any_number_of_ranks(self):
        self.write_data(train=12, dev=4, test=2)
        self.write(
            "job.json",
            job(
                train={
                    "steps": 2,
                    "batch_size": 8,
                    "candidates": 4,
                    "proposals": {
                        "templates": ["paraphrase_few_shot", "errors_few_shot"],
                        "temperature": 1.0,
                        "max_tokens": 12,
                        "block": 2,
                    },
                },
                scoring={"block": 4},
                backend={"kind": "embedded", "context_tokens": 512},
            ),
        )
        self.expect_equal_on(1, 2, 3, 4, timeout=200)


if __name__ == "__main__":
    unittest.main()
