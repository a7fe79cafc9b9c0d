"""What a run reads of the installation lies under the root, by its content."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from components.shared.errors import ConfigError, StorageError
from pipeline.config import SCHEMA, load_config
from pipeline.state.inputs import bring
from tests.conftest import REPOSITORY


def files(folder: Path, content: str) -> list[Path]:
    folder.mkdir()
    for name in ("ratings.inter", "movies.item"):
        (folder / name).write_text(content + name)
    return [folder / "ratings.inter", folder / "movies.item"]


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_the_same_content_from_another_place_is_the_same_files(tmp_path):
    under = tmp_path / "inputs"
    first = bring(files(tmp_path / "one", "x"), under)
    before = stamps(first)
    assert bring(files(tmp_path / "two", "x"), under) == first
    assert stamps(first) == before
    assert (first / "ratings.inter").read_text() == "xratings.inter"
    other = bring(files(tmp_path / "three", "y"), under)
    assert other != first
    assert sorted(path.name for path in under.iterdir()) == sorted([first.name, other.name])


def test_a_damaged_copy_is_made_anew_with_the_same_time(tmp_path):
    source = files(tmp_path / "one", "x")
    folder = bring(source, tmp_path / "inputs")
    times = {name: time for name, (_, time) in stamps(folder).items()}
    (folder / "ratings.inter").write_text("cut sh")
    (folder / "movies.item").unlink()
    assert bring(source, tmp_path / "inputs") == folder
    assert (folder / "ratings.inter").read_text() == "xratings.inter"
    assert {name: time for name, (_, time) in stamps(folder).items()} == times


def test_what_cannot_be_brought_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be brought"):
        bring(files(tmp_path / "one", "x"), tmp_path / "file")


def test_no_component_knows_where_the_checkout_and_the_environment_are(tmp_path):
    from pipeline.pipeline import create_pipeline

    shutil.copy(SCHEMA, tmp_path / "schema.pbtxt")
    overrides = [f"root={tmp_path / 'root'}", "tuning.tune=true"]
    for more in ([], [f"schema_path={tmp_path / 'schema.pbtxt'}"]):
        for component in create_pipeline(load_config(None, [*overrides, *more])).components:
            text = str(component.exec_properties)
            for place in (str(REPOSITORY), sys.prefix, str(tmp_path / "schema.pbtxt")):
                assert place not in text, component.id


def test_a_schema_that_cannot_be_read_is_named_as_it_was_given(tmp_path):
    from pipeline.pipeline import create_pipeline

    config = load_config(None, [f"root={tmp_path}", "schema_path=/nowhere.pbtxt"])
    with pytest.raises(ConfigError, match=r"schema_path /nowhere\.pbtxt"):
        create_pipeline(config)
