"""ImportSchemaGen that notices when the schema's text changes; the stock one is cached by the path alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen as StockImportSchemaGen
from tfx.dsl.components.base import base_component
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ExecutionParameter

from components.errors import ConfigError


class ImportSchemaGenSpec(standard_component_specs.ImportSchemaGenSpec):
    """The stock specification and a fingerprint of the file."""

    PARAMETERS = {
        **standard_component_specs.ImportSchemaGenSpec.PARAMETERS,
        "fingerprint": ExecutionParameter(type=str),
    }


class ImportSchemaGen(StockImportSchemaGen):
    """Brings the curated schema into the pipeline.

    Raises:
        ConfigError: The file is missing or is not a schema in protobuf text format.
    """

    SPEC_CLASS = ImportSchemaGenSpec

    def __init__(self, schema_file: str) -> None:
        base_component.BaseComponent.__init__(
            self,
            spec=ImportSchemaGenSpec(
                schema_file=schema_file,
                fingerprint=hashlib.sha256(checked(schema_file)).hexdigest()[:16],
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
