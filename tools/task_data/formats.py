"""The formats that the tasks' sources are published in, and how records are read from them.

A format is recognised by what a file begins with, never by its name. What `dln data convert` reads by itself
is left to it (Format.convert); the rest is read here into records, which then take the same way.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass


class Fault(Exception):
    """Something in a file that its format does not have; `place` is "line 3", "example 12" or empty."""

    def __init__(self, place, message):
        super().__init__(message)
        self.place = place


@dataclass(frozen=True)
class Record:
    input: str
    label: str


@dataclass(frozen=True)
class Shape:
    """What a file looks like: its kind, and the fields of its first record."""

    kind: str  # "json document", "json array", "json lines", "table", "question types" or "text"
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    name: str
    kind: str
    fields: tuple[str, ...]
    convert: tuple[str, str, str] | None = None  # what dln data convert calls it: format, input, target
    read: Callable[[str, int], list[Record]] | None = None  # of the file's text and the seed
    csv_quotes: bool = False  # texts that held commas still have the quotes that CSV puts around them

    def fits(self, shape):
        return shape.kind == self.kind and set(self.fields) <= set(shape.fields)


def shape_of(text):
    """The shape of a text that is not blank. A file that is cut off has the shape of the whole one."""
    start = text.lstrip()
    first_line = start.partition("\n")[0]
    if start.startswith("["):
        return Shape("json array", _first_keys(start))
    if start.startswith("{"):
        try:
            record = json.loads(first_line)
        except ValueError:
            record = {"examples": []}
        if "examples" not in record:
            return Shape("json lines", tuple(record))
        # Cut off or pretty-printed, a document cannot be parsed by lines; its first names tell enough.
        names = re.findall(r'"(\w+)"\s*:', start[:100_000])
        return Shape("json document", tuple(dict.fromkeys(names)))
    if re.match(r"[A-Z]{3,4}:\w+ ", first_line):
        return Shape("question types")
    cells = next(csv.reader([first_line], delimiter=_delimiter(first_line)), [])
    if len(cells) == 2 and re.fullmatch(r"\d", cells[0]):
        return Shape("table", ("0", "1"))
    if len(cells) >= 2 and all(re.fullmatch(r"\w+", cell) for cell in cells):
        return Shape("table", tuple(cells))
    return Shape("text")


def _first_keys(array):
    try:
        record, _ = json.JSONDecoder().raw_decode(array, array.index("{"))
    except ValueError:
        return ()
    return tuple(record)


def _delimiter(header):
    return "\t" if "\t" in header else ","


def _text_field(record, name, place):
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise Fault(place, f'a text "{name}" is needed, found {json.dumps(value)[:80]}')
    return value


def _document(text):
    try:
        return json.loads(text)
    except ValueError as error:
        raise Fault("", f"not valid JSON: {error}. Is the file complete?") from error


def _read_table(input_column, label_column):
    def read(text, _seed):
        rows = csv.reader(
            io.StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0]), strict=True
        )
        records, header = [], None
        try:
            for row in rows:
                place = f"line {rows.line_num}"
                if header is None:
                    header = ["0", "1"] if input_column == "1" else row
                    if header is row:
                        continue
                if row and len(row) != len(header):
                    raise Fault(place, f"{len(row)} fields, not {len(header)}. Is a comma outside quotes?")
                if row:
                    cells = dict(zip(header, row))
                    records.append(Record(_text_field(cells, input_column, place), cells[label_column]))
        except csv.Error as error:
            raise Fault(f"line {rows.line_num}", f"not valid CSV: {error}. Is the file complete?") from error
        return records

    return read


def _read_question_types(text, _seed):
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        match = re.fullmatch(r"([A-Z]+):\w+ (.*\S)\s*", line)
        if line.strip() and not match:
            raise Fault(f"line {number}", f"TYPE:subtype and a question are needed, found {line[:80]!r}")
        if match:
            records.append(Record(match[2], match[1]))
    return records


def _read_leopard(text, _seed):
    return [
        Record(_text_field(one, "sentence1", place), _text_field(one, "label", place))
        for place, one in ((f"example {i}", one) for i, one in enumerate(_document(text), 1))
    ]


def _read_gsm8k(text, _seed):
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            problem = json.loads(line)
        except ValueError as error:
            raise Fault(place, f"not valid JSON: {error}. Is the file complete?") from error
        answer = _text_field(problem, "answer", place)
        result = answer.rpartition("####")[2].strip().replace(",", "")
        if "####" not in answer or not re.fullmatch(r"-?\d+(\.\d+)?", result):
            raise Fault(place, f'"answer" must end in "#### number", found {answer[-40:]!r}')
        records.append(Record(_text_field(problem, "question", place), result))
    return records


@dataclass(frozen=True)
class Choice:
    """An example of BIG-bench: a question, and its options with the right one."""

    question: str
    options: list[str]
    right: int


def _choices(text):
    examples = _document(text).get("examples")
    if not isinstance(examples, list):
        raise Fault("", 'a list "examples" is needed')
    for number, example in enumerate(examples, 1):
        place = f"example {number}"
        question = _text_field(example, "input", place)
        scores = example.get("target_scores")
        right = (
            [i for i, score in enumerate(scores.values()) if score == 1] if isinstance(scores, dict) else []
        )
        if not right:
            raise Fault(place, '"target_scores" with a score of 1 for an option is needed')
        yield place, Choice(question.strip(), list(scores), right[-1])


def _with_letters(choice, seed):
    """As in BIG-Bench Hard, the options in an order that depends on seed and question alone: in BIG-bench the
    right one often has the same place."""
    order = sorted(
        range(len(choice.options)),
        key=lambda i: hashlib.sha256(f"{seed}\n{choice.question}\n{choice.options[i]}".encode()).digest(),
    )
    lines = [f"({chr(ord('A') + place)}) {choice.options[i]}" for place, i in enumerate(order)]
    label = f"({chr(ord('A') + order.index(choice.right))})"
    return Record("\n".join([choice.question, "Options:", *lines]), label)


def _read_big_bench_choice(text, seed):
    return [_with_letters(choice, seed) for _, choice in _choices(text)]


def _read_big_bench_order(text, seed):
    intro = (
        "The following paragraphs each describe a set of seven objects arranged in a fixed order. "
        "The statements are logically consistent within each paragraph. "
    )
    return [
        _with_letters(Choice(intro + one.question, [o.rstrip(".") for o in one.options], one.right), seed)
        for _, one in _choices(text)
    ]


def _read_big_bench_quoted(text, seed):
    records = []
    for place, choice in _choices(text):
        question, _, rest = choice.question.partition('"')
        sentences = [part.strip() for part in rest.split('"')[::2]]
        if len(choice.options) != 2 or len(sentences) < 2:
            raise Fault(
                place, f'two sentences in quotes and two options are needed, found "{choice.question[:80]}"'
            )
        question = re.sub(r":.*", ":", question)
        records.append(_with_letters(Choice(question, sentences[:2], choice.right), seed))
    return records


def _read_big_bench_yes_no(text, _seed):
    intro = "If you follow these instructions, do you return to the starting point? "
    records = []
    for place, choice in _choices(text):
        if sorted(choice.options) != ["False", "True"]:
            raise Fault(place, f"the options must be True and False, found {', '.join(choice.options)[:80]}")
        label = "Yes" if choice.options[choice.right] == "True" else "No"
        records.append(Record(f"{intro}{choice.question}\nOptions:\n- Yes\n- No", label))
    return records


BBH = Format(
    'BIG-Bench Hard: {"examples": [{"input", "target"}]}',
    "json document",
    ("target",),
    ("bbh", "input", "target"),
)
SENTENCES = (
    Format(
        'Ordered-Prompt: JSON lines with "sentence", "label"',
        "json lines",
        ("sentence", "label"),
        ("json_lines", "sentence", "label"),
        csv_quotes=True,
    ),
    Format("LM-BFF: CSV without a header, number of the class and text", "table", ("0", "1"), read=_read_table("1", "0")),
    Format('SetFit: JSON lines with "text", "label_text"', "json lines", ("text", "label_text"),
           ("json_lines", "text", "label_text")),
    Format('JSON lines with "input", "target"', "json lines", ("input", "target"), ("json_lines", "input", "target")),
    Format('CSV or TSV with "text", "label_text"', "table", ("text", "label_text"),
           read=_read_table("text", "label_text")),
    Format('CSV or TSV with "sentence", "label"', "table", ("sentence", "label"),
           read=_read_table("sentence", "label")),
)  # fmt: skip
TREC = Format("TREC's own: TYPE:subtype question", "question types", (), read=_read_question_types)
LEOPARD = Format(
    'Leopard: [{"sentence1", "label"}]', "json array", ("sentence1", "label"), read=_read_leopard
)
GSM8K = Format(
    'GSM8K: JSON lines with "question", "answer"', "json lines", ("question", "answer"), read=_read_gsm8k
)


def _big_bench(read):
    name = 'BIG-bench: {"examples": [{"input", "target_scores"}]}'
    return Format(name, "json document", ("target_scores",), read=read)


BIG_BENCH_CHOICE = _big_bench(_read_big_bench_choice)
BIG_BENCH_ORDER = _big_bench(_read_big_bench_order)
BIG_BENCH_QUOTED = _big_bench(_read_big_bench_quoted)
BIG_BENCH_YES_NO = _big_bench(_read_big_bench_yes_no)
