"""The curated schema, and its component."""

from __future__ import annotations

import shutil

import pytest

from components.errors import ConfigError
from components.schema import ImportSchemaGen
from pipeline.config import SCHEMA


def test_fingerprint_follows_the_text(tmp_path):
    copy = tmp_path / "schema.pbtxt"
    shutil.copy(SCHEMA, copy)
    before = ImportSchemaGen(str(copy)).exec_properties["fingerprint"]
    assert ImportSchemaGen(str(SCHEMA)).exec_properties["fingerprint"] == before
    copy.write_text(copy.read_text().replace("max: 5.0", "max: 10.0"))
    assert ImportSchemaGen(str(copy)).exec_properties["fingerprint"] != before


@pytest.mark.parametrize("content", [None, "feature { nome: 1 }"])
def test_an_unreadable_schema_is_a_config_error(tmp_path, content):
    path = tmp_path / "mine.pbtxt"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"mine\.pbtxt"):
        ImportSchemaGen(str(path))
