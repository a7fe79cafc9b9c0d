"""The component from end to end, on real Beam, TFX and ML Metadata."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.example_gen import builtin, component, detection, executor, formats
from components.example_gen.settings import IngestSettings
from components.shared.errors import DataError

Ingest = Callable[..., Any]
HEADER = b"userId,movieId,rating,timestamp\n"


def settings(**values: Any) -> IngestSettings:
    return IngestSettings.model_validate(values)


def many(users: int = 40, movies: int = 12) -> bytes:
    """A log in which every user rates every movie, in an order that is not that of time."""
    rows = [
        f"u{u},{m},{(u + m) % 10 / 2 + 0.5},{1000 + (u * 7 + m * 5) % 97}"
        for m in range(movies)
        for u in range(users)
    ]
    return HEADER + "\n".join([*rows, ""]).encode()


# --- what is written -------------------------------------------------------------------------


def test_every_layout_is_ingested_alike(any_input: Any, ingest: Ingest) -> None:
    """Every rating is in one split with its movie's genres, and each user's last ratings are the test split."""
    out = ingest(any_input.folder, any_input.settings)
    genres = {m: g for m, _, g, _ in any_input.movies}
    rows = [row for split in out.splits.values() for row in split]
    assert sorted(rows) == sorted((*row, genres[row[1]]) for row in any_input.ratings)
    assert out.movies == [
        {"movie_id": m, "title": t, "genres": g, "year": y} for m, t, g, y in sorted(any_input.movies)
    ]


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
    assert len(out.movies) == 1_682
    assert out.examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert not any(name.startswith("examples/.") for name in out.files)


@pytest.mark.parametrize("method", ["leave_last_out", "user_hash", "random"])  # the others: test_buckets
def test_bytes_do_not_depend_on_the_ranges(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Read at once or in pieces: the same bytes in every file."""
    folder, config = ml_csv(many()), settings(split={"method": method})
    reference = ingest(folder, config)
    monkeypatch.setattr(executor, "_RANGE_BYTES", 700)
    assert reference.files == ingest(folder, config, "ranges").files


@pytest.mark.parametrize("method", ["user_time", "time", "random"])
def test_buckets(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """In several shards: the same rows in each split, the same counts, and bytes that workers do not change."""
    folder, config = ml_csv(many() + b"u1,1,0.5,9\n"), settings(split={"method": method})
    reference = ingest(folder, config)
    monkeypatch.setattr(executor, "_BUCKET_BYTES", 2500)
    buckets = ingest(folder, config, "buckets")
    assert len([name for name in buckets.files if "Split-train" in name]) == 3
    for split, rows in reference.splits.items():
        assert sorted(buckets.splits[split]) == sorted(rows)
    assert buckets.counts == reference.counts
    assert buckets.movies == reference.movies
    monkeypatch.setattr(executor, "_RANGE_BYTES", 700)
    assert buckets.files == ingest(folder, config, "threads", threads=3).files


def test_the_bytes_are_known(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """Another process or machine writes the same records, in the same order."""
    files = ingest(ml_csv(many())).files
    test = gzip.decompress(files["examples/Split-test/data_tfrecord-00000-of-00001.gz"])
    assert (
        hashlib.sha256(test).hexdigest() == "cda081d5abcf8c7ff33b0e39bc58632b3c454598b51b34e042e5c4f9ea5ed7b6"
    )


def test_the_order_is_shuffled(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """Training reads in the order written; neighbours in the log are not neighbours in a shard."""
    train = ingest(ml_csv(many())).splits["train"]
    assert sum(a[1] == b[1] for a, b in itertools.pairwise(train)) < len(train) / 4


def test_time_split_is_global(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cuts are those of all buckets together."""
    monkeypatch.setattr(executor, "_BUCKET_BYTES", 3000)
    out = ingest(ml_csv(many()), settings(split={"method": "time"}))
    times = {split: [row[3] for row in rows] for split, rows in out.splits.items()}
    assert max(times["train"]) < min(times["eval"])
    assert max(times["eval"]) < min(times["test"])
    assert len(times["test"]) == pytest.approx(96, abs=8)


def test_duplicates(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """The latest wins by default, and among those of one second the last in the file."""
    extra = b"u1,1,0.5,9000\nu1,1,1.5,9000\nu1,2,0.5,1\n"
    for policy, first, second in (("latest", (1.5, 9000), (2.0, 1017)), ("first", (1.5, 1012), (0.5, 1))):
        out = ingest(ml_csv(many() + extra), settings(duplicates=policy), policy)
        rows = {r[:2]: r[2:4] for split in out.splits.values() for r in split}
        assert rows["u1", "1"] == first
        assert rows["u1", "2"] == second
        assert (out.counts["num_rows"], out.counts["num_duplicates"]) == (480, 3)


@pytest.mark.parametrize("method", ["random", "user_hash"])
def test_without_times(ml_csv: Callable[..., Path], ingest: Ingest, method: str) -> None:
    """Times are 0 and said not to be there; of a rating given twice the last in the file is kept, by default."""
    folder = ml_csv(many() + b"u1,1,0.5,5\nu1,1,1.5,1\n")
    [first] = [float(line.split(b",")[2]) for line in many().split(b"\n") if line.startswith(b"u1,1,")]
    for policy, rating in (("first", first), ("latest", 1.5)):
        config = settings(columns={"timestamp": None}, split={"method": method}, duplicates=policy)
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


@pytest.mark.parametrize("length", [127, 128, 16_383, 16_384, 16_400, 2_100_000])
def test_a_feature_of_any_length_is_a_good_record(length: int, ingest: Ingest, tmp_path: Path) -> None:
    """Many genres, as a single one is bounded: their bytes in every example, around each length of a length."""
    genres = [f"{i:010d}" for i in range(length // 12)] + ["x" * (length % 12)]
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "ratings.csv").write_bytes(many(4, 12))
    (folder / "movies.csv").write_text("movieId,title,genres\n1,a," + "|".join(genres) + "\n")
    out = ingest(folder)
    seen = [row[4] for split in out.splits.values() for row in split if row[1] == "1"]
    assert seen == [[genre for genre in genres if genre]] * 4


def test_ids_as_long_as_they_may_be(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """And no longer, which names file and line."""
    longest = b"u" * formats.MAX_ID_BYTES
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


def test_allowed_malformed_rows_are_set_aside(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In rejects.csv with file, line, reason and text, in order, and counted; those of the movies table too."""
    lines = many().split(b"\n")
    lines[100], lines[300] = b'u1,2,"a,b",5', b"u1,2"
    folder = ml_csv(
        b"\n".join(lines), b"movieId,title,genres\n" + b"".join(b"%d,x,y\n" % m for m in range(120)) + b"7\n"
    )
    monkeypatch.setattr(executor, "_RANGE_BYTES", 1000)
    out = ingest(folder, settings(max_malformed_rate=0.01))
    assert out.counts["num_rejected"] == 3
    assert out.counts["num_rows"] == 478
    rows = list(csv.reader(io.StringIO(out.files["examples/rejects.csv"].decode())))
    assert rows == [
        ["file", "line", "reason", "text"],
        [str(folder / "movies.csv"), "122", "1 field(s), expected 3 separated by ','", "7"],
        [str(folder / "ratings.csv"), "101", "rating is 'a,b', expected a finite number", 'u1,2,"a,b",5'],
        [str(folder / "ratings.csv"), "301", "2 field(s), expected 4 separated by ','", "u1,2"],
    ]


def test_no_rejects_file_without_rejects(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    assert "examples/rejects.csv" not in ingest(ml_csv(many()), settings(max_malformed_rate=0.5)).files


def test_several_files(tmp_path: Path, ingest: Ingest) -> None:
    """A glob of part files reads as one log, in the order of their names."""
    folder = tmp_path / "parts"
    folder.mkdir()
    body = many().replace(HEADER, b"")
    (folder / "part-1.csv").write_bytes(b"user_id,movie_id,rating,timestamp\n" + body)
    (folder / "part-2.csv").write_bytes(b"timestamp,user_id,movie_id,rating\n5000,u1,1,5\n")
    out = ingest(folder, settings(ratings_file="part-*.csv"))
    assert out.counts["num_rows"] == 480
    assert ("u1", "1", 5.0, 5000, []) in out.splits["test"]


# --- what is refused -------------------------------------------------------------------------


def refuse(ingest: Ingest, folder: Path, config: IngestSettings | None = None) -> str:
    with pytest.raises(DataError) as caught:
        ingest(folder, config)
    return str(caught.value)


def test_too_many_malformed_rows(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    """Where the first few are, how many there are, and how to allow them."""
    lines = many().split(b"\n")
    for i in range(10, 17):
        lines[i] = b"u1,2,x,5"
    folder = ml_csv(b"\n".join(lines))
    file = folder / "ratings.csv"
    message = refuse(ingest, folder, settings(max_malformed_rate=0.01))
    assert "7 of 480 rows of the ratings cannot be used, and data.max_malformed_rate allows 0.01." in message
    assert f"where:    {file}:11" in message
    for line in range(11, 16):
        assert f"{file}:{line}: rating is 'x', expected a finite number" in message
    assert f"{file}:16" not in message
    assert "and 2 more" in message
    assert "set data.max_malformed_rate to 0.0146 or more" in message
    ingest(folder, settings(max_malformed_rate=0.0146), "allowed")


def test_nothing_but_malformed_rows(ml_csv: Callable[..., Path], ingest: Ingest) -> None:
    message = refuse(ingest, ml_csv(HEADER + b"1,1,x,1\n"))
    assert "1 of 1 rows" in message
    assert "data.layout" in message


def test_a_malformed_movie_is_refused_before_the_ratings_are_read(
    ml_csv: Callable[..., Path], ingest: Ingest
) -> None:
    message = refuse(ingest, ml_csv(many(), b"movieId,title,genres\n1,a,b\n1,c,d\n"))
    assert "1 of 2 rows of the movies" in message
    assert "movies.csv:3: the movie '1' is there already, at line 2" in message


@pytest.mark.parametrize("range_bytes", [300, 1 << 20])
def test_duplicates_as_an_error(
    ml_csv: Callable[..., Path], ingest: Ingest, monkeypatch: pytest.MonkeyPatch, range_bytes: int
) -> None:
    """Both places are named, also when they are in different ranges."""
    monkeypatch.setattr(executor, "_RANGE_BYTES", range_bytes)
    folder = ml_csv(many() + b"\nu5,0,1,1\n")
    message = refuse(ingest, folder, settings(duplicates="error"))
    file = folder / "ratings.csv"
    assert "1 rating(s) repeat the user and movie of another." in message
    assert f"user 'u5', movie '0': {file}:7 and {file}:483" in message
    assert "data.duplicates" in message


@pytest.mark.parametrize(
    ("method", "users", "movies", "found"),
    [
        ("user_time", 1, 4, "4 ratings of 1 users, by user_time into 3 train, 0 eval, 1 test"),
        ("leave_last_out", 3, 2, "6 ratings of 3 users, by leave_last_out into 6 train, 0 eval, 0 test"),
        ("user_hash", 1, 9, "9 ratings of 1 users, by user_hash into"),
        ("time", 2, 1, "2 ratings of 2 users, by time into"),
    ],
)
def test_too_few_ratings_for_the_splits(
    ml_csv: Callable[..., Path], ingest: Ingest, method: str, users: int, movies: int, found: str
) -> None:
    message = refuse(ingest, ml_csv(many(users, movies)), settings(split={"method": method}))
    assert "A split would be empty" in message
    assert found in message


def test_a_split_that_is_empty_for_repeats_says_how_many_were_left_out(
    ml_csv: Callable[..., Path], ingest: Ingest
) -> None:
    """As of a log whose column of movies holds one value."""
    rows = b"".join(b"u%d,1,3,%d\n" % (i % 10, 1000 + i) for i in range(100))
    message = refuse(ingest, ml_csv(HEADER + rows))
    assert (
        "10 ratings of 10 users, 90 that repeat a user and movie left out, by user_time into 10 train"
        in message
    )


def test_files_that_vanish_between_detection_and_the_run(ml_csv: Callable[..., Path], tmp_path: Path) -> None:
    folder = ml_csv(many())
    source = detection.detect(str(folder), IngestSettings())
    node = component.RatingsExampleGen(source, IngestSettings())
    (folder / "ratings.csv").unlink()
    with pytest.raises(DataError, match="not there any more"):
        executor._input_files(node.exec_properties)


# --- with TFX around it ----------------------------------------------------------------------


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
    assert len(run_pipeline(source, settings(split={"method": "time"}), root)) == 2
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
    config = settings(
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


def test_the_sample_of_a_custom_csv(ingest: Ingest) -> None:
    """The one in data/README.md, with the settings that stand there."""
    import yaml

    data = Path(__file__).resolve().parents[3] / "data"
    text = (data / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    values = yaml.safe_load(text)["data"]
    out = ingest(data.parent / values.pop("path"), settings(**values))
    assert out.counts["num_rows"] == 40
    assert out.counts["num_ratings_without_movie"] == 0
    titles = {m["movie_id"]: m["title"] for m in out.movies}
    assert titles["f007"] == "Harbour; or, The Long Wait (1968)"
    assert titles["f011"] == "Café Mirabelle (2008)"
    assert {row[0] for row in out.splits["test"]} == {"anna", "bert", "007", "dora"}
