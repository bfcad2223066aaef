"""Others can read the journal: the Python on the page of its format finds what write_sample_journal put.

Usage: read_journal.py <program write_sample_journal> <journal-format.md>
"""

import pathlib
import re
import subprocess
import sys
import tempfile


def main():
    page = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [example] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    reader = {}
    exec(code, reader)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.argv[1], directory], check=True)
        written = pathlib.Path(directory, "rank-0.jsonl")
        line = written.read_text(encoding="utf-8").splitlines(keepends=True)[0]
        assert line == example, f"the page's example is not what is written:\n{line}"
        wanted = ['{"text": "höflich"}'.encode(), b"nul\0\xff", b""]
        assert list(reader["replies"](directory).values()) == wanted
        written.write_bytes(written.read_bytes() + line.encode()[:-1])  # torn
        assert list(reader["replies"](directory).values()) == wanted
        check_hashes(directory, line)
    print("the page's example and its reader agree with the program")


def check_hashes(directory, line):
    """Key and checksum as the page defines them, where the package xxhash is installed."""
    try:
        import xxhash
    except ImportError:
        return
    parts = [b"sample", b"/v1/completions", b'{"prompt": "polite"}']
    key = xxhash.xxh3_128_hexdigest(b"".join(len(p).to_bytes(8, "little") + p for p in parts))
    assert f'"key":"{key}"' in line, key
    for path in pathlib.Path(directory).iterdir():
        for sealed in path.read_bytes().split(b"\n")[:-1]:
            fields, _, rest = sealed.rpartition(b',"xxh3":"')
            assert rest == xxhash.xxh3_64_hexdigest(fields).encode() + b'"}'


main()
