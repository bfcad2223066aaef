"""What is wrong with a user's files is said once, with the place and what would be right; nothing is
written, and no model is loaded: there is none in the cache that these tests name."""

import json
import unittest

from dln_program import ALONE, EmbeddedTest, ProgramTest, examples, job, json_lines, snapshot


def embedded(**changes):
    """The small class job, for the embedded backend."""
    return job(backend={"kind": "embedded"}, **changes)


def with_field(pointer, value):
    """The job with one field changed; the parents exist or are made."""
    changed = embedded()
    place = changed
    *parents, last = pointer.strip("/").split("/")
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    place[last] = value
    return changed


class BadInput(ProgramTest):
    def setUp(self):
        super().setUp()
        self.write_data()

    def expect_refused(self, *fragments, arguments=("train", "job.json"), code=2, ranks=(ALONE, 2)):
        before = snapshot(self.dir)
        for count in ranks:
            with self.subTest(ranks=count):
                result = self.dln(*arguments, ranks=count, env={"DLN_CACHE": self.dir / "no-cache"})
                self.expect_message(result, code, *fragments)
                self.assertEqual(result.out, "")
                self.assertEqual(snapshot(self.dir), before, "something was written")


class BadJob(BadInput):
    def expect_field_refused(self, pointer, value, *fragments, at=None, ranks=(ALONE,)):
        self.write("job.json", with_field(pointer, value))
        self.expect_refused(f"job.json: {at or pointer}: ", *fragments, ranks=ranks)

    def test_unknown_field_is_refused_with_a_near_miss(self):
        self.expect_field_refused(
            "/train/batchsize", 4, "unknown field", 'Did you mean "batch_size"?', ranks=(ALONE, 2)
        )

    def test_wrong_type_is_refused(self):
        self.expect_field_refused("/train/steps", "five", "five", "integer")
        self.expect_field_refused("/train/steps", 2.5, "2.5", "integer")
        self.expect_field_refused("/train/class_balanced", 1, "true")
        self.expect_field_refused("/classes", "yes", "list")
        self.expect_field_refused("/network/layers/0/prompt", 3, "3", "list")

    def test_value_out_of_range_is_refused(self):
        self.expect_field_refused("/train/steps", -1, "-1", "0")
        self.expect_field_refused("/train/candidates", 0, "0", "1")
        self.expect_field_refused("/scoring/burn_in", 1.0, "1", "below 1")
        self.expect_field_refused("/scoring/objective", "acuracy", 'Did you mean "accuracy"?')
        self.expect_field_refused("/train/steps", 10**30, "integer")

    def test_missing_field_is_named(self):
        self.write("job.json", {"data": {"train": "train.jsonl"}, "classes": ["no", "yes"]})
        self.expect_refused("job.json: ", "network", ranks=(ALONE,))

    def test_all_faults_are_reported_together(self):
        self.write("job.json", with_field("/train/steps", -1) | {"sed": 3})
        result = self.dln("train", "job.json")
        self.assertEqual(result.code, 2)
        self.assertIn("/train/steps", result.err)
        self.assertIn("/sed", result.err)
        self.assertIn('Did you mean "seed"?', result.err)

    def test_verbalizer_of_two_classes_is_refused(self):
        self.expect_field_refused(
            "/classes",
            [
                {"name": "no", "verbalizers": ["no", "false"]},
                {"name": "yes", "verbalizers": ["yes", "no"]},
            ],
            '"no" stands for class "no" already',
            at="/classes/1/verbalizers/1",
        )

    def test_template_with_an_unknown_variable_is_refused(self):
        self.expect_field_refused(
            "/network/layers/0/template",
            "{{prompt}}\n{{inptu}} {{input}}",
            "line 2, column 1",
            "{{inptu}}",
            'Did you mean "input"?',
            at="/network/layers/0/template",
        )

    def test_template_without_the_input_is_refused(self):
        self.expect_field_refused(
            "/network/layers/0/template", "{{prompt}}", "{{input}}", at="/network/layers/0/template"
        )

    def test_proposal_template_that_does_not_exist_is_refused(self):
        self.expect_field_refused(
            "/train/proposals",
            {"templates": ["eror"]},
            'Did you mean "errors"?',
            at="/train/proposals/templates/0",
        )

    def test_classes_are_needed_by_the_default_objective(self):
        self.expect_field_refused("/classes", [], "class_log_prob", at="/scoring/objective")

    def test_broken_json_is_refused_with_line_and_column(self):
        self.write("job.json", '{\n  "seed": 1,\n  "data": {"train": "train.jsonl",,}\n}')
        self.expect_refused("job.json:3:35: ", "JSON")

    def test_job_that_is_no_object_is_refused(self):
        for content in ("", "[]", "null", '"text"', "[" * 100_000):
            self.write("job.json", content)
            self.expect_refused("job.json", ranks=(ALONE,))

    def test_field_given_twice_is_refused(self):
        self.write("job.json", json.dumps(embedded())[:-1] + ', "seed": 2}')
        self.expect_refused("job.json", "seed", "twice", ranks=(ALONE,))

    def test_invalid_utf8_is_refused(self):
        self.write("job.json", json.dumps(embedded()).encode().replace(b"Is it so?", b"Is it s\xf6?"))
        self.expect_refused("job.json:1:", "UTF-8")

    def test_missing_job_file_is_named(self):
        self.expect_refused("nowhere.json", arguments=("train", "nowhere.json"))

    def test_directory_as_job_file_is_named(self):
        (self.dir / "folder.json").mkdir()
        self.expect_refused("folder.json", arguments=("train", "folder.json"), ranks=(ALONE,))

    def test_training_frozen_layers_only_is_refused_with_the_reason(self):
        layers = [{"prompt": text, "train": False} for text in ("Think.", "Answer.")]
        self.write("job.json", embedded(network={"layers": layers}))
        self.expect_refused('job.json: /network/layers: "train" is false in all of them', "dln eval")

    def test_training_a_frozen_layer_is_refused_with_the_reason(self):
        self.write("job.json", embedded(network={"layers": [{"prompt": "Think.", "train": False}]}))
        self.expect_refused("job.json: /network/layers/0/train: false", ranks=(ALONE,))

    def test_prompt_file_that_is_missing_is_named(self):
        self.write("job.json", embedded(network={"layers": [{"prompt": {"file": "gone.txt"}}]}))
        self.expect_refused("/network/layers/0/prompt", "gone.txt", ranks=(ALONE,))


class BadOverride(BadInput):
    def setUp(self):
        super().setUp()
        self.write("job.json", embedded())

    def expect_set_refused(self, override, *fragments, ranks=(ALONE,)):
        self.expect_refused(*fragments, arguments=("train", "job.json", "--set", override), ranks=ranks)

    def test_unknown_field_is_refused_with_a_near_miss(self):
        self.expect_set_refused(
            "/train/stesp=3", "/train/stesp", 'Did you mean "steps"?', ranks=(ALONE, 2)
        )

    def test_wrong_value_is_refused(self):
        self.expect_set_refused("/train/steps=many", "/train/steps", "many")

    def test_pointer_into_nothing_is_refused(self):
        self.expect_set_refused("/network/layers/7/prompt=x", "/network/layers/7")
        self.expect_set_refused("/seed/deeper=1", "/seed")

    def test_override_without_a_value_is_refused(self):
        self.expect_set_refused("/train/steps", "--set", "/train/steps=5")
        self.expect_set_refused("train/steps=5", "--set", "/train/steps=5")


class BadData(BadInput):
    def expect_data_refused(self, content, *fragments, ranks=(ALONE,), name="train.jsonl"):
        self.write(name, content)
        self.write("job.json", embedded())
        self.expect_refused(name, *fragments, ranks=ranks)

    def test_missing_data_file_is_named(self):
        self.write("job.json", embedded(data={"train": "train.jsonl", "test": "absent.jsonl"}))
        self.expect_refused("/data/test", "absent.jsonl")

    def test_empty_data_file_is_refused(self):
        self.expect_data_refused("", "no example", ranks=(ALONE, 2))
        self.expect_data_refused("\n\n", "no example")

    def test_target_that_is_no_class_is_refused_with_its_line(self):
        lines = json_lines(examples("train", 4) + [{"input": "odd", "target": "Yes"}])
        self.expect_data_refused(lines, "train.jsonl:5:", '"Yes"', 'Did you mean "yes"?', ranks=(ALONE, 2))

    def test_last_split_is_checked_before_anything_is_paid(self):
        lines = json_lines(examples("test", 3) + [{"input": "odd", "target": "perhaps"}])
        self.expect_data_refused(lines, "test.jsonl:4:", '"perhaps"', name="test.jsonl")

    def test_missing_field_is_refused_with_its_line(self):
        lines = json_lines([{"input": "a", "target": "no"}, {"input": "b", "label": "no"}])
        self.expect_data_refused(lines, "train.jsonl:2:", '"target"')

    def test_broken_line_is_refused_with_its_line(self):
        self.expect_data_refused('{"input": "a", "target": "no"}\n{"input": "b"', "train.jsonl:2:", "JSON")

    def test_invalid_utf8_is_refused_with_its_line(self):
        self.expect_data_refused(
            b'{"input": "a", "target": "no"}\n{"input": "\xe9t\xe9", "target": "no"}\n',
            "train.jsonl:2:", "UTF-8", ranks=(ALONE, 2),
        )

    def test_more_few_shot_examples_than_data_are_refused(self):
        self.write(
            "job.json", embedded(network={"layers": [{"prompt": "Is it so?", "few_shot": 500}]})
        )
        self.expect_refused("few_shot", "500", "12")

    def test_few_shot_examples_that_leave_none_to_train_on_are_refused(self):
        self.write(
            "job.json", embedded(network={"layers": [{"prompt": "Is it so?", "few_shot": 12}]})
        )
        self.expect_refused("few_shot", "12", ranks=(ALONE,))

    def test_broken_replies_file_is_refused_with_its_line(self):
        self.write("replies.jsonl", '{"match": "a", "text": "b"}\n{"match": "a", "txt": "b"}\n')
        self.write("job.json", job(backend={"kind": "scripted", "replies": "replies.jsonl"}))
        self.expect_refused("replies.jsonl:2:", '"txt"')


class BadRunDirectory(BadInput):
    def setUp(self):
        super().setUp()
        self.write("job.json", job())

    def test_run_of_another_job_is_refused(self):
        self.train()
        self.write("job.json", job(seed=8) | {"train": {"steps": 4, "batch_size": 6, "candidates": 5}})
        self.expect_refused("holds the run of another job. What differs:")
        lines = self.dln("train", "job.json").err.splitlines()
        self.assertIn("  /seed: was 7, is 8", lines)
        self.assertIn("  /train/batch_size: was 8, is 6", lines)
        self.assertEqual(len(lines), 4, "and what to do")

    def test_run_with_other_data_is_refused(self):
        self.train()
        self.write_data(train=14)
        self.expect_refused("holds the run of another job. What differs:")
        self.assertIn("\n  /data: the files have other content\n", self.dln("train", "job.json").err)

    def test_file_in_the_way_of_the_run_directory_is_refused(self):
        self.write("run", "a file\n")
        self.expect_refused("run", "no directory")

    def test_file_in_the_way_of_a_parent_directory_is_refused(self):
        self.write("place", "a file\n")
        self.expect_refused(
            "place", "no directory", arguments=("train", "job.json", "--set", "/run_dir=place/below/run")
        )

    def test_file_in_the_way_of_the_step_files_is_refused_before_the_model_is_loaded(self):
        self.write("job.json", embedded())
        self.write("run/steps", "a file\n")
        self.expect_refused("run/steps is no directory", "choose another run_dir")

    def test_prompts_file_of_another_network_is_refused(self):
        self.write("prompts.json", {"layers": []})
        self.expect_refused(
            "prompts.json: /layers: 0 layers",
            arguments=("eval", "job.json", "--prompts", "prompts.json"),
        )
        self.write("prompts.json", {"layers": [{"prompt": "p", "template": "t9"}]})
        self.expect_refused(
            "prompts.json: /layers/0/template", '"t9"',
            arguments=("eval", "job.json", "--prompts", "prompts.json"), ranks=(ALONE,),
        )


class BadModel(BadInput):
    def setUp(self):
        super().setUp()
        self.write("job.json", embedded())

    def test_missing_model_ends_with_3_and_names_the_file(self):
        self.expect_refused("SmolLM2-135M-Instruct.Q4_1", code=3)

    def test_file_that_is_no_model_ends_with_3(self):
        self.write("broken.gguf", b"GGUF" + bytes(1000))
        self.expect_refused(
            "broken.gguf", code=3,
            arguments=("train", "job.json", "--set", "/backend/model=broken.gguf"),
        )


class TruncatedModel(EmbeddedTest, BadInput):
    def test_model_file_that_is_cut_short_ends_with_3(self):
        with open(self.model, "rb") as file:
            self.write("cut.gguf", file.read(5_000_000))
        self.write("job.json", with_field("/backend/model", "cut.gguf"))
        self.expect_refused("cut.gguf", code=3)


if __name__ == "__main__":
    unittest.main()
