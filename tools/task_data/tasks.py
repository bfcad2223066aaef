"""The tasks that tools/get-data knows, as one table. docs/data.md shows it to people.

To add a task, add an entry to TASKS, a line to docs/data.md, and a job to jobs/tasks. A public file has a
digest where it lies at a fixed commit of its repository; None says that nobody has vouched for one.
"""

from dataclasses import dataclass, field

from . import formats


@dataclass(frozen=True)
class PublicFile:
    """Where a source is published: the address, and what its bytes are where that is certain."""

    url: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A file that a task needs. `names` are patterns by which a file of the user's is recognised."""

    role: str
    what: str
    formats: tuple[formats.Format, ...]  # the first is that of `public`
    public: PublicFile
    names: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True)
class Sizes:
    """Parts drawn from a source: so many examples of each, all that is left for None."""

    train: int | None = 0
    dev: int | None = 0
    test: int | None = 0

    def of(self, available):
        del available
        return {"train": self.train, "dev": self.dev, "test": self.test}


@dataclass(frozen=True)
class Halves:
    """Half of a source for train, half for dev, at most so many."""

    train: int
    dev: int

    def of(self, available):
        half = available // 2
        return {"train": min(half, self.train), "dev": min(available - half, self.dev), "test": 0}


@dataclass(frozen=True)
class Task:
    """`split` says which parts come from which source; an input that two sources share stays with the one
    named first. `without` is the split where an optional source is not given."""

    name: str
    about: str
    sources: tuple[Source, ...]
    split: dict[str, Sizes | Halves]
    licence: str
    classes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    without: dict[str, Sizes | Halves] = field(default_factory=dict)
    same_question: bool = False  # examples are the same when their questions are, whatever the options

    def source(self, role):
        return next((one for one in self.sources if one.role == role), None)


GITHUB = "https://raw.githubusercontent.com"
ORDERED_PROMPT = f"{GITHUB}/yaolu/Ordered-Prompt/e93f70d0a5f6a8cfcadf6f2917c26eed265cd0be/data"
LEOPARD = f"{GITHUB}/iesl/leopard/024ee5fdd7c1117720336516f0b6047cec6ee8a5/data/json"
BBH = f"{GITHUB}/suzgunmirac/BIG-Bench-Hard/9ee07bd481feebf959a6b59d61ea57bdcf30964d/bbh"
BIG_BENCH = f"{GITHUB}/google/BIG-bench/main/bigbench/benchmark_tasks"
GSM8K = f"{GITHUB}/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data"


def big_bench_task(name, about, bbh, folder, task_json, classes, **more):
    """Test is BIG-Bench Hard; train and dev are what BIG-bench has beyond it."""
    return Task(
        name=name,
        about=about,
        sources=(
            Source("bbh", "BIG-Bench Hard's file", (formats.BBH,), bbh, (f"{name}*.json",)),
            Source(
                "big-bench",
                "BIG-bench's task.json, of which BIG-Bench Hard is a part",
                (task_json,),
                PublicFile(f"{BIG_BENCH}/{folder}/task.json"),
                ("task*.json", "*big-bench*.json"),
                optional=True,
            ),
        ),
        split={"bbh": Sizes(test=None), "big-bench": Halves(train=1000, dev=more.pop("dev", 1000))},
        without={"bbh": Sizes(train=75, dev=50, test=125)},
        licence="MIT (BIG-Bench Hard), Apache 2.0 (BIG-bench)",
        classes=classes,
        **more,
    )


def sentence_task(name, about, labels, files, **names):
    """One of Ordered-Prompt's: dev comes from train's file, since the published dev file repeats test's."""
    train, test = (
        PublicFile(f"{ORDERED_PROMPT}/{name}/{role}.jsonl", *files[role]) for role in ("train", "test")
    )
    kinds = formats.SENTENCES + ((formats.TREC,) if name == "trec" else ())
    return Task(
        name=name,
        about=about,
        sources=(
            Source("train", "training sentences", kinds, train, ("*train*",)),
            Source("test", "test sentences", kinds, test, ("*test*", "TREC_10*")),
        ),
        split={"test": Sizes(test=250), "train": Sizes(train=1000, dev=256)},
        licence="MIT (Ordered-Prompt, which packed it); none named for the texts themselves",
        classes=tuple(labels.values()),
        labels={**labels, **names},
    )


def tweet_task(name, about, labels, size, sha256):
    return Task(
        name=name,
        about=about,
        sources=(
            Source(
                "eval",
                "Leopard's file of all examples",
                (formats.LEOPARD,),
                PublicFile(f"{LEOPARD}/{name}/{name}_eval.json", size, sha256),
                ("*eval*",),
            ),
        ),
        split={"eval": Sizes(train=1000, dev=250, test=250)},
        licence="none named by Leopard",
        classes=tuple(labels.values()),
        labels=labels,
    )


def letters(count):
    return tuple(f"({letter})" for letter in "ABCDEFG"[:count])


TASKS = (
    big_bench_task(
        "hyperbaton",
        "which of two sentences has its adjectives in the right order?",
        PublicFile(
            f"{BBH}/hyperbaton.json",
            44706,
            "b6d7f55c75f5d02f2987a4f3123802dfa093872089a56a334144aae8a7264fdc",
        ),
        "hyperbaton",
        formats.BIG_BENCH_QUOTED,
        letters(2),
        dev=300,
    ),
    big_bench_task(
        "navigate",
        "do the steps lead back to the start?",
        PublicFile(
            f"{BBH}/navigate.json", 55163, "b7944dfd3c81da5c4815bd75b00d6fa3c64140823498e78ed496f4c3d36f7f0d"
        ),
        "navigate",
        formats.BIG_BENCH_YES_NO,
        ("Yes", "No"),
    ),
    big_bench_task(
        "date_understanding",
        "infer a date from the context",
        PublicFile(
            f"{BBH}/date_understanding.json",
            61760,
            "0148d4ac5fca05b2f82373e5fef7208e15363b9c6079493034d77b3dab496bf5",
        ),
        "date_understanding",
        formats.BIG_BENCH_CHOICE,
        letters(6),
        same_question=True,
    ),
    big_bench_task(
        "logical_deduction_seven_objects",
        "deduce the order of seven objects",
        PublicFile(
            f"{BBH}/logical_deduction_seven_objects.json",
            198404,
            "2896c7e3482eea318dd37bcc370d24ec3cc91e8374c1784287b5dbd38a529e33",
        ),
        "logical_deduction/seven_objects",
        formats.BIG_BENCH_ORDER,
        letters(7),
    ),
    sentence_task(
        "mpqa",
        "is a phrase negative or positive?",
        {"0": "negative", "1": "positive"},
        {
            "train": (427049, "1c75f1be0bfc47b979c9d523bdaeb848458534210f264786dc4c3951c36c2a47"),
            "test": (100574, "76bb31c45d3cfa63e14fbe7b912d0172a14971ec5013d0a3eeae75559e8b337c"),
        },
    ),
    sentence_task(
        "trec",
        "what does a question ask for?",
        {"0": "description", "1": "entity", "2": "expression", "3": "human", "4": "location", "5": "number"},
        {
            "train": (446651, "a0aeddb43e902809a167a198b0731fe83eedb2f8177dccd7fa9113e083e7bd54"),
            "test": (33527, "1dcdbf856b9f0e561c6c75cac4587968f996ea0f83f82d00a0d893639bec389d"),
        },
        DESC="description",
        ENTY="entity",
        ABBR="expression",
        HUM="human",
        LOC="location",
        NUM="number",
    ),
    sentence_task(
        "subj",
        "is a sentence subjective or objective?",
        {"0": "subjective", "1": "objective"},
        {
            "train": (1293880, "dcff8bc8f67041b1671cff0370f806a4ff50d036b60e984c47a28e4a7d37d6db"),
            "test": (327363, "64f4eb9c844f89768fcfc153bd73c5297285c3f1d80caaa95e12f46d6e663a94"),
        },
    ),
    tweet_task(
        "disaster",
        "is a tweet about a disaster?",
        {"Not Relevant": "no", "Relevant": "yes"},
        1571834,
        "44bc8a4c73644ff210f111149b68bfd650c983e0e3f9b5cac6c98e0c6806cdf0",
    ),
    tweet_task(
        "airline",
        "is a tweet about an airline positive, negative or neutral?",
        {"positive": "positive", "negative": "negative", "neutral": "neutral"},
        2115556,
        "efc2b1c7e2f29ae5eb3060fec9d080c88ee2346a5fd68e051807e5ccee79a62a",
    ),
    Task(
        name="gsm8k",
        about="school mathematics in words; the target is the number",
        sources=(
            Source(
                "train",
                "training problems",
                (formats.GSM8K,),
                PublicFile(
                    f"{GSM8K}/train.jsonl",
                    4166206,
                    "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
                ),
                ("*train*",),
            ),
            Source(
                "test",
                "test problems",
                (formats.GSM8K,),
                PublicFile(
                    f"{GSM8K}/test.jsonl",
                    749738,
                    "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
                ),
                ("*test*",),
            ),
        ),
        split={"test": Sizes(test=None), "train": Halves(train=1_000_000, dev=1_000_000)},
        licence="MIT",
    ),
)
