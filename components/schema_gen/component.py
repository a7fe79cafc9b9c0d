"""ImportSchemaGen that notices when the schema's text changes; the stock one is cached by the path alone.

Where the ratings have no times it takes from the schema what it says of their values.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.schema_gen import executor as schema_gen_executor
from tfx.components.schema_gen.import_schema_gen import executor as stock_executor
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen as StockImportSchemaGen
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ExecutionParameter
from tfx.utils import io_utils

from components.shared.artifacts import WITHOUT_TIMES
from components.shared.errors import ConfigError
from components.shared.features import TIMESTAMP_KEY


class Executor(stock_executor.Executor):
    """Copies the schema; of ratings without times, without the domain of `timestamp`, which is 0 throughout."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        super().Do(input_dict, output_dict, exec_properties)
        if exec_properties.get(WITHOUT_TIMES):
            folder = Path(artifact_utils.get_single_uri(output_dict[standard_component_specs.SCHEMA_KEY]))
            path = str(folder / schema_gen_executor.DEFAULT_FILE_NAME)
            schema = io_utils.SchemaReader().read(path)
            for feature in schema.feature:
                if feature.name == TIMESTAMP_KEY and (domain := feature.WhichOneof("domain_info")):
                    feature.ClearField(domain)
            io_utils.write_pbtxt_file(path, schema)


class ImportSchemaGenSpec(standard_component_specs.ImportSchemaGenSpec):
    """The stock specification, a fingerprint of the file, and whether the ratings have no times."""

    PARAMETERS = {
        **standard_component_specs.ImportSchemaGenSpec.PARAMETERS,
        "fingerprint": ExecutionParameter(type=str),
        WITHOUT_TIMES: ExecutionParameter(type=int, optional=True),
    }


class ImportSchemaGen(StockImportSchemaGen):
    """Brings the curated schema into the pipeline.

    Args:
        schema_file: Its path.
        times: Whether the ratings have times.

    Raises:
        ConfigError: The file is missing or is not a schema in protobuf text format.
    """

    SPEC_CLASS = ImportSchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, schema_file: str, times: bool = True) -> None:
        base_component.BaseComponent.__init__(
            self,
            spec=ImportSchemaGenSpec(
                schema_file=schema_file,
                fingerprint=hashlib.sha256(checked(schema_file)).hexdigest()[:16],
                **({} if times else {WITHOUT_TIMES: 1}),
                schema=types.Channel(type=standard_artifacts.Schema),
            ),
        )


def checked(schema_file: str) -> bytes:
    """The text of a schema.

    Raises:
        ConfigError: The file is missing or is not a schema in protobuf text format.
    """
    try:
        content = Path(schema_file).read_bytes()
        text_format.Parse(content, schema_pb2.Schema())
    except (OSError, text_format.ParseError) as error:
        raise ConfigError(
            "The schema cannot be read.",
            where=f"schema_path {schema_file}",
            found=getattr(error, "strerror", None) or str(error),
            expected="a TensorFlow Metadata schema in protobuf text format",
            fix="compare it with schema/schema.pbtxt of the project",
        ) from None
    return content
