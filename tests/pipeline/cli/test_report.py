"""`marquee report`, and that what goes wrong with a report is told and no more."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.shared.errors import DataError
from pipeline.cli import main
from pipeline.cli.console import PlainConsole
from pipeline.cli.report import reporting
from pipeline.config import PipelineConfig, load_config
from pipeline.state import store


@pytest.fixture
def config(tmp_path) -> PipelineConfig:
    return load_config(None, [f"root={tmp_path}", "name=ml"])


@pytest.fixture
def console() -> PlainConsole:
    return PlainConsole(file=io.StringIO(), highlight=False, markup=False, width=200)


def add_run(config: PipelineConfig, name: str) -> None:
    """A run without a component, as ML Metadata has it."""
    from ml_metadata import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    from components.shared.tfx_internals import PIPELINE, PIPELINE_RUN

    config.pipeline_root.mkdir(parents=True, exist_ok=True)
    raw = MetadataStore(store.connection_config(config), enable_upgrade_migration=True)
    types = [raw.put_context_type(mlmd.ContextType(name=of)) for of in (PIPELINE, PIPELINE_RUN)]
    found = raw.get_context_by_type_and_name(PIPELINE, config.name)
    parent = found.id if found else raw.put_contexts([mlmd.Context(type_id=types[0], name=config.name)])[0]
    (child,) = raw.put_contexts([mlmd.Context(type_id=types[1], name=name)])
    raw.put_parent_contexts([mlmd.ParentContext(child_id=child, parent_id=parent)])


def test_a_run_that_fails_is_reported_and_fails_as_before(config, console):
    def fail() -> None:
        add_run(config, "2026-11-26T16:00:00.5")
        raise DataError("There are too few.")

    with pytest.raises(DataError, match="too few"), reporting(console, config):
        fail()
    path = console.file.getvalue().strip().removeprefix("Report: ")
    assert "There are too few." in Path(path).read_text()


def test_a_report_that_cannot_be_written_is_a_warning(config, console):
    with reporting(console, config):
        add_run(config, "2026-11-26T16:00:00.5")
        config.report_dir.write_text("in the way")
    assert console.file.getvalue() == "Warning: the report could not be written, the log says why\n"


def test_an_error_before_there_is_a_run_is_not_reported_as_that_of_the_last(config, console):
    add_run(config, "2026-11-26T16:00:00.5")
    time.sleep(0.01)
    with pytest.raises(DataError), reporting(console, config):
        raise DataError("The header is wrong.")
    assert console.file.getvalue() == ""


def test_the_command_writes_what_is_missing_and_says_where_it_is(config, tmp_path):
    options = ["--set", f"root={tmp_path}", "--set", "name=ml"]
    none = CliRunner().invoke(main, ["report", *options])
    assert none.exit_code != 0
    add_run(config, "2026-11-26T16:00:00.5")
    add_run(config, "2026-11-26T17:00:00.5")
    done = CliRunner().invoke(main, ["report", *options], catch_exceptions=False)
    assert done.output.strip() == str(config.report_dir / "2026-11-26T17-00-00.5.html")
    (config.report_dir / "2026-11-26T17-00-00.5.html").write_text("as it was written")
    again = CliRunner().invoke(main, ["report", "2026-11-26T17", *options], catch_exceptions=False)
    assert again.output == done.output
    assert (config.report_dir / "2026-11-26T17-00-00.5.html").read_text() == "as it was written"
    over_time = CliRunner().invoke(main, ["report", "--history", *options], catch_exceptions=False)
    assert "2 runs, of which 0 came to a decision" in (config.report_dir / "history.html").read_text()
    assert over_time.output.strip().endswith("history.html")
