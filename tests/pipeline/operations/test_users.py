"""Lists of users: each way to write them, and what is none."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.shared.errors import DataError
from pipeline.operations.users import user_ids


def read(path, rows=2):
    return [piece.to_pylist() for piece in user_ids(path, rows)]


@pytest.mark.parametrize(
    "text",
    ["1\n2\nx\n", "\n1\n\n2\r\nx", "\ufeffuser_id\n1\n2\nx\n", 'name,user_id\n"a,b",1\nb,2\nc,x\n'],
    ids=["lines", "blank lines", "a column alone", "CSV"],
)
def test_text_gives_its_ids_in_pieces(tmp_path, text):
    path = tmp_path / "users"
    path.write_text(text)
    assert read(path) == [["1", "2"], ["x"]]


@pytest.mark.parametrize("values", [[1, 2, 3], ["1", "2", "3"], [1.0, 2.0, 3.0]], ids=str)
def test_parquet_gives_ids_as_the_ratings_have_them(tmp_path, values):
    path = tmp_path / "users"
    pq.write_table(pa.table({"at": [0, 0, 0], "user_id": values}), path)
    assert read(path) == [["1", "2"], ["3"]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no users in the file"),
        (b"\n \n", "no users in the file"),
        (b"user_id\n", "no users in the file"),
        (b"id,age\n1,2\n", "no column of their ids"),
        (b"1\n2,3\n", "users:2"),
        (b"user_id,age\n1,2\n3\n", "users:3"),
        (b"1\n\xff\n", "UTF-8"),
        (b"1\n2\n\x01x\n", "line 3"),
        (b"1\n2\n" + b"x" * 2000 + b"\n", "line 3"),
        (b"PAR1 and no more", "not Parquet"),
    ],
)
def test_what_is_no_list_of_users_is_told(tmp_path, content, says):
    path = tmp_path / "users"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read(path)


def test_parquet_without_the_column_or_with_a_null_is_told(tmp_path):
    path = tmp_path / "users"
    pq.write_table(pa.table({"id": [1]}), path)
    with pytest.raises(DataError, match="no column of their ids"):
        read(path)
    pq.write_table(pa.table({"user_id": [1, 2, None]}), path)
    with pytest.raises(DataError, match="row 3"):
        read(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "users")
