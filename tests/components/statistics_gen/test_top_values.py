"""The most frequent values are those of TFDV's exact generator."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from apache_beam.testing.util import assert_that
from google.protobuf import text_format
from tensorflow_data_validation.statistics.generators.top_k_uniques_stats_generator import (
    TopKUniquesStatsGenerator,
)
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.statistics_gen.top_values import TopValues

# As TFDV's: string_domain and categorical integers are counted, bytes that are no words are not.
SCHEMA = text_format.Parse(
    """
    feature { name: "word" type: BYTES }
    feature { name: "code" type: INT int_domain { is_categorical: true } }
    feature { name: "number" type: INT }
    feature { name: "blob" type: BYTES image_domain { } }
    """,
    schema_pb2.Schema(),
)


def batches(rows: int, values: int) -> list[pa.RecordBatch]:
    """With many ties: a value is of one to four rows or so."""
    random = np.random.default_rng(0)

    def of(kind: pa.DataType) -> pa.Array:
        drawn = random.integers(0, values, rows)
        of_row = [[int(v)] if pa.types.is_integer(kind) else [f"v{v}".encode()] for v in drawn]
        of_row[0] = None  # has none
        of_row[1] = of_row[1] * 2
        return pa.array(of_row, pa.large_list(kind))

    columns = {"word": pa.large_binary(), "code": pa.int64(), "number": pa.int64(), "blob": pa.large_binary()}
    return [
        pa.RecordBatch.from_arrays([of(kind) for kind in columns.values()], list(columns)) for _ in range(3)
    ]


@pytest.mark.parametrize(("rows", "values"), [(1000, 700), (50, 3)], ids=["many values", "few"])
def test_they_are_those_of_tfdv(rows: int, values: int) -> None:
    options = tfdv.StatsOptions(schema=SCHEMA, num_top_values=5, num_rank_histogram_buckets=40)
    ours = TopValues(options)
    first, second = ours.create_accumulator(), ours.create_accumulator()
    one, two, three = batches(rows, values)
    first = ours.add_input(ours.add_input(first, one), two)
    second = ours.add_input(second, three)
    found = ours.extract_output(ours.merge_accumulators([first, second]))
    assert {feature.path.step[0] for feature in found.features} == {"word", "code"}

    def check(made: list) -> None:
        theirs = statistics_pb2.DatasetFeatureStatistics()
        for part in made:
            theirs.MergeFrom(part)
        of_feature = {}
        for feature in theirs.features:
            key = feature.path.step[0]
            of_feature.setdefault(key, type(feature)()).MergeFrom(feature)
        for feature in found.features:
            other = of_feature[feature.path.step[0]].string_stats
            assert feature.string_stats.unique == other.unique
            assert list(feature.string_stats.top_values) == list(other.top_values)
            assert feature.string_stats.rank_histogram == other.rank_histogram

    with beam.Pipeline() as pipeline:
        theirs = (
            pipeline
            | beam.Create([(None, batch) for batch in (one, two, three)])
            | TopKUniquesStatsGenerator(
                schema=SCHEMA, num_top_values=5, num_rank_histogram_buckets=40
            ).ptransform
            | beam.Values()
        )
        assert_that(theirs, check)
