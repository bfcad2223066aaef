"""Others can read step files: h5py finds in the sample step what write_sample_step put there.

Usage: read_with_h5py.py <program write_sample_step>
"""

import hashlib
import math
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import h5py
import numpy


def text(value):
    """A stored text: bytes of a UTF-8 string, or an array of uint8 when it is no plain text."""
    return bytes(value)


def digest(file):
    """The digest as docs/checkpoint-format.md defines it."""
    sha = hashlib.sha256()
    number = lambda n: sha.update((n % 2**64).to_bytes(8, "little"))
    paths = []
    file.visititems(lambda p, o: paths.append(p) if isinstance(o, h5py.Dataset) else None)
    for path in sorted(paths, key=str.encode):
        if path.startswith("timing/"):
            continue
        data = file[path]
        number(len(path.encode()))
        sha.update(path.encode())
        tag = {"i": b"i", "f": b"d", "O": b"s"}[data.dtype.kind]
        sha.update(tag)
        number(len(data.shape))
        for extent in data.shape:
            number(extent)
        values = [data[()]] if data.shape == () else list(data[()].ravel()) if data.size else []
        for value in values:
            if tag == b"s":
                number(len(text(value)))
                sha.update(text(value))
            else:
                sha.update(struct.pack("<q" if tag == b"i" else "<d", value))
    return sha.hexdigest()


def main():
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.argv[1], directory], check=True)
        path = pathlib.Path(directory) / "000012.h5"
        with h5py.File(path, "r") as file:
            assert file.attrs["file_type"] == "dln-step"
            assert file.attrs["format_version"] == 3
            assert file.attrs["program_version"] == "0.1.0"
            assert file.attrs["job_hash"] == "cafe"
            assert file.attrs["step"] == 12
            assert file.attrs["digest"] == digest(file), "digest"
            assert file["state/step"][()] == 12
            assert file["state/seed"][()] == -(2**63)
            assert file["state/layers/0/prompt"].asstr()[()] == "Ist der Text höflich? 是的 🙂"
            assert file["state/layers/1/prompt"].asstr()[()] == ""
            prompts = file["candidates/prompts"].asstr()[()]
            assert prompts.tolist() == [["a", ""], ["line\nbreak", 'tab\t"quote"']]
            odd = [text(value) for value in file["candidates/bytes"][()]]
            assert odd == [b"nul\0inside", b"\xff\xfe", b"", b"plain"], odd
            assert len(file["candidates/long"][0]) == 1 << 20
            matrix = file["scores/matrix"][()]
            assert matrix.dtype == numpy.dtype("<f8") and matrix.shape == (2, 3)
            assert math.copysign(1, matrix[0, 0]) == -1 and math.isnan(matrix[0, 1])
            assert matrix[1, 1] == 1 / 3
            assert file["scores/none"].shape == (0,) and file["scores/no_rows"].shape == (0, 3)
            assert file["scores/cube"][1, 0, 1] == 4
            assert file["scores/many"].fletcher32 and file["scores/many"][99, 99] == 9999 / 7
        # The seal, as documented.
        data = path.read_bytes()
        lines = data[:512].decode().splitlines()
        assert lines[1] == f"bytes {len(data) - 512}"
        assert lines[2] == "sha256 " + hashlib.sha256(data[512:]).hexdigest()
        # HDF5's own tool, where installed, shows prompts as text.
        if shutil.which("h5dump"):
            command = ["h5dump", "-d", "/candidates/prompts", str(path)]
            dump = subprocess.run(command, capture_output=True, text=True, check=True)
            assert '(1,0): "line' in dump.stdout, dump.stdout
    print("h5py", h5py.version.version, "reads everything")


main()
