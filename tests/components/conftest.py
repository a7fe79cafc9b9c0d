"""A small log of ratings, transformed by real Beam once for all tests of this folder."""

from __future__ import annotations

import ast
import csv
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# user, movie, rating, genres. Users by number of ratings: ann, bob, cid; movies: m1, m2, ...
ROWS = [
    ("ann", "m1", 5.0, ["Drama", "War"]),
    ("ann", "m2", 4.0, ["Comedy"]),
    ("ann", "m3", 3.5, []),
    ("ann", "m4", 1.0, ["Drama"]),
    ("bob", "m1", 4.5, ["Drama", "War"]),
    ("bob", "m2", 2.0, ["Comedy"]),
    ("bob", "m3", 4.0, []),
    ("cid", "m1", 0.5, ["Drama", "War"]),
    ("cid", "m2", 5.0, ["Comedy"]),
]


def write_examples(split: Path, rows: list[tuple[str, str, float, list[str]]] = ROWS, shards: int = 1) -> str:
    """Rows of a log as a split of raw examples, in shards of columns; its folder, such as `.../Split-train`."""
    import pyarrow as pa

    from components.shared import columns

    folder = Path(columns.folder_of(str(split)))
    folder.mkdir(parents=True)
    for shard in range(shards):
        users, movies, ratings, genres = list(zip(*rows[shard::shards], strict=True)) or [()] * 4
        table = pa.table(
            {
                "user_id": pa.array([user.encode() for user in users], pa.binary()).dictionary_encode(),
                "movie_id": pa.array([movie.encode() for movie in movies], pa.binary()).dictionary_encode(),
                "rating": pa.array(ratings, pa.float32()),
                "timestamp": pa.array([978300760] * len(users), pa.int64()),
                "genres": pa.array([[g.encode() for g in of] for of in genres], pa.list_(pa.binary())),
            }
        )
        columns.write(table, str(folder / f"data-{shard:05d}-of-{shards:05d}.parquet"))
    return str(split)


def run_executor(
    executor: type, examples: Path, folder: Path, key: str, out: Any, properties: dict[str, Any]
) -> None:
    """Runs an executor on real Beam, on raw examples and the curated schema.

    Args:
        executor: Its class.
        examples: The folder of the examples, with all splits.
        folder: For all else; the output is in `folder / key`.
        key: Of the output.
        out: The artifact for it.
        properties: The execution properties.
    """
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from pipeline.engine import IN_PROCESS
    from tests.conftest import REPOSITORY

    raw, schema = standard_artifacts.Examples(), standard_artifacts.Schema()
    raw.uri, raw.split_names = str(examples), '["train", "eval", "test"]'
    schema.uri, out.uri = str(folder / "schema"), str(folder / key)
    Path(schema.uri).mkdir(parents=True)
    (Path(schema.uri) / "schema.pbtxt").write_bytes((REPOSITORY / "schema/schema.pbtxt").read_bytes())
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=IN_PROCESS, tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    executor(context).Do({"examples": [raw], "schema": [schema]}, {key: [out]}, properties)


@dataclass(frozen=True)
class Transformed:
    """The rows that Transform makes of ROWS, and its output."""

    rows: list[dict[str, Any]]
    output: Any


@dataclass(frozen=True)
class MovieLens:
    """MovieLens 100K: codes of users and movies, ratings and moments, (N,) each; genres and years of the movies."""

    users: np.ndarray
    movies: np.ndarray
    ratings: np.ndarray
    timestamps: np.ndarray
    movie_ids: list[str]
    titles: list[str]
    genres: list[list[str]]
    years: list[int | None]


@pytest.fixture(scope="session")
def movielens() -> MovieLens:
    from components.example_gen.builtin import movielens_100k

    folder = Path(movielens_100k())
    table = np.loadtxt(folder / "ml-100k.inter", delimiter="\t", skiprows=1, dtype=int)
    _, users = np.unique(table[:, 0], return_inverse=True)
    ids, movies = np.unique(table[:, 1], return_inverse=True)
    with (folder / "ml-100k.item").open(encoding="utf-8") as file:
        _, *rows = csv.reader(file, "excel-tab", quoting=csv.QUOTE_NONE)
    _, titles, years, genres = zip(*sorted(rows, key=lambda row: int(row[0])), strict=True)
    assert len(titles) == len(ids) == ids.max()
    return MovieLens(
        users,
        movies,
        table[:, 2],
        table[:, 3],
        list(map(str, ids)),
        list(titles),
        [of.split() for of in genres],
        [int(year) if year.isdigit() else None for year in years],
    )


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MovieLens 100K as the ratings ExampleGen writes it: the folder of the examples."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components.example_gen import builtin, component, detection, executor
    from components.example_gen.settings import IngestSettings
    from pipeline.engine import IN_PROCESS

    folder = tmp_path_factory.mktemp("ingested")
    settings = IngestSettings()
    node = component.RatingsExampleGen(detection.detect(str(builtin.movielens_100k()), settings), settings)
    examples, movies = standard_artifacts.Examples(), component.Movies()
    examples.uri, movies.uri = str(folder / "examples"), str(folder / "movies")
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=IN_PROCESS, tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    properties = {key: value for key, value in node.exec_properties.items() if value is not None}
    executor.Executor(context).Do({}, {"examples": [examples], "movies": [movies]}, properties)
    return folder / "examples"


@pytest.fixture(scope="session")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import metadata_io

    from components.transform.preprocessing import preprocessing_fn
    from tests.conftest import REPOSITORY

    schema = text_format.Parse((REPOSITORY / "schema" / "schema.pbtxt").read_bytes(), schema_pb2.Schema())
    metadata = tft.DatasetMetadata(schema)
    raw = [
        {"user_id": user, "movie_id": movie, "rating": rating, "genres": genres, "timestamp": 978300760}
        for user, movie, rating, genres in ROWS
    ]
    config = {"label": {"min_rating": 4.0}, "num_oov_buckets": 2}
    folder = str(tmp_path_factory.mktemp("transform"))
    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=tempfile.mkdtemp(dir=folder)):
        data = pipeline | beam.Create(raw)
        (rows, _), function = (data, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing_fn(inputs, config)
        )
        _ = function | tft_beam.WriteTransformFn(folder + "/output")
        path = folder + "/rows"
        _ = rows | beam.Map(repr_row) | beam.io.WriteToText(path, shard_name_template="")
    # What the Transform component adds to the output.
    metadata_io.write_metadata(metadata, f"{folder}/output/{tft.TFTransformOutput.RAW_METADATA_DIR}")
    with open(path, encoding="utf-8") as lines:
        collected = [ast.literal_eval(line) for line in lines]
    return Transformed(collected, tft.TFTransformOutput(folder + "/output"))


def repr_row(row: dict[str, Any]) -> str:
    """A row as Python text, arrays as lists."""
    return repr({key: value.tolist() if hasattr(value, "tolist") else value for key, value in row.items()})
