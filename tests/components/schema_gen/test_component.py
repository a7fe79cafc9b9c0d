"""The curated schema, and its component."""

from __future__ import annotations

import shutil

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts

from components.schema_gen.component import Executor, ImportSchemaGen
from components.shared.errors import ConfigError
from pipeline.config import SCHEMA


def test_fingerprint_follows_the_text(tmp_path):
    copy = tmp_path / "schema.pbtxt"
    shutil.copy(SCHEMA, copy)
    before = ImportSchemaGen(str(copy)).exec_properties["fingerprint"]
    assert ImportSchemaGen(str(SCHEMA)).exec_properties["fingerprint"] == before
    copy.write_text(copy.read_text().replace("max: 5.0", "max: 10.0"))
    assert ImportSchemaGen(str(copy)).exec_properties["fingerprint"] != before


@pytest.mark.parametrize("times", [True, False])
def test_without_times_the_schema_bounds_none(tmp_path, times):
    """The file itself stays as it is, and all else that it says holds."""
    component = ImportSchemaGen(str(SCHEMA), times=times)
    schema = standard_artifacts.Schema()
    schema.uri = str(tmp_path)
    Executor().Do({}, {"schema": [schema]}, component.exec_properties)
    written = text_format.Parse((tmp_path / "schema.pbtxt").read_text(), schema_pb2.Schema())
    curated = text_format.Parse(SCHEMA.read_text(), schema_pb2.Schema())
    if times:
        assert (tmp_path / "schema.pbtxt").read_bytes() == SCHEMA.read_bytes()
    else:
        [timestamp] = [feature for feature in curated.feature if feature.name == "timestamp"]
        assert timestamp.HasField("int_domain")
        timestamp.ClearField("int_domain")
    assert written == curated


@pytest.mark.parametrize("content", [None, "feature { nome: 1 }"])
def test_an_unreadable_schema_is_a_config_error(tmp_path, content):
    path = tmp_path / "mine.pbtxt"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"mine\.pbtxt"):
        ImportSchemaGen(str(path))
