"""From the bytes of a task's sources to its folder of train, dev and test, which appears whole or not at all.

`dln data convert` checks targets and names them, `dln data split` draws the parts. What lies between, that no
input is in two parts, is done here, since parts may come from different files.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import formats
from .sources import Content, SourceError
from .tasks import Source, Task

PARTS = ("train", "dev", "test")
MADE = {f"{part}.jsonl" for part in PARTS} | {"SOURCES.json"}


@dataclasses.dataclass(frozen=True)
class Given:
    """A source with its content, and the format that this has."""

    source: Source
    content: Content
    format: formats.Format
    text: str


@dataclasses.dataclass
class Pool:
    """The examples of one source without those that came before."""

    examples: list[dict]
    repeated: int = 0  # in this source
    shared: int = 0  # with a source that the split names earlier


def recognise(task, source, content):
    """Raises SourceError when the content has none of the source's formats."""
    try:
        text = content.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if formats.TREC not in source.formats:
            raise SourceError(
                f"{content.origin}: is not UTF-8: byte {error.start + 1} is 0x{content.data[error.start]:02x}."
            ) from error
        text = content.data.decode("latin-1")
    shape = formats.shape_of(text)
    for one in source.formats:
        if one.fits(shape):
            return Given(source, content, one, text)
    found = shape.kind + (f" with the fields {', '.join(shape.fields[:12])}" if shape.fields else "")
    right = "".join(f"\n    {one.name}" for one in source.formats)
    raise SourceError(
        f"{content.origin}: is not what {task.name} takes for {source.role} ({source.what}). Found: {found}. Right is"
        f"{' one of' if len(source.formats) > 1 else ''}:{right}"
    )


def check_digest(given, recorded, unverified):
    """What is known of the content: "public", "as before" or "new". Raises SourceError where it is another
    content than the published one, or than the one of the last time."""
    public, content = given.source.public, given.content
    if public.sha256 == content.sha256:
        return "public"
    fault = ""
    if public.sha256 and given.format is given.source.formats[0]:
        fault = (
            f"is not the published file: {len(content.data):,} bytes with sha256 {content.sha256}, published are "
            f"{public.bytes:,} bytes with sha256 {public.sha256}"
            f"{' (cut off?)' if len(content.data) < public.bytes else ''}. Right is {public.url}"
        )
    before = recorded.get((given.source.role, content.identity))
    if not fault and before and before != content.sha256:
        fault = f"has changed: sha256 {content.sha256}, SOURCES.json tells of {before} the last time"
    if fault and not unverified:
        raise SourceError(f"{content.origin}: {fault}. To take this file all the same, add --unverified.")
    return "as before" if before == content.sha256 else "new"


def recorded_digests(folder):
    """The digests in a SOURCES.json, by role and origin; empty without one that can be read."""
    try:
        sources = json.loads((folder / "SOURCES.json").read_text())["sources"]
        return {(one["role"], one["from"]): one["sha256"] for one in sources}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


class Builder:
    """Makes the folder of one task. `dln` is the program, `work` a folder for files on the way."""

    def __init__(self, task: Task, seed, wanted, dln, work):
        self.task = task
        self.seed = seed
        self.wanted = wanted  # sizes that the user asked for, by part
        self.dln = dln
        self.work = work

    def build(self, givens):
        """Writes the parts to work/out. Returns what SOURCES.json tells of them."""
        roles = {given.source.role for given in givens}
        complete = all(role in roles for role in self.task.split)
        split = self.task.split if complete else self.task.without
        by_role = {given.source.role: given for given in givens}
        pools = self._pools({role: self._examples(by_role[role]) for role in split})
        out = self.work / "out"
        for role, rule in split.items():
            self._draw(by_role[role].content.origin, pools[role], rule, out)
        return {
            "left_out": {role: {"repeated": p.repeated, "shared": p.shared} for role, p in pools.items()},
            "examples": {part: _lines(out / f"{part}.jsonl") for part in PARTS},
        }

    def _examples(self, given):
        """The source's examples with this task's names of classes."""
        content = given.content
        kind, input_field, target_field = given.format.convert or ("json_lines", "input", "target")
        raw = self.work / f"{given.source.role}.raw"
        if given.format.read:
            try:
                records = given.format.read(given.text, self.seed)
            except formats.Fault as fault:
                raise SourceError(
                    f"{content.origin}: {fault.place}{': ' if fault.place else ''}{fault}"
                ) from fault
            _write_lines(raw, [{"input": one.input, "target": one.label} for one in records])
        else:
            raw.write_bytes(content.data)
        converted = self.work / f"{given.source.role}.jsonl"
        options = [
            "--format",
            kind,
            "--input-field",
            input_field,
            "--target-field",
            target_field,
            "--out",
            converted,
        ]
        for name, label in self._labels().items():
            options += ["--label", f"{name}={label}"]
        for name in self.task.classes:
            options += ["--class", name]
        self._run("convert", raw, options, f"{content.origin}:{'' if given.format.convert else ' example '}")
        examples = [json.loads(line) for line in converted.read_text(encoding="utf-8").split("\n") if line]
        for one in examples:
            one["input"] = plain_text(one["input"], given.format.csv_quotes)
        return examples

    def _labels(self):
        """Every name that a published file has for a class: dln takes no label that has no target."""
        if not self.task.labels:
            return {}
        names = {form: one for one in self.task.classes for form in (one, one.capitalize(), one.upper())}
        return {**names, **self.task.labels}

    def _pools(self, examples):
        first_role, pools = {}, {}
        for role, ones in examples.items():
            pool = pools[role] = Pool([])
            for one in ones:
                first = first_role.get(key := same_key(one["input"], self.task.same_question))
                if first is None:
                    first_role[key] = role
                    pool.examples.append(one)
                elif first == role:
                    pool.repeated += 1
                else:
                    pool.shared += 1
        return pools

    def _draw(self, origin, pool, rule, out):
        available = len(pool.examples)
        sizes = {part: size for part, size in rule.of(available).items() if size != 0}
        for part in sizes:
            if self.wanted[part] is not None:
                sizes[part] = self.wanted[part]
        rest = available - sum(size for size in sizes.values() if size is not None)
        sizes = {part: max(rest, 0) if size is None else size for part, size in sizes.items()}
        if rest < 0 or 0 in sizes.values():
            options = ", ".join(f"--{part} {size}" for part, size in sizes.items())
            raise SourceError(
                f"{origin}: has {available:,} examples that can be used (left out: {pool.repeated} repeated, "
                f"{pool.shared} that another file has), too few for {options}. Ask for fewer with these options."
            )
        source = self.work / "pool.jsonl"
        _write_lines(source, pool.examples)
        options = ["--format", "json_lines", "--seed", str(self.seed), "--out", self.work / "drawn"]
        for part in PARTS:
            options += [f"--{part}", str(sizes.get(part, 0))]
        self._run("split", source, options, f"{origin}:")
        out.mkdir(exist_ok=True)
        for part in sizes:
            os.replace(self.work / "drawn" / f"{part}.jsonl", out / f"{part}.jsonl")

    def _run(self, action, source, options, place):
        """dln data ACTION; its message becomes ours, with `place` for the file on the way."""
        try:
            done = subprocess.run(
                [self.dln, "data", action, source, *options],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise SourceError(
                f"{self.dln}: cannot be run: {error.strerror}. DLN_PROGRAM names another dln."
            ) from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().removeprefix("dln: ")
            raise SourceError(said.replace(f"{source}:", place) or f"dln data {action} failed")


def plain_text(text, csv_quotes):
    """Without blanks around it and, where a file has them, the quotes that CSV puts around a text with commas."""
    text = text.strip()
    if (
        csv_quotes
        and len(text) > 2
        and text[0] == text[-1] == '"'
        and '"' not in text[1:-1].replace('""', "")
    ):
        text = text[1:-1].replace('""', '"').strip()
    return text


def same_key(text, same_question):
    """Equal for inputs that are the same example: blanks, capitals and the order of options do not count."""
    question, _, options = text.partition("\nOptions:\n")
    lines = [] if same_question else sorted(re.sub(r"^\([A-Z]\) ", "", line) for line in options.split("\n"))
    return " ".join(" ".join([question, *lines]).casefold().split())


def _write_lines(path, objects):
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")


def _lines(path):
    return path.read_bytes().count(b"\n")


@contextlib.contextmanager
def work_folder(parent):
    """A folder in `parent`, so that what is made in it can be renamed; gone at the end. `parent` is made too,
    and stays only when something has come into it."""
    absent = [one for one in (parent, *parent.parents) if not one.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=".get-data-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty
            for one in absent:
                one.rmdir()


def check_replaceable(folder):
    """Only what get-data made is ever replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SourceError(f"{folder}: is no folder. Give another --out, or move it away.")
    names = {path.name for path in folder.iterdir()}
    if names and ("SOURCES.json" not in names or names - MADE):
        others = ", ".join(sorted(names - MADE or names)[:5])
        raise SourceError(
            f"{folder}: holds files that get-data did not make: {others}. Give another --out, or move them away."
        )


def put_in_place(made, folder):
    """Renames the folder `made` to `folder`; an older one goes only when the new one has come."""
    old = made.parent / "old"
    if folder.exists():
        os.rename(folder, old)
    try:
        os.rename(made, folder)
    except OSError:
        if old.exists():
            os.rename(old, folder)
        raise


def write_sources(path, description):
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(description, indent=4) + "\n")
        file.flush()
        os.fsync(file.fileno())
