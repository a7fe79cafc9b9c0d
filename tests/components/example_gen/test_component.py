"""The component with TFX and ML Metadata around it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import component, detection
from components.example_gen.settings import IngestSettings
from components.shared.errors import DataError
from tests.components.example_gen.logs import ingest_settings, many


def run_pipeline(source: detection.Source, config: IngestSettings, root: Path) -> list[Any]:
    """Runs the component with LocalDagRunner; returns the examples artifacts in ML Metadata."""
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local import local_dag_runner

    root.mkdir(exist_ok=True)
    connection = metadata.sqlite_metadata_connection_config(str(root / "metadata.db"))
    try:
        local_dag_runner.LocalDagRunner().run(
            pipeline.Pipeline(
                pipeline_name="test",
                pipeline_root=str(root / "root"),
                components=[component.RatingsExampleGen(source, config)],
                enable_cache=True,
                metadata_connection_config=connection,
            )
        )
    finally:
        store = metadata_store.MetadataStore(connection)
        run_pipeline.executions = Counter(e.last_known_state for e in store.get_executions())  # type: ignore[attr-defined]
    return [a for a in store.get_artifacts_by_type("Examples") if a.state == a.LIVE]


def test_pipeline_caches_and_notices_new_data(ml_csv: Callable[..., Path], tmp_path: Path) -> None:
    """The same input is not read again; changed ratings, settings or movies are."""
    folder, root = ml_csv(many()), tmp_path / "p"
    source = detection.detect(str(folder), IngestSettings())
    [first] = run_pipeline(source, IngestSettings(), root)
    assert first.custom_properties["num_rows"].int_value == 480
    assert len(run_pipeline(source, IngestSettings(), root)) == 1
    assert len(run_pipeline(source, ingest_settings(split={"method": "time"}), root)) == 2
    movies = folder / "movies.csv"
    movies.write_text("movieId,title,genres\n1,Other,Drama\n")
    os.utime(movies, (1, 1))
    assert len(run_pipeline(source, IngestSettings(), root)) == 3


def test_a_failed_run_leaves_nothing(ml_csv: Callable[..., Path], tmp_path: Path) -> None:
    """No artifact and no file stay behind, and the user sees the DataError itself."""
    source = detection.detect(str(ml_csv(many() + b"u1,1,x,1\n")), IngestSettings())
    with pytest.raises(DataError, match="1 of 481 rows"):
        run_pipeline(source, IngestSettings(), tmp_path / "p")
    assert [p for p in (tmp_path / "p" / "root").rglob("*") if p.is_file()] == []
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata

    store = metadata_store.MetadataStore(
        metadata.sqlite_metadata_connection_config(str(tmp_path / "p/metadata.db"))
    )
    assert [a for a in store.get_artifacts() if a.state == a.LIVE] == []


def test_spans(tmp_path: Path) -> None:
    """With {SPAN} in the patterns the latest span is read, and the artifact says which."""
    for span in (1, 2):
        folder = tmp_path / "in" / f"span-{span}"
        folder.mkdir(parents=True)
        (folder / "ratings.csv").write_bytes(many(10 * span))
        (folder / "movies.csv").write_bytes(b"movieId,title,genres\n1,One,Drama\n")
    config = ingest_settings(
        layout="ml-csv", ratings_file="span-{SPAN}/ratings.csv", movies_file="span-{SPAN}/movies.csv"
    )
    source = detection.detect(str(tmp_path / "in"), config)
    [examples] = run_pipeline(source, config, tmp_path / "p")
    assert examples.custom_properties["span"].int_value == 2
    assert examples.custom_properties["num_users"].int_value == 20


def test_a_folder_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    folder = tmp_path / "in [1]*"
    folder.mkdir()
    (folder / "ratings.csv").write_bytes(many())
    (folder / "movies.csv").write_bytes(b"movieId,title,genres\n1,One,Drama\n")
    source = detection.detect(str(folder), IngestSettings())
    [examples] = run_pipeline(source, IngestSettings(), tmp_path / "p")
    assert examples.custom_properties["num_rows"].int_value == 480
    assert "num_files:1" in examples.custom_properties["input_fingerprint"].string_value
