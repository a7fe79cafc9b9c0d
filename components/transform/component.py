"""The stock Transform with our `preprocessing_fn`, which reads columns and materialises nothing."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tfx import types
from tfx.components import Transform
from tfx.dsl.components.base import base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs
from tfx.utils import json_utils
from tfx_bsl.tfxio import tf_example_record

from components.shared import columns
from components.shared.artifact_types import read_schema
from components.shared.features import TRAIN_SPLIT, LabelRule
from components.shared.fingerprint import code_fingerprint
from components.transform.preprocessing import preprocessing_fn

# Of batches: TFT takes the distinct ids of each apart in Python.
_BATCH_ROWS = 1 << 17


class Executor(base_beam_executor.BaseBeamExecutor):
    """Analyses the train split, as the stock executor does, by the columns of the examples.

    The stock one reads and writes a tf.Example at a time. Nothing is written but the graph: whoever trains applies it
    to the rows as they are read, see `components.trainer.input`.
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
        schema = read_schema(artifact_utils.get_single_instance(input_dict[specs.SCHEMA_KEY]))
        train = artifact_utils.get_split_uris(input_dict[specs.EXAMPLES_KEY], TRAIN_SPLIT)
        uri = artifact_utils.get_single_uri(output_dict[specs.TRANSFORM_GRAPH_KEY])
        config = json_utils.loads(exec_properties[specs.CUSTOM_CONFIG_KEY])
        decoded = tf_example_record.TFExampleBeamRecord("parquet", ["Transform"], schema)
        temporary = os.path.join(uri, ".temporary")
        with self._make_beam_pipeline() as pipeline, tft_beam.Context(temp_dir=temporary):
            batches = (
                pipeline
                | "Shards" >> beam.Create([shard for split in train for shard in columns.shards(split)])
                | "Spread" >> beam.Reshuffle()
                | "Read" >> beam.ParDo(_Read([feature.name for feature in schema.feature]))
            )
            analysed = (batches, decoded.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(  # type: ignore[no-untyped-call]
                partial(preprocessing_fn, custom_config=config)
            )
            _ = analysed | tft_beam.WriteTransformFn(uri)  # type: ignore[no-untyped-call]
            _ = tft.DatasetMetadata(schema) | tft_beam.WriteMetadata(  # type: ignore[no-untyped-call]
                os.path.join(uri, tft.TFTransformOutput.RAW_METADATA_DIR), pipeline
            )
        fileio.rmtree(temporary)


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(pa.RecordBatch)
class _Read(beam.DoFn):
    """A shard -> its rows, as tfx_bsl decodes tf.Examples."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def process(self, shard: str) -> Iterator[pa.RecordBatch]:
        return map(columns.as_decoded, columns.of_shard(shard, self._names, _BATCH_ROWS))


class RatingsTransform(Transform):
    """Makes vocabularies, indices and the label, see `preprocessing`.

    Args:
        examples: Raw examples with the split `train`.
        schema: Theirs.
        label: What a like is.
        num_oov_buckets: Of each vocabulary.

    Outputs: `transform_graph`.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, examples: types.BaseChannel, schema: types.BaseChannel, label: LabelRule, num_oov_buckets: int
    ) -> None:
        super().__init__(
            examples=examples,
            schema=schema,
            preprocessing_fn=f"{preprocessing_fn.__module__}.{preprocessing_fn.__qualname__}",
            custom_config={
                "label": label.model_dump(),
                "num_oov_buckets": num_oov_buckets,
                "code": code_fingerprint("shared/features.py", "shared/columns.py", "transform/*.py"),
            },
            materialize=False,
            disable_statistics=True,
            disable_analyzer_cache=True,
        )
