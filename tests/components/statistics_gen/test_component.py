"""The executor on real Beam writes the statistics that the stock one writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as stock
from tfx.types import standard_artifacts

from components.shared import columns
from components.shared.errors import DataError
from components.shared.features import SPLITS
from components.shared.tfx_internals import files_of_splits
from components.statistics_gen import component
from tests.components.conftest import ROWS, run_executor, write_examples

Statistics = dict[str, statistics_pb2.DatasetFeatureStatistics]


def run(executor: type, examples: Path, folder: Path) -> dict[str, Statistics]:
    """Split -> feature -> its statistics."""
    out = standard_artifacts.ExampleStatistics()
    run_executor(executor, examples, folder, "statistics", out, {})
    assert out.split_names == '["train", "eval", "test"]'
    found = {}
    for split, path in files_of_splits(out.uri, "FeatureStats.pb").items():
        (dataset,) = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets
        found[split] = {"": statistics_pb2.DatasetFeatureStatistics(num_examples=dataset.num_examples)}
        found[split] |= {feature.path.step[0]: feature for feature in dataset.features}
    return found


def test_they_are_those_of_the_stock_executor(ingested: Path, tmp_path: Path) -> None:
    """Of MovieLens 100K, in its order, to the last bit; but for sums, which are not added up in the same order."""
    ours = run(component.Executor, ingested, tmp_path / "ours")
    theirs = run(stock.Executor, ingested, tmp_path / "theirs")
    assert set(ours) == set(theirs) == set(SPLITS)
    for split in SPLITS:
        assert list(ours[split]) == list(theirs[split])
        for name in ours[split]:
            one, other = ours[split][name], theirs[split][name]
            if name in ("rating", "timestamp"):
                for figure in ("mean", "std_dev"):
                    of_other = getattr(other.num_stats, figure)
                    assert getattr(one.num_stats, figure) == pytest.approx(of_other, rel=1e-12)
                    setattr(one.num_stats, figure, of_other)
            assert one == other, (split, name)
    assert ours["train"]["user_id"].string_stats.unique == 943


def test_shards_and_batches_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component, "_BATCH_ROWS", 2)
    for split in SPLITS:
        write_examples(tmp_path / f"examples/Split-{split}", ROWS, shards=2)
    train = run(component.Executor, tmp_path / "examples", tmp_path)["train"]
    assert train[""].num_examples == len(ROWS)
    users = train["user_id"].string_stats
    assert [(top.value, top.frequency) for top in users.top_values] == [("ann", 4), ("bob", 3), ("cid", 2)]
    assert train["genres"].string_stats.common_stats.tot_num_values == sum(len(row[3]) for row in ROWS)


def test_a_shard_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for split in SPLITS:
        uri = write_examples(tmp_path / f"examples/Split-{split}", ROWS)
    (shard,) = columns.shards(uri)
    Path(shard).write_bytes(b"no parquet")
    with pytest.raises(DataError, match=shard):
        run(component.Executor, tmp_path / "examples", tmp_path)
