"""The executor on real Beam: what is written, and what is said of it."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx_bsl.coders import example_coder

from components.example_gen import builtin, component, detection, executor
from components.example_gen.settings import IngestSettings
from components.example_gen.values import MAX_ID_BYTES
from components.shared import columns
from components.shared.errors import DataError
from components.shared.features import SPLITS
from tests.components.example_gen.logs import HEADER, Ingest, ingest_settings, many, refuse


def test_every_layout_is_ingested_alike(any_input: Any, ingest: Ingest) -> None:
    """Every rating is in one split with its movie's genres, and each user's last ratings are the test split."""
    out = ingest(any_input.folder, any_input.settings)
    genres = {m: g for m, _, g, _ in any_input.movies}
    rows = [row for split in out.splits.values() for row in split]
    assert sorted(rows) == sorted((*row, genres[row[1]]) for row in any_input.ratings)
    assert out.movies == [
        {"movie_id": m, "title": t, "genres": g, "year": y} for m, t, g, y in sorted(any_input.movies)
    ]


def test_examples_without_their_columns_are_decoded_to_the_same(any_input: Any, ingest: Ingest) -> None:
    """So they hold the same rows in the same order."""
    out = ingest(any_input.folder, any_input.settings)
    for split in SPLITS:
        uri = str(out.folder / "examples" / f"Split-{split}")
        copy = columns.read(uri, columns.SCHEMA.names)
        shards = sorted(str(path) for path in Path(uri).iterdir())
        (records,) = tf.data.TFRecordDataset(shards, "GZIP").batch(1 << 20).as_numpy_iterator()
        batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(records.tolist())
        (as_decoded,) = map(columns.as_decoded, copy.to_batches())
        assert as_decoded.to_pydict() == batch.to_pydict()
        assert {f.name: f.type for f in as_decoded.schema} == {f.name: f.type for f in batch.schema}
        shutil.rmtree(columns.folder_of(uri))
        decoded = columns.read(uri, columns.SCHEMA.names)
        assert decoded.num_rows == len(out.splits[split])
        assert decoded.schema.types == copy.schema.types
        assert decoded.to_pylist() == copy.to_pylist()


def test_movielens_100k(ingest: Ingest) -> None:
    """Splits of the published size; nobody's test ratings are before their eval or train ratings."""
    out = ingest(builtin.movielens_100k())
    assert out.counts == {
        "num_rows": 100_000,
        "num_train": 70_771,
        "num_eval": 9_596,
        "num_test": 19_633,
        "num_users": 943,
        "num_movies": 1_682,
        "num_rejected": 0,
        "num_duplicates": 0,
        "num_ratings_without_movie": 0,
    }
    assert out.examples.get_int_custom_property("oldest_timestamp") == 874_724_710
    assert out.examples.get_int_custom_property("newest_timestamp") == 893_286_638
    assert {s: len(r) for s, r in out.splits.items()} == {"train": 70_771, "eval": 9_596, "test": 19_633}
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for split, rows in out.splits.items():
        for user, _, _, timestamp, _ in rows:
            times[user, split].append(timestamp)
    for user in {user for user, _ in times}:
        assert max(times[user, "train"]) <= min(times[user, "eval"])
        assert max(times[user, "eval"]) <= min(times[user, "test"])
    typical = json.loads(out.examples.get_string_custom_property("typical_user"))
    ratings: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for user, movie, rating, timestamp, _ in out.splits["train"]:
        ratings[user].append((rating, timestamp, movie))
    theirs = ratings[typical["user_id"]]
    assert len(theirs) == sorted(map(len, ratings.values()))[len(ratings) // 2]
    of_movie = {movie: (rating, timestamp) for rating, timestamp, movie in theirs}
    best = [of_movie[movie] for movie in typical["rated_best"]]
    assert best == sorted(of_movie.values(), reverse=True)[:3]
    assert len(out.movies) == 1_682
    assert out.examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert not any(name.startswith("examples/.") for name in out.files)


@pytest.mark.parametrize("method", ["random", "user_hash"])
def test_without_times(ml_csv: Callable[..., Path], ingest: Ingest, method: str) -> None:
    """Times are 0 and said not to be there; of a rating given twice the last in the file is kept, by default."""
    folder = ml_csv(many() + b"u1,1,0.5,5\nu1,1,1.5,1\n")
    [first] = [float(line.split(b",")[2]) for line in many().split(b"\n") if line.startswith(b"u1,1,")]
    for policy, rating in (("first", first), ("latest", 1.5)):
        config = ingest_settings(columns={"timestamp": None}, split={"method": method}, duplicates=policy)
        out = ingest(folder, config, policy)
        assert out.counts["num_rows"] == 480
        assert {row[3] for split in out.splits.values() for row in split} == {0}
        assert [row[2] for split in out.splits.values() for row in split if row[:2] == ("u1", "1")] == [
            rating
        ]
        assert out.examples.get_int_custom_property("without_times") == 1
        for name in ("oldest_timestamp", "newest_timestamp"):
            assert name not in out.examples.mlmd_artifact.custom_properties
    users = {split: {row[0] for row in rows} for split, rows in out.splits.items()}
    if method == "random":
        assert len(users["train"]) == 40
        assert len(out.splits["test"]) == pytest.approx(96, abs=25)
    else:
        assert not users["train"] & users["test"]


def test_times_are_recorded_where_there_are_any(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    properties = ingest(ml_csv(many())).examples.mlmd_artifact.custom_properties
    assert properties["oldest_timestamp"].int_value == 1000
    assert properties["newest_timestamp"].int_value == 1096
    assert "without_times" not in properties


def test_ids_as_long_as_they_may_be(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """And no longer, which names file and line."""
    longest = b"u" * MAX_ID_BYTES
    out = ingest(ml_csv(many().replace(b"u1,", longest + b",")))
    assert {row[0] for row in out.splits["train"]} >= {longest.decode()}
    folder = ml_csv(many() + longest + b"u,1,1,1\n")
    message = refuse(ingest, folder)
    assert f"{folder / 'ratings.csv'}:482: userId has 1,025 bytes, of which 1,024 are the most" in message
    assert len(message) < 2000


def test_a_rating_of_an_unknown_movie_is_kept_and_counted(
    ml_csv: Callable[..., Path], ingest: Ingest
) -> None:
    """The movies table has movie 1 alone, and one that nobody rated."""
    out = ingest(
        ml_csv(many(), b'movieId,title,genres\n1,One (1990),Drama|War\n99,"Unseen, the",(no genres listed)\n')
    )
    assert out.counts["num_ratings_without_movie"] == 40 * 11
    assert out.counts["num_movies"] == 12
    for split in out.splits.values():
        assert all(row[4] == (["Drama", "War"] if row[1] == "1" else []) for row in split)
    movies = {m["movie_id"]: m for m in out.movies}
    assert list(movies) == sorted([*map(str, range(12)), "99"])
    assert movies["1"] == {"movie_id": "1", "title": "One (1990)", "genres": ["Drama", "War"], "year": 1990}
    assert movies["11"] == {"movie_id": "11", "title": "", "genres": [], "year": None}
    assert movies["99"] == {"movie_id": "99", "title": "Unseen, the", "genres": [], "year": None}


def test_several_files(tmp_path: Path, ingest: Ingest) -> None:
    """A glob of part files reads as one log, in the order of their names."""
    folder = tmp_path / "parts"
    folder.mkdir()
    body = many().replace(HEADER, b"")
    (folder / "part-1.csv").write_bytes(b"user_id,movie_id,rating,timestamp\n" + body)
    (folder / "part-2.csv").write_bytes(b"timestamp,user_id,movie_id,rating\n5000,u1,1,5\n")
    out = ingest(folder, ingest_settings(ratings_file="part-*.csv"))
    assert out.counts["num_rows"] == 480
    assert ("u1", "1", 5.0, 5000, []) in out.splits["test"]


def test_without_a_movies_table_no_movie_is_said_to_be_missing_in_it(tmp_path: Path, ingest: Ingest) -> None:
    (tmp_path / "r.csv").write_bytes(many().replace(b"userId,movieId", b"user_id,movie_id"))
    out = ingest(tmp_path / "r.csv")
    assert out.counts["num_movies"] == 12
    assert "num_ratings_without_movie" not in out.counts


def test_files_that_vanish_between_detection_and_the_run(ml_csv: Callable[..., Path], tmp_path: Path) -> None:
    folder = ml_csv(many())
    source = detection.detect(str(folder), IngestSettings())
    node = component.RatingsExampleGen(source, IngestSettings())
    (folder / "ratings.csv").unlink()
    with pytest.raises(DataError, match="not there any more"):
        executor._input_files(node.exec_properties)


def test_the_sample_of_a_custom_csv(ingest: Ingest) -> None:
    """The one in data/README.md, with the settings that stand there."""
    import yaml

    data = Path(__file__).resolve().parents[3] / "data"
    text = (data / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    values = yaml.safe_load(text)["data"]
    out = ingest(data.parent / values.pop("path"), ingest_settings(**values))
    assert out.counts["num_rows"] == 40
    assert out.counts["num_ratings_without_movie"] == 0
    titles = {m["movie_id"]: m["title"] for m in out.movies}
    assert titles["f007"] == "Harbour; or, The Long Wait (1968)"
    assert titles["f011"] == "Café Mirabelle (2008)"
    assert {row[0] for row in out.splits["test"]} == {"anna", "bert", "007", "dora"}


def test_files_that_are_written_while_they_are_read_stop_the_run(tmp_path):
    """By what TFX's driver has seen before; the span is named."""
    from tfx.components.example_gen import utils
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_component_specs
    from tfx.utils import proto_utils

    from components.example_gen.executor import _check_unchanged
    from components.shared.tfx_internals import fingerprint

    splits = [("ratings-7", "ratings-7.csv"), ("movies", "movies.csv")]
    for _, name in splits:
        (tmp_path / name).write_text("x\n")
    config = example_gen_pb2.Input(splits=[{"name": name, "pattern": of} for name, of in splits])
    before = "\n".join(fingerprint(name, str(tmp_path / of)) for name, of in splits)
    properties = {
        standard_component_specs.INPUT_CONFIG_KEY: proto_utils.proto_to_json(config),
        standard_component_specs.INPUT_BASE_KEY: str(tmp_path),
        utils.FINGERPRINT_PROPERTY_NAME: before,
    }
    _check_unchanged(properties)
    with (tmp_path / "ratings-7.csv").open("a") as file:
        file.write("y\n")
    with pytest.raises(DataError, match="The ratings of span 7 were written while they were read"):
        _check_unchanged(properties)
