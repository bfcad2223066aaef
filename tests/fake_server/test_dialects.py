"""Each server's replies as a client sees them: what is scored, where the traps are, what is refused."""

import json
import math
import pathlib
import tempfile
import unittest

from fake_llm_server import FakeServer

PROMPT = "Is it so? answer:"
TARGET = "\nyes"


class Dialect(unittest.TestCase):
    OPTIONS = ()

    def setUp(self):
        self.server = FakeServer(*self.OPTIONS)
        self.addCleanup(self.server.close)

    def choice(self, prompt, **fields):
        (choice,) = self.server.completions(prompt, **fields)["choices"]
        return choice

    def expect_refused(self, status, path, body, *fragments):
        response = self.server.post(path, body)
        self.assertEqual(response.status, status, response.body)
        for fragment in fragments:
            self.assertIn(fragment, response.body.decode())

    def vllm_scores(self, prompt):
        """What the same model gives as vLLM: the truth for all dialects."""
        with FakeServer(*(option for option in self.OPTIONS if option == "--bos")) as vllm:
            (choice,) = vllm.completions(prompt)["choices"]
            return choice["logprobs"]["token_logprobs"]


class Vllm(Dialect):
    def test_echo_without_a_token_scores_the_prompt(self):
        reply = self.server.completions(PROMPT + TARGET)
        (choice,) = reply["choices"]
        scores = choice["logprobs"]
        self.assertEqual(choice["text"], PROMPT + TARGET)
        self.assertEqual("".join(scores["tokens"]), PROMPT + TARGET)
        self.assertIsNone(scores["token_logprobs"][0])
        self.assertIsNone(scores["top_logprobs"][0])
        self.assertTrue(all(value < 0 for value in scores["token_logprobs"][1:]))
        self.assertEqual(scores["text_offset"][:3], [0, 1, 2])
        names = [list(top) for top in scores["top_logprobs"][1:]]
        self.assertEqual(names, [[token] for token in scores["tokens"][1:]])
        count = len(scores["tokens"])
        self.assertEqual(reply["usage"]["prompt_tokens"], count)
        self.assertEqual(reply["usage"]["completion_tokens"], 1)
        self.assertEqual(reply["usage"]["total_tokens"], count + 1)

    def test_one_token_is_appended_with_its_score(self):
        scored = self.choice(PROMPT)["logprobs"]
        drawn = self.choice(PROMPT, max_tokens=1)["logprobs"]
        self.assertEqual(drawn["tokens"][:-1], scored["tokens"])
        self.assertEqual(drawn["token_logprobs"][:-1], scored["token_logprobs"])

    def test_greedy_token_has_its_own_echo_score(self):
        for i in range(20):
            prompt = f"{PROMPT} {i}"
            first = self.choice(prompt, echo=False, max_tokens=1, logprobs=1, return_token_ids=True)
            ids = self.server.succeed("/tokenize", {"prompt": prompt})["tokens"]
            again = self.choice(ids + first["token_ids"])
            value = again["logprobs"]["token_logprobs"][-1]
            self.assertEqual(value, first["logprobs"]["token_logprobs"][0])
            self.assertEqual(value, max(first["logprobs"]["top_logprobs"][0].values()))

    def test_end_of_a_context_and_begin_of_a_target_can_be_one_token(self):
        tokens = self.choice(PROMPT + TARGET)["logprobs"]["tokens"]
        self.assertEqual(tokens[-2:], [":\n", "yes"])

    def test_top_list_has_the_token_itself_and_the_best(self):
        scores = self.choice(PROMPT, logprobs=3)["logprobs"]
        columns = zip(scores["tokens"], scores["token_logprobs"], scores["top_logprobs"])
        for token, value, top in list(columns)[1:]:
            self.assertIn(len(top), (3, 4))
            self.assertEqual(top[token], value)

    def test_lists_of_texts_and_of_token_ids_are_answered_in_order(self):
        prompts = [PROMPT, "no", PROMPT + TARGET]
        singly = [self.choice(prompt)["logprobs"]["token_logprobs"] for prompt in prompts]
        ids = [self.server.succeed("/tokenize", {"prompt": prompt})["tokens"] for prompt in prompts]
        for form in (prompts, ids):
            choices = self.server.completions(form)["choices"]
            self.assertEqual([one["index"] for one in choices], [0, 1, 2])
            self.assertEqual([one["logprobs"]["token_logprobs"] for one in choices], singly)
        self.assertEqual(self.choice(ids[0])["text"], PROMPT)

    def test_samples_of_several_prompts_are_prompt_major(self):
        reply = self.server.completions(
            [PROMPT, "no"], n=3, echo=False, max_tokens=6, temperature=1, seed=5, logprobs=None
        )
        texts = [one["text"] for one in reply["choices"]]
        self.assertEqual([one["index"] for one in reply["choices"]], list(range(6)))
        alone = self.server.completions(
            "no", echo=False, max_tokens=6, temperature=1, seed=5, logprobs=None
        )
        self.assertEqual(texts[3], alone["choices"][0]["text"])
        self.assertEqual(len(set(texts)), 6)

    def test_token_ids_replace_the_echoed_text(self):
        choice = self.choice(PROMPT, return_token_ids=True)
        self.assertEqual(choice["text"], "")
        ids = self.server.succeed("/tokenize", {"prompt": PROMPT})["tokens"]
        self.assertEqual(choice["prompt_token_ids"], ids)
        self.assertEqual(len(choice["token_ids"]), 1)

    def test_names_of_tokens_can_be_ids(self):
        choice = self.choice(PROMPT, return_tokens_as_token_ids=True)
        self.assertRegex(choice["logprobs"]["tokens"][0], r"^token_id:\d+$")

    def test_prompt_logprobs_come_by_id_with_rank(self):
        choice = self.choice(PROMPT, echo=False, max_tokens=1, logprobs=None, prompt_logprobs=2)
        ids = self.server.succeed("/tokenize", {"prompt": PROMPT})["tokens"]
        values = self.choice(PROMPT)["logprobs"]["token_logprobs"]
        self.assertIsNone(choice["prompt_logprobs"][0])
        self.assertIsNone(choice["logprobs"])
        for token, value, entry in list(zip(ids, values, choice["prompt_logprobs"]))[1:]:
            own = entry.pop(str(token))
            self.assertEqual(own["logprob"], value)
            self.assertLessEqual({one["rank"] for one in entry.values()}, {1, 2})
            self.assertGreaterEqual({own["rank"], *(one["rank"] for one in entry.values())}, {1, 2})

    def test_whole_vocabulary_is_normalised(self):
        choice = self.choice(PROMPT, echo=False, max_tokens=1, logprobs=None, prompt_logprobs=-1)
        entry = choice["prompt_logprobs"][-1]
        self.assertEqual(len(entry), 1024)
        self.assertAlmostEqual(sum(math.exp(one["logprob"]) for one in entry.values()), 1.0, 9)

    def test_minus_infinity_is_clamped(self):
        self.assertEqual(self.choice([50, 3, 50])["logprobs"]["token_logprobs"][1], -9999.0)

    def test_stop_ends_a_text_before_it(self):
        text = self.choice(PROMPT, echo=False, max_tokens=8)["text"]
        choice = self.choice(PROMPT, echo=False, max_tokens=8, stop=[text[2:4]])
        self.assertEqual(choice["text"], text[:2])
        self.assertEqual((choice["finish_reason"], choice["stop_reason"]), ("stop", text[2:4]))

    def test_bad_requests_are_refused(self):
        for fields in (
            {"prompt": [2000]},
            {"prompt": []},
            {"prompt": "a", "max_tokens": 0},
            {"prompt": "a", "temperature": "hot"},
            {"prompt": "a", "logprobs": -2},
            {"prompt": "a", "stream": True},
            {"prompt": "a", "n": 0},
            {},
        ):
            with self.subTest(fields=fields):
                self.expect_refused(400, "/v1/completions", fields, "BadRequestError")
        self.expect_refused(400, "/v1/completions", "{", "JSON")
        self.expect_refused(404, "/v1/completions", {"model": "x", "prompt": "a"}, "`x` does not exist")


class VllmHelpers(Dialect):
    OPTIONS = ("--bos", "--model", "m")

    def test_begin_token_is_added_once_to_texts_and_never_to_ids(self):
        self.assertEqual(self.choice("a", model="m")["logprobs"]["tokens"], ["<s>", "a"])
        alone = self.choice("a", model="m", add_special_tokens=False)
        self.assertEqual(alone["logprobs"]["tokens"], ["a"])
        self.assertEqual(self.choice([1, 101], model="m")["logprobs"]["tokens"], ["<s>", "a"])

    def test_models_and_version_are_told(self):
        (model,) = self.server.request("GET", "/v1/models").json()["data"]
        self.assertEqual((model["id"], model["max_model_len"]), ("m", 4096))
        self.assertEqual(self.server.request("GET", "/version").status, 200)
        self.assertEqual(self.server.request("GET", "/health").status, 200)
        self.assertEqual(self.server.request("GET", "/nowhere").status, 404)

    def test_tokens_make_the_round_trip(self):
        text = "Is it \u00fc\U0001f642 so?\n\n"
        reply = self.server.succeed("/tokenize", {"prompt": text, "add_special_tokens": False})
        self.assertEqual(reply["count"], len(reply["tokens"]))
        self.assertEqual(self.server.succeed("/detokenize", {"tokens": reply["tokens"]})["prompt"], text)
        with_begin = self.server.succeed("/tokenize", {"prompt": text})["tokens"]
        self.assertEqual(with_begin, [1] + reply["tokens"])

    def test_embeddings_are_unit_vectors_in_order(self):
        reply = self.server.succeed("/v1/embeddings", {"input": ["Is it so?", "Is it so!", "negative"]})
        one, like, other = (entry["embedding"] for entry in reply["data"])

        def product(a, b):
            return sum(x * y for x, y in zip(a, b))

        self.assertAlmostEqual(product(one, one), 1.0, 12)
        self.assertGreater(product(one, like), product(one, other))
        self.assertEqual([entry["index"] for entry in reply["data"]], [0, 1, 2])
        again = self.server.succeed("/v1/embeddings", {"input": "Is it so?"})["data"][0]["embedding"]
        self.assertEqual(one, again)


class Chat(Dialect):
    BODY = {
        "messages": [{"role": "user", "content": "Is it so?"}],
        "temperature": 0.8,
        "max_tokens": 9,
    }

    def chat(self, **fields):
        return self.server.succeed("/v1/chat/completions", self.BODY | fields)

    def content(self, **fields):
        return self.chat(**fields)["choices"][0]["message"]["content"]

    def test_seed_fixes_the_text(self):
        self.assertEqual(self.content(seed=3), self.content(seed=3))
        self.assertGreater(len({self.content(seed=seed) for seed in range(5)}), 3)

    def test_generated_tokens_have_logprobs(self):
        reply = self.chat(logprobs=True, top_logprobs=2)
        (choice,) = reply["choices"]
        content = choice["logprobs"]["content"]
        self.assertEqual(len(content), reply["usage"]["completion_tokens"])
        self.assertEqual({len(one["top_logprobs"]) for one in content}, {2})
        self.assertEqual(bytes(content[0]["bytes"]).decode(), content[0]["token"])

    def test_samples_differ(self):
        reply = self.chat(n=3)
        self.assertEqual(len({choice["message"]["content"] for choice in reply["choices"]}), 3)


class LlamaCppPython(Dialect):
    OPTIONS = ("--flavour", "llama-cpp-python", "--logits-all")

    def test_scores_are_those_after_the_token_when_no_begin_token_is_there(self):
        scores = self.choice(PROMPT, max_tokens=1)["logprobs"]
        self.assertEqual("".join(scores["tokens"]), PROMPT)  # the drawn token has gone
        truth = self.vllm_scores(PROMPT)
        self.assertNotEqual(scores["token_logprobs"][1:], truth[1:])
        with FakeServer("--flavour", "shifted") as shifted:
            (choice,) = shifted.completions(PROMPT)["choices"]
            self.assertEqual(scores["token_logprobs"][1:], choice["logprobs"]["token_logprobs"][1:])

    def test_begin_token_in_front_makes_scores_right_and_is_dropped(self):
        with FakeServer(*self.OPTIONS, "--bos") as server:
            (choice,) = server.completions(PROMPT, max_tokens=1)["choices"]
        with FakeServer("--bos") as vllm:
            truth = vllm.completions(PROMPT)["choices"][0]["logprobs"]
        scores = choice["logprobs"]
        self.assertEqual(scores["tokens"][:-1], truth["tokens"][1:])
        self.assertIsNone(scores["token_logprobs"][0])
        self.assertEqual(scores["token_logprobs"][1:-1], truth["token_logprobs"][2:])

    def test_tokens_are_counted_by_an_extra(self):
        tokens = self.server.succeed("/extras/tokenize", {"input": PROMPT})["tokens"]
        names = self.choice(PROMPT, max_tokens=1)["logprobs"]["tokens"]
        self.assertEqual(len(tokens), len(names))

    def test_zero_tokens_mean_no_limit(self):
        reply = self.server.completions("yes", max_tokens=0, echo=False, logprobs=None)
        self.assertGreater(reply["usage"]["completion_tokens"], 1)

    def test_more_than_one_text_and_token_ids_are_errors_of_the_server(self):
        for prompt in (["a", "b"], [50, 51], [[50]], ""):
            self.expect_refused(500, "/v1/completions", {"prompt": prompt}, "internal_server_error")

    def test_one_text_in_a_list_is_taken(self):
        self.assertEqual(self.choice([PROMPT], max_tokens=1)["logprobs"]["tokens"][0], "I")

    def test_logprobs_need_logits_of_all(self):
        with FakeServer("--flavour", "llama-cpp-python") as server:
            response = server.post("/v1/completions", {"prompt": "a", "logprobs": 1, "max_tokens": 1})
            self.assertEqual(response.status, 500)
            self.assertIn("logits_all=False", response.json()["error"]["message"])

    def test_continuation_is_cut_at_the_context(self):
        with FakeServer(*self.OPTIONS, "--max-context", 20) as server:
            body = {"max_tokens": 500, "ignore_eos": True, "echo": False, "logprobs": None}
            reply = server.completions("yes yes", **body)
            self.assertEqual(reply["usage"]["total_tokens"], 20)
            self.assertEqual(reply["choices"][0]["finish_reason"], "length")


class LlamaServer(Dialect):
    OPTIONS = ("--flavour", "llama-server", "--slots", 3)

    def tokens(self, text):
        return self.server.succeed("/tokenize", {"content": text})["tokens"]

    def forced(self, ids, token, path="/v1/completions", **fields):
        body = {"prompt": ids, "max_tokens": 1, "logprobs": 2, "logit_bias": [[token, 100]]}
        return self.server.succeed(path, body | {"temperature": 0} | fields)

    def test_echo_is_ignored_without_a_word(self):
        choice = self.choice(PROMPT, logprobs=1, max_tokens=1)
        self.assertNotIn(PROMPT, choice["text"])
        self.assertEqual(len(choice["logprobs"]["content"]), 1)

    def test_forced_tokens_have_their_unbiased_scores(self):
        ids = self.tokens(PROMPT + TARGET)
        truth = self.vllm_scores(PROMPT + TARGET)
        for i in range(1, len(ids)):
            entry = self.forced(ids[:i], ids[i])["choices"][0]["logprobs"]["content"][0]
            self.assertEqual((entry["id"], entry["logprob"]), (ids[i], truth[i]))

    def test_bias_by_name_works_as_well(self):
        entry = self.forced([50], 51, logit_bias={"51": 100})["choices"][0]["logprobs"]["content"][0]
        self.assertEqual(entry["id"], 51)

    def test_prefix_that_a_slot_has_seen_is_reused(self):
        ids = self.tokens(PROMPT)
        self.assertEqual(self.forced(ids, 51, id_slot=2)["timings"]["cache_n"], 0)
        self.assertEqual(self.forced(ids + [51], 52, id_slot=2)["timings"]["cache_n"], len(ids))
        self.assertEqual(self.forced(ids + [51], 52, id_slot=1)["timings"]["cache_n"], 0)

    def test_own_completion_names_probabilities_of_generated_tokens(self):
        ids = self.tokens(PROMPT)
        reply = self.forced(ids, 51, path="/completion", n_probs=3, n_predict=1, return_tokens=True)
        self.assertEqual(reply["tokens"], [51])
        self.assertEqual(reply["completion_probabilities"][0]["id"], 51)
        self.assertEqual(len(reply["completion_probabilities"][0]["top_logprobs"]), 3)
        self.assertEqual(reply["tokens_evaluated"], len(ids))

    def test_template_makes_a_text_of_messages(self):
        body = {"messages": [{"role": "user", "content": "yes"}]}
        text = self.server.succeed("/apply-template", body)["prompt"]
        self.assertIn("yes", text)
        chat = self.server.succeed("/v1/chat/completions", body | {"max_tokens": 1})
        self.assertEqual(chat["usage"]["prompt_tokens"], len(self.tokens(text)))

    def test_slots_are_told(self):
        self.assertEqual(self.server.request("GET", "/props").json()["total_slots"], 3)

    def test_pieces_that_are_no_text_come_as_bytes(self):
        reply = self.server.succeed("/tokenize", {"content": "a\u00fc", "with_pieces": True})
        self.assertEqual([one["piece"] for one in reply["tokens"]], ["a", [0xC3], [0xBC]])
        ids = [one["id"] for one in reply["tokens"]]
        self.assertEqual(self.server.succeed("/detokenize", {"tokens": ids})["content"], "a\u00fc")


class Together(Dialect):
    OPTIONS = ("--flavour", "together")

    def test_prompt_has_its_own_place_and_logprobs(self):
        reply = self.server.completions(PROMPT + TARGET, logprobs=1, max_tokens=1)
        (prompt,) = reply["prompt"]
        self.assertEqual(prompt["text"], PROMPT + TARGET)
        self.assertEqual(prompt["logprobs"]["token_logprobs"], self.vllm_scores(PROMPT + TARGET))
        self.assertEqual(len(prompt["logprobs"]["token_ids"]), len(prompt["logprobs"]["tokens"]))
        (choice,) = reply["choices"]
        self.assertNotIn(PROMPT, choice["text"])
        self.assertEqual(len(choice["logprobs"]["tokens"]), 1)

    def test_models_are_a_bare_list(self):
        (model,) = self.server.request("GET", "/v1/models").json()
        self.assertEqual(model["context_length"], 4096)

    def test_lists_are_refused(self):
        self.expect_refused(400, "/v1/completions", {"prompt": ["a", "b"]}, "invalid_request_error")


class Sglang(Dialect):
    OPTIONS = ("--flavour", "sglang")

    def generate(self, **fields):
        body = {"sampling_params": {"max_new_tokens": 0, "temperature": 0}, "return_logprob": True}
        return self.server.succeed("/generate", body | fields)

    def test_scores_begin_at_the_place_asked_for_with_null(self):
        truth = self.vllm_scores(PROMPT + TARGET)
        for start in (0, 3, len(truth) - 2):
            meta = self.generate(text=PROMPT + TARGET, logprob_start_len=start)["meta_info"]
            entries = meta["input_token_logprobs"]
            self.assertEqual(entries[0][0], None)
            self.assertEqual([one[0] for one in entries[1:]], truth[start + 1 :])
            self.assertEqual({one[2] for one in entries}, {None})
            self.assertEqual(meta["prompt_tokens"], len(truth))

    def test_lists_of_ids_give_lists_of_replies(self):
        replies = self.generate(
            input_ids=[[50, 51], [50, 51, 52]], logprob_start_len=0, return_text_in_logprobs=True
        )
        entries = [one["meta_info"]["input_token_logprobs"] for one in replies]
        self.assertEqual([len(one) for one in entries], [2, 3])
        self.assertIsInstance(entries[0][0][2], str)
        self.assertIsInstance(self.generate(input_ids=[50, 51]), dict)

    def test_tops_and_wanted_tokens_come_beside(self):
        reply = self.generate(
            text="yes no", logprob_start_len=0, top_logprobs_num=2, token_ids_logprob=[50]
        )
        meta = reply["meta_info"]
        self.assertIsNone(meta["input_top_logprobs"][0])
        self.assertEqual(len(meta["input_top_logprobs"][1]), 2)
        self.assertEqual(meta["input_token_ids_logprobs"][1][0][1], 50)

    def test_generated_tokens_are_scored(self):
        reply = self.generate(text=PROMPT, sampling_params={"max_new_tokens": 3, "temperature": 0})
        meta = reply["meta_info"]
        self.assertEqual([one[1] for one in meta["output_token_logprobs"]], reply["output_ids"])
        self.assertEqual(meta["input_token_logprobs"], [])

    def test_minus_infinity_is_an_error_of_the_server(self):
        body = {"input_ids": [50, 3], "return_logprob": True, "logprob_start_len": 0}
        self.expect_refused(500, "/generate", body, "not JSON compliant")

    def test_detokenize_leaves_control_tokens_out_unless_told_not_to(self):
        body = {"tokens": [1, *self.server.succeed("/tokenize", {"prompt": "yes"})["tokens"]]}
        self.assertEqual(self.server.succeed("/detokenize", body), {"text": "yes"})
        whole = self.server.succeed("/detokenize", body | {"skip_special_tokens": False})
        self.assertEqual(whole, {"text": "<s>yes"})

    def test_completions_have_no_offsets(self):
        scores = self.choice(PROMPT)["logprobs"]
        self.assertEqual(set(scores["text_offset"]), {-1})
        self.assertEqual(scores["token_logprobs"], self.vllm_scores(PROMPT))


class Tgi(Dialect):
    OPTIONS = ("--flavour", "tgi")

    def test_prefill_has_the_scores_of_the_prompt(self):
        parameters = {"max_new_tokens": 1, "details": True, "decoder_input_details": True}
        reply = self.server.succeed("/generate", {"inputs": PROMPT + TARGET, "parameters": parameters})
        prefill = reply["details"]["prefill"]
        self.assertEqual([one["logprob"] for one in prefill], self.vllm_scores(PROMPT + TARGET))
        self.assertEqual("".join(one["text"] for one in prefill), PROMPT + TARGET)
        self.assertEqual(len(reply["details"]["tokens"]), 1)

    def test_prefill_is_empty_when_not_asked_for(self):
        reply = self.server.succeed("/generate", {"inputs": PROMPT, "parameters": {"details": True}})
        self.assertEqual(reply["details"]["prefill"], [])

    def test_no_token_at_all_is_refused(self):
        body = {"inputs": PROMPT, "parameters": {"max_new_tokens": 0}}
        self.expect_refused(422, "/generate", body, "strictly positive")

    def test_echo_and_logprobs_of_completions_are_ignored(self):
        choice = self.choice(PROMPT, max_tokens=1)
        self.assertIsNone(choice["logprobs"])
        self.assertNotIn(PROMPT, choice["text"])

    def test_tokens_have_places(self):
        response = self.server.post("/tokenize", {"inputs": "the answer"})
        places = [(one["start"], one["stop"]) for one in response.json()]
        self.assertEqual(places, [(0, 3), (3, 10)])


    def test_prefill_is_empty_unless_the_server_computes_it(self):
        parameters = {"max_new_tokens": 1, "decoder_input_details": True}
        with FakeServer(*self.OPTIONS, "--no-prefill-logprobs") as server:
            reply = server.succeed("/generate", {"inputs": PROMPT, "parameters": parameters})
        self.assertEqual(reply["details"]["prefill"], [])
        self.assertEqual(len(reply["details"]["tokens"]), 1)

    def test_top_p_of_one_is_refused(self):
        body = {"inputs": PROMPT, "parameters": {"top_p": 1.0}}
        self.expect_refused(422, "/generate", body, "< 1.0")
        chat = {"messages": [{"role": "user", "content": "a"}], "top_p": 1.0}
        self.expect_refused(422, "/v1/chat/completions", chat, "< 1.0")

    def test_info_has_both_limits(self):
        info = self.server.request("GET", "/info").json()
        self.assertLess(info["max_input_tokens"], info["max_total_tokens"])


class EchoIgnored(Dialect):
    OPTIONS = ("--flavour", "echo-ignored")

    def test_only_the_drawn_token_is_scored(self):
        choice = self.choice(PROMPT + TARGET)
        self.assertNotIn(PROMPT, choice["text"])
        self.assertEqual(len(choice["logprobs"]["tokens"]), 1)


class Shifted(Dialect):
    OPTIONS = ("--flavour", "shifted")

    def test_scores_look_right_and_are_not(self):
        scores, truth = self.choice(PROMPT)["logprobs"]["token_logprobs"], self.vllm_scores(PROMPT)
        self.assertEqual(len(scores), len(truth))
        self.assertIsNone(scores[0])
        self.assertTrue(all(a != b for a, b in zip(scores[1:], truth[1:])))


class Context(unittest.TestCase):
    REFUSALS = {
        "vllm": (400, "maximum context length is 20 tokens"),
        "sglang": (400, "longer than the model's context length"),
        "llama-server": (400, "exceed_context_size_error"),
        "llama-cpp-python": (500, "exceed context window of 20"),
        "tgi": (422, "must be <= 20"),
    }

    def test_too_long_prompt_is_refused_in_the_words_of_the_server(self):
        for flavour, (status, words) in self.REFUSALS.items():
            options = ("--flavour", flavour, "--max-context", 20)
            with self.subTest(flavour=flavour), FakeServer(*options) as server:
                response = server.post("/v1/completions", {"prompt": "yes " * 30, "max_tokens": 1})
                self.assertEqual(response.status, status)
                self.assertIn(words, response.body.decode())

    def test_one_too_long_prompt_fails_its_list(self):
        with FakeServer("--max-context", 20) as server:
            response = server.post("/v1/completions", {"prompt": ["yes", "yes " * 30], "max_tokens": 1})
            self.assertEqual(response.status, 400)

    def test_truncation_is_silent_and_from_the_left(self):
        with FakeServer("--max-context", 20, "--truncate") as server:
            reply = server.completions("no" + " yes" * 30, max_tokens=1)
            self.assertEqual(reply["usage"]["prompt_tokens"], 19)
            self.assertEqual(reply["choices"][0]["logprobs"]["tokens"][:2], [" yes", " yes"])


class Scripted(unittest.TestCase):
    LINES = [
        {"match": "PROPOSE", "text": "Say what is so."},
        {"match": "so?", "target": "\nyes", "log_prob": -0.25},
        {"match": "so?", "target": "\nno", "log_prob": -4.5},
    ]

    def serve(self, flavour):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, "replies.jsonl")
        path.write_text("".join(json.dumps(line) + "\n" for line in self.LINES))
        server = FakeServer("--scripted", path, "--flavour", flavour)
        self.addCleanup(server.close)
        return server

    def test_tokens_of_a_scripted_target_have_its_value(self):
        server = self.serve("vllm")
        for target, value in (("\nyes", -0.25), ("\nno", -4.5)):
            scores = server.completions("Is it so? " + target)["choices"][0]["logprobs"]
            self.assertEqual(scores["tokens"][-2], "\n")
            self.assertEqual(scores["token_logprobs"][-2:], [value, value])
            self.assertNotEqual(scores["token_logprobs"][-3], value)

    def test_scripted_text_is_generated(self):
        server = self.serve("vllm")
        reply = server.completions("PROPOSE it", echo=False, max_tokens=50, logprobs=None)
        self.assertEqual(reply["choices"][0]["text"], "Say what is so.")
        self.assertEqual(reply["choices"][0]["finish_reason"], "stop")

    def test_forced_tokens_of_a_scripted_target_have_its_value(self):
        server = self.serve("llama-server")
        ids = server.succeed("/tokenize", {"content": "Is it so?" + "\nyes"})["tokens"]
        for i in (len(ids) - 2, len(ids) - 1):
            body = {"prompt": ids[:i], "max_tokens": 1, "logprobs": 1, "logit_bias": [[ids[i], 100]]}
            entry = server.succeed("/v1/completions", body)["choices"][0]["logprobs"]["content"][0]
            self.assertEqual(entry["logprob"], -0.25)

    def test_bad_line_is_named(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write('{"match": "a", "text": "b"}\n{"match": 3}\n')
            file.flush()
            with self.assertRaisesRegex(RuntimeError, r"jsonl:2: expected"):
                FakeServer("--scripted", file.name)
