"""The executor on real Beam makes the graph that the stock one makes, of columns."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow_transform as tft
from tfx import types
from tfx.components.transform import executor as stock
from tfx.types import standard_artifacts

from components.shared import columns
from components.shared.errors import DataError
from components.shared.features import VOCABULARY_KEYS, LabelRule
from components.transform.component import Executor, RatingsTransform
from tests.components.conftest import ROWS, run_executor, write_examples


def run(executor: type, examples: Path, folder: Path) -> tft.TFTransformOutput:
    channels = (types.Channel(type=of) for of in (standard_artifacts.Examples, standard_artifacts.Schema))
    node = RatingsTransform(*channels, LabelRule(), 2)
    graph = standard_artifacts.TransformGraph()
    run_executor(executor, examples, folder, "transform_graph", graph, dict(node.exec_properties))
    return tft.TFTransformOutput(graph.uri)


def test_vocabularies_and_features_are_those_of_the_stock_executor(ingested: Path, tmp_path: Path) -> None:
    """On MovieLens 100K, whose ids have many ties of frequency."""
    ours = run(Executor, ingested, tmp_path / "ours")
    theirs = run(stock.Executor, ingested, tmp_path / "theirs")
    for key in VOCABULARY_KEYS:
        assert ours.vocabulary_by_name(key) == theirs.vocabulary_by_name(key)
    assert len(ours.vocabulary_by_name("user_id")) == 943
    assert ours.raw_metadata == theirs.raw_metadata
    assert ours.transformed_metadata == theirs.transformed_metadata
    assert {path.name for path in (tmp_path / "ours/transform_graph").iterdir()} == {
        "metadata",
        "transform_fn",
        "transformed_metadata",
    }


def test_ids_of_all_shards_are_counted(tmp_path: Path) -> None:
    write_examples(tmp_path / "examples/Split-train", ROWS, shards=2)
    output = run(Executor, tmp_path / "examples", tmp_path)
    assert output.vocabulary_by_name("user_id") == [b"ann", b"bob", b"cid"]


def test_a_shard_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    split = write_examples(tmp_path / "examples/Split-train", ROWS)
    (shard,) = columns.shards(split)
    Path(shard).write_bytes(b"no parquet")
    with pytest.raises(DataError, match=shard):
        run(Executor, tmp_path / "examples", tmp_path)
