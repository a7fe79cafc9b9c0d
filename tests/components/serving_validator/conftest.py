"""A real export of a model with random weights, and raw examples to ask it with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.serving_validator.settings import ServingValidatorSettings
from tests.components.conftest import ROWS, Transformed

SETTINGS = ServingValidatorSettings(requests=20, batch_size=100)


@dataclass(frozen=True)
class Exported:
    """An export, the model that it came from, how to export that again, and files of raw examples."""

    path: Path
    model: Any
    export: Callable[[Path], None]
    examples: list[str]


@pytest.fixture(scope="session")
def exported(transformed: Transformed, tmp_path_factory) -> Exported:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from components.example_gen.rows import MOVIES_SCHEMA
    from components.export.cold_start import crowd
    from components.export.export import Answering, export
    from components.models import VocabularySizes, build_model, config_of
    from components.shared.features import year_bucket

    keras.utils.set_random_seed(7)
    sizes = VocabularySizes(
        *(
            transformed.output.num_buckets_for_transformed_feature(f"{key}_xf")
            for key in ("user_id", "movie_id", "genres")
        )
    )
    model = build_model(config_of("genre_mlp", embedding_init=0.5), sizes)
    for weights in model.weights:
        weights.assign(keras.random.normal(weights.shape, stddev=0.5))
    genres = {movie: genres for _, movie, _, genres in ROWS}
    movies = pa.Table.from_pydict(
        {
            # m9 was never rated.
            "movie_id": [*genres, "m9"],
            "title": [f"Title of {movie}" for movie in [*genres, "m9"]],
            "genres": [*genres.values(), ["War"]],
            "year": [1999] * (len(genres) + 1),
        },
        MOVIES_SCHEMA,
    )
    rows = {
        key: np.array([row[key] for row in transformed.rows], np.int64)
        for key in ("user_id_xf", "movie_id_xf")
    }
    rows["genres_xf"] = np.array([(row["genres_xf"] + [-1, -1])[:2] for row in transformed.rows], np.int64)
    rows["year_xf"] = np.full(len(ROWS), year_bucket(1999))
    rated = np.stack([rows["user_id_xf"], rows["movie_id_xf"]], axis=1)

    num_movies = len(genres)
    everybody = crowd(
        rows["movie_id_xf"],
        np.array([row["liked_xf"] for row in transformed.rows]),
        num_movies,
        sizes.movie_id - num_movies,
    )

    both = [Answering(model, everybody)] * 2

    def write(path: Path) -> None:
        export(str(path), *both, transformed.output, movies, rated, rows)

    folder = tmp_path_factory.mktemp("serving")
    write(folder / "model")
    path = folder / "examples.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in ROWS:
            writer.write(raw_example(*row))
    return Exported(folder / "model", model, write, [str(path)])


def raw_example(user: str, movie: str, rating: float, genres: list[str]) -> bytes:
    import tensorflow as tf

    def of(*values: str) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))

    feature = {"user_id": of(user), "movie_id": of(movie), "genres": of(*genres)}
    feature["rating"] = tf.train.Feature(float_list=tf.train.FloatList(value=[rating]))
    feature["timestamp"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[978300760]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.fixture
def copy(exported, tmp_path) -> Path:
    """A copy of the export to tamper with."""
    return Path(shutil.copytree(exported.path, tmp_path / "model"))
