"""Heads of text files that cannot be read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from components.example_gen import detection
from components.shared.errors import DataError
from tests.components.example_gen.reading import DEFAULT

GOOD = "user_id,movie_id,rating,timestamp\n1,1,1,1\n"


def refuse(folder: Path, data: bytes) -> DataError:
    (folder / "r.csv").write_bytes(data)
    with pytest.raises(DataError) as caught:
        detection.detect(str(folder), DEFAULT)
    assert caught.value.where == str(folder / "r.csv")
    return caught.value


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
        *[(f"utf-{bits}-{end}", f"UTF-{bits}") for bits in (16, 32) for end in ("le", "be")],
    ],
)
def test_a_wide_encoding_is_refused_by_its_name(tmp_path: Path, encoding: str, name: str) -> None:
    """By the mark at the beginning, in either order of bytes."""
    error = refuse(tmp_path, ("\ufeff" * encoding.endswith("e") + GOOD).encode(encoding))
    assert (error.problem, error.fix) == (f"The file is {name}.", "convert the file to UTF-8")


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("r.csv", data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "command"),
    [
        ("gzip", gzip.compress(GOOD.encode()), "gzip -dc"),
        ("gzip", gzip.compress(b""), "gzip -dc"),
        ("zip", zipped(GOOD.encode()), "unzip -p"),
        ("bzip2", bz2.compress(GOOD.encode()), "bzip2 -dc"),
        ("bzip2", bz2.compress(b""), "bzip2 -dc"),
        ("xz", lzma.compress(GOOD.encode()), "xz -dc"),
        ("zstd", pa.compress(GOOD.encode(), "zstd", asbytes=True), "zstd -dc"),
    ],
)
def test_a_compressed_file_is_told_as_such(tmp_path: Path, name: str, data: bytes, command: str) -> None:
    """And what unpacks it."""
    error = refuse(tmp_path, data)
    assert error.problem == f"The file is compressed ({name})."
    assert error.fix == f"put in its place what `{command} r.csv` writes"


@pytest.mark.parametrize("user", ["PK", "BZh9", "BZh9x"])
def test_text_that_begins_as_a_compressed_file_might(tmp_path: Path, user: str) -> None:
    (tmp_path / "u.data").write_text(f"{user}\t1\t1\t1\n")
    (tmp_path / "u.item").write_text("|".join(["1", "One", "", "", "", *["0"] * 19]) + "\n")
    assert detection.detect(str(tmp_path), DEFAULT).layout == "ml-100k"
