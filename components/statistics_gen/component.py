"""The stock StatisticsGen on columns: TFDV's own generators but for the most frequent values."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import apache_beam as beam
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics.generators.basic_stats_generator import BasicStatsGenerator
from tensorflow_data_validation.statistics.generators.stats_generator import CombinerStatsGenerator
from tensorflow_data_validation.statistics.stats_impl import extract_statistics_output
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types import standard_component_specs as specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.shared import columns
from components.shared.artifact_types import read_schema
from components.shared.fingerprint import code_fingerprint
from components.shared.tfx_internals import STATISTICS_FILE
from components.statistics_gen.top_values import TopValues

_BATCH_ROWS = 1 << 14


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes what the stock executor writes: `FeatureStats.pb` of each split.

    The stock one decodes a tf.Example at a time, and counts each value of each batch on its own.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the class.

        Raises:
            DataError: The examples cannot be read.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(input_dict[specs.EXAMPLES_KEY])
        statistics = artifact_utils.get_single_instance(output_dict[specs.STATISTICS_KEY])
        schema = read_schema(artifact_utils.get_single_instance(input_dict[specs.SCHEMA_KEY]))
        statistics.split_names, statistics.span = examples.split_names, examples.span
        shards, paths = [], {}
        for split in artifact_utils.decode_split_names(examples.split_names):
            folder = artifact_utils.get_split_uri([statistics], split)
            fileio.makedirs(folder)
            paths[split] = os.path.join(folder, STATISTICS_FILE)
            uri = artifact_utils.get_split_uri([examples], split)
            shards += [(split, shard) for shard in columns.shards(uri)]
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Shards" >> beam.Create(shards)
                | "Spread" >> beam.Reshuffle()
                | "Read" >> beam.FlatMap(_read)
                | "Generate" >> beam.CombinePerKey(_Statistics(generators(schema)))
                | "Write" >> beam.Map(_write, paths)
            )


def generators(schema: schema_pb2.Schema) -> list[CombinerStatsGenerator]:
    """TFDV's generators with its defaults, that of `top_values` in place of its own."""
    options = tfdv.StatsOptions(schema=schema)
    basic = BasicStatsGenerator(
        schema=schema,
        num_values_histogram_buckets=options.num_values_histogram_buckets,
        num_histogram_buckets=options.num_histogram_buckets,
        num_quantiles_histogram_buckets=options.num_quantiles_histogram_buckets,
        epsilon=options.epsilon,
    )
    return [basic, TopValues(options)]


class _Statistics(beam.CombineFn):
    """Batches of a split -> a DatasetFeatureStatisticsList.

    As in `tfdv.GenerateStatistics`, which is of one split: its Beam steps cost two CPU seconds for three of them.
    """

    def __init__(self, generators: list[CombinerStatsGenerator]) -> None:
        self._generators = generators

    def setup(self) -> None:
        for generator in self._generators:
            generator.setup()

    def create_accumulator(self) -> list[Any]:
        return [generator.create_accumulator() for generator in self._generators]

    def add_input(self, accumulator: list[Any], batch: pa.RecordBatch) -> list[Any]:
        return [
            generator.add_input(one, batch)
            for generator, one in zip(self._generators, accumulator, strict=True)
        ]

    def merge_accumulators(self, accumulators: Iterable[list[Any]]) -> list[Any]:
        of_generator = zip(*accumulators, strict=True)
        return [
            generator.merge_accumulators(ones)
            for generator, ones in zip(self._generators, of_generator, strict=True)
        ]

    def compact(self, accumulator: list[Any]) -> list[Any]:
        return [generator.compact(one) for generator, one in zip(self._generators, accumulator, strict=True)]

    def extract_output(self, accumulator: list[Any]) -> statistics_pb2.DatasetFeatureStatisticsList:
        return extract_statistics_output(accumulator, self._generators)


def _read(element: tuple[str, str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Split and shard -> split and rows, as tfx_bsl decodes tf.Examples: features by name."""
    split, shard = element
    for batch in columns.of_shard(shard, sorted(columns.SCHEMA.names), _BATCH_ROWS):
        yield split, columns.as_decoded(batch)


def _write(
    element: tuple[str, statistics_pb2.DatasetFeatureStatisticsList], paths: Mapping[str, str]
) -> None:
    split, statistics = element
    with fileio.open(paths[split], "wb") as file:
        file.write(statistics.SerializeToString())


class StatisticsSpec(ComponentSpec):
    """See RatingsStatistics."""

    PARAMETERS: ClassVar = {"code": ExecutionParameter(type=str)}
    INPUTS: ClassVar = {
        specs.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples),
        specs.SCHEMA_KEY: ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS: ClassVar = {specs.STATISTICS_KEY: ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class RatingsStatistics(base_beam_component.BaseBeamComponent):
    """Statistics of each split.

    Args:
        examples: Output of the ratings ExampleGen.
        schema: The curated schema, which says what is categorical.

    Outputs: `statistics`.
    """

    SPEC_CLASS = StatisticsSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, examples: types.BaseChannel, schema: types.BaseChannel) -> None:
        super().__init__(
            spec=StatisticsSpec(
                examples=examples,
                schema=schema,
                code=code_fingerprint("shared/columns.py", "shared/tally.py", "statistics_gen/*.py"),
                statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
            )
        )
