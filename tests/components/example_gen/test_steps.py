"""The Beam steps: the bytes depend on the input alone, and splits are those of all buckets together."""

from __future__ import annotations

import gzip
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from components.example_gen import executor
from tests.components.example_gen.logs import Ingest, ingest_settings, many


@pytest.mark.parametrize("method", ["leave_last_out", "user_hash", "random"])  # the others: test_buckets
def test_bytes_do_not_depend_on_the_ranges(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Read at once or in pieces: the same bytes in every file."""
    folder, config = ml_csv(many()), ingest_settings(split={"method": method})
    reference = ingest(folder, config)
    monkeypatch.setattr(executor, "_RANGE_BYTES", 700)
    assert reference.files == ingest(folder, config, "ranges").files


@pytest.mark.parametrize("method", ["user_time", "time", "random"])
def test_buckets(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """In several shards: the same rows in each split, the same counts, and bytes that workers do not change."""
    folder, config = ml_csv(many() + b"u1,1,0.5,9\n"), ingest_settings(split={"method": method})
    reference = ingest(folder, config)
    monkeypatch.setattr(executor, "_BUCKET_BYTES", 2500)
    buckets = ingest(folder, config, "buckets")
    assert len([name for name in buckets.files if "Split-train" in name]) == 3
    for split, rows in reference.splits.items():
        assert sorted(buckets.splits[split]) == sorted(rows)
    assert buckets.counts == reference.counts
    assert buckets.movies == reference.movies
    monkeypatch.setattr(executor, "_RANGE_BYTES", 700)
    assert buckets.files == ingest(folder, config, "threads", threads=3).files


def test_the_bytes_are_known(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """Another process or machine writes the same records, in the same order."""
    files = ingest(ml_csv(many())).files
    test = gzip.decompress(files["examples/Split-test/data_tfrecord-00000-of-00001.gz"])
    assert (
        hashlib.sha256(test).hexdigest() == "cda081d5abcf8c7ff33b0e39bc58632b3c454598b51b34e042e5c4f9ea5ed7b6"
    )


def test_the_order_is_shuffled(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """Training reads in the order written; neighbours in the log are not neighbours in a shard."""
    train = ingest(ml_csv(many())).splits["train"]
    assert sum(a[1] == b[1] for a, b in itertools.pairwise(train)) < len(train) / 4


def test_time_split_is_global(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cuts are those of all buckets together."""
    monkeypatch.setattr(executor, "_BUCKET_BYTES", 3000)
    out = ingest(ml_csv(many()), ingest_settings(split={"method": "time"}))
    times = {split: [row[3] for row in rows] for split, rows in out.splits.items()}
    assert max(times["train"]) < min(times["eval"])
    assert max(times["eval"]) < min(times["test"])
    assert len(times["test"]) == pytest.approx(96, abs=8)


def test_duplicates(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """The latest wins by default, and among those of one second the last in the file."""
    extra = b"u1,1,0.5,9000\nu1,1,1.5,9000\nu1,2,0.5,1\n"
    for policy, first, second in (("latest", (1.5, 9000), (2.0, 1017)), ("first", (1.5, 1012), (0.5, 1))):
        out = ingest(ml_csv(many() + extra), ingest_settings(duplicates=policy), policy)
        rows = {r[:2]: r[2:4] for split in out.splits.values() for r in split}
        assert rows["u1", "1"] == first
        assert rows["u1", "2"] == second
        assert (out.counts["num_rows"], out.counts["num_duplicates"]) == (480, 3)
