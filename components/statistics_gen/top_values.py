"""The generator of the most frequent values and of how many there are.

TFDV's exact one sends each value of each batch through Beam on its own; its sketch gives counts that are upper bounds.
Here each batch is counted by Arrow.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation import types
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics.generators import stats_generator
from tensorflow_data_validation.utils import schema_util, stats_util, top_k_uniques_stats_util
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.arrow import array_util

from components.shared.tally import Tally

Tallies = dict[types.FeaturePath, Tally]


class TopValues(stats_generator.CombinerStatsGenerator):
    """Top values, ranks and number of different values: what TFDV's TopKUniquesStatsGenerator gives.

    Of strings, and of integers that the schema calls categorical; not of bytes that it says are no words.

    Args:
        options: Of the statistics, without weights.
    """

    def __init__(self, options: tfdv.StatsOptions) -> None:
        super().__init__("TopValues", options.schema)
        self._num_top_values, self._num_ranks = options.num_top_values, options.num_rank_histogram_buckets
        self._threshold = options.frequency_threshold
        schema = options.schema
        self._bytes = frozenset(schema_util.get_bytes_features(schema) if schema else ())
        self._categorical = schema_util.get_categorical_numeric_feature_types(schema) if schema else {}

    def create_accumulator(self) -> Tallies:
        return {}

    def add_input(self, accumulator: Tallies, batch: pa.RecordBatch) -> Tallies:
        for path, column, _ in arrow_util.enumerate_arrays(batch, None, enumerate_leaves_only=True):
            if path not in self._bytes and self._is_counted(path, column.type):
                values, _ = array_util.flatten_nested(column)
                accumulator.setdefault(path, Tally()).add(values)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Tallies]) -> Tallies:
        merged: Tallies = {}
        for accumulator in accumulators:
            for path, tally in accumulator.items():
                merged.setdefault(path, Tally()).merge(tally)
        return merged

    def extract_output(self, accumulator: Tallies) -> statistics_pb2.DatasetFeatureStatistics:
        result = statistics_pb2.DatasetFeatureStatistics()
        for path, tally in accumulator.items():
            values, rows = tally.total()
            number = len(values)
            if not number:
                continue
            most = max(self._num_top_values, self._num_ranks)
            if len(rows) > most:  # with all that tie with the last: TFDV orders those by value
                least = np.partition(rows, -most)[-most]
                kept = np.flatnonzero(rows >= least)
                values, rows = values.take(pa.array(kept)), rows[kept]
            pairs = sorted(zip(rows.tolist(), values.to_pylist(), strict=True), reverse=True)[:most]
            result.features.append(
                top_k_uniques_stats_util.make_feature_stats_proto_topk_uniques(
                    path,
                    self._num_top_values,
                    self._num_ranks,
                    number,
                    [top_k_uniques_stats_util.FeatureValueCount(value, count) for count, value in pairs],
                    frequency_threshold=self._threshold,
                )
            )
        return result

    def _is_counted(self, path: types.FeaturePath, kind: pa.DataType) -> bool:
        of_feature = stats_util.get_feature_type_from_arrow_type(path, kind)
        if of_feature == statistics_pb2.FeatureNameStatistics.INT:
            return top_k_uniques_stats_util.output_categorical_numeric(self._categorical, path, of_feature)
        return of_feature == statistics_pb2.FeatureNameStatistics.STRING
