"""Inputs of every layout, written by hand, and a way to run the executor on real Beam."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen import detection
from components.example_gen.layouts.ml_100k import GENRES
from components.example_gen.settings import IngestSettings

# user, movie, rating, timestamp; the ids are text, "07" is not "7".
RATINGS = [
    *[("1", str(m), 0.5 * m, 1000 + m) for m in range(1, 11)],
    *[("07", str(m), 3.0, 2000 - m) for m in range(1, 11)],
    *[("7", str(m), 4.5, 3000) for m in range(1, 11)],
]
# movie, title, genres, year
MOVIES = [
    ("1", "Toy, the (1995)", ["Children's", "Comedy"], 1995),
    ("2", "Café (1931)", ["Drama"], 1931),
    *[(str(m), f"Film {m} (2001)", ["Action", "Sci-Fi"], 2001) for m in range(3, 10)],
    ("10", "No Genres (1999)", [], 1999),
]


def _ml_100k(folder: Path) -> None:
    (folder / "u.data").write_text("".join(f"{u}\t{m}\t{r}\t{t}\n" for u, m, r, t in RATINGS))
    lines = []
    for movie, title, genres, year in MOVIES:
        flags = ["1" if g in (genres or ["unknown"]) else "0" for g in GENRES]
        lines.append("|".join([movie, title, f"01-Jan-{year}", "", "http://x", *flags]))
    (folder / "u.item").write_bytes("\n".join([*lines, ""]).encode("latin-1"))


def _ml_dat(folder: Path) -> None:
    (folder / "ratings.dat").write_text("".join(f"{u}::{m}::{r}::{t}\n" for u, m, r, t in RATINGS))
    movies = "".join(f"{m}::{t}::{'|'.join(g) or '(no genres listed)'}\n" for m, t, g, _ in MOVIES)
    (folder / "movies.dat").write_bytes(movies.encode("latin-1"))


def _ml_csv(folder: Path) -> None:
    rows = ["userId,movieId,rating,timestamp", *(f"{u},{m},{r},{t}" for u, m, r, t in RATINGS)]
    (folder / "ratings.csv").write_bytes("".join(f"{row}\r\n" for row in rows).encode())
    movies = [f'{m},"{t}",{"|".join(g) or "(no genres listed)"}' for m, t, g, _ in MOVIES]
    text = "".join(f"{row}\r\n" for row in ["movieId,title,genres", *movies])
    (folder / "movies.csv").write_bytes(text.encode())
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\r\n1,1,fun,5\r\n")


def _recbole(folder: Path) -> None:
    header = "item_id:token\trating:float\tuser_id:token\ttimestamp:float\tx:float\n"
    rows = "".join(f"{m}\t{r}\t{u}\t{float(t)}\t9\n" for u, m, r, t in RATINGS)
    (folder / "mine.inter").write_text(header + rows)
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    rows = "".join(f"{m}\t{t}\t{y}\t{' '.join(g)}\n" for m, t, g, y in MOVIES)
    (folder / "mine.item").write_text(header + rows)


def _csv(folder: Path) -> None:
    header = "when;score;film;who;comment\n"
    (folder / "log.csv").write_text(
        header + "".join(f'{t};{r};{m};{u};"so; so"\n' for u, m, r, t in RATINGS), encoding="utf-8-sig"
    )
    rows = "".join(f"{m};{t};{'/'.join(g)}\n" for m, t, g, _ in MOVIES)
    (folder / "movies.csv").write_text("film;name;kind\n" + rows)


def _parquet(folder: Path) -> None:
    users, movies, ratings, times = (list(c) for c in zip(*RATINGS, strict=True))
    table = pa.table(
        {"timestamp": times, "user_id": users, "rating": pa.array(ratings, pa.float32()), "movie_id": movies}
    )
    pq.write_table(table, folder / "any.parquet", row_group_size=5)
    ids, titles, genres, _ = (list(c) for c in zip(*MOVIES, strict=True))
    table = pa.table({"movie_id": ids, "title": titles, "genres": pa.array(genres, pa.list_(pa.string()))})
    pq.write_table(table, folder / "movies.parquet")


_WRITERS = {
    "ml-100k": _ml_100k,
    "ml-dat": _ml_dat,
    "ml-csv": _ml_csv,
    "recbole": _recbole,
    "csv": _csv,
    "parquet": _parquet,
}
CSV_SETTINGS = {
    "columns": {"user_id": "who", "movie_id": "film", "rating": "score", "timestamp": "when"},
    "movie_columns": {"movie_id": "film", "title": "name", "genres": "kind"},
    "delimiter": ";",
    "genres_separator": "/",
}


@dataclasses.dataclass
class Input:
    """A folder in one layout, the settings it needs, and what it holds."""

    layout: str
    folder: Path
    settings: IngestSettings
    ratings = RATINGS
    movies = MOVIES


@pytest.fixture(params=list(_WRITERS))
def any_input(request: pytest.FixtureRequest, tmp_path: Path) -> Input:
    """The same ratings and movies in each layout in turn."""
    return _input(request.param, tmp_path)


@pytest.fixture
def make_input(tmp_path: Path) -> Callable[[str], Input]:
    """Writes the ratings and movies in the layout named."""
    return lambda layout: _input(layout, tmp_path)


def _input(layout: str, tmp_path: Path) -> Input:
    folder = tmp_path / "input"
    folder.mkdir()
    _WRITERS[layout](folder)
    return Input(layout, folder, IngestSettings.model_validate(CSV_SETTINGS if layout == "csv" else {}))


@pytest.fixture
def ml_csv(tmp_path: Path) -> Callable[..., Path]:
    """Writes a MovieLens CSV folder with the ratings given as bytes."""

    def write(ratings: bytes, movies: bytes = b"movieId,title,genres\n1,One (1990),Drama\n") -> Path:
        folder = tmp_path / "ml"
        folder.mkdir(exist_ok=True)
        (folder / "ratings.csv").write_bytes(ratings)
        (folder / "movies.csv").write_bytes(movies)
        return folder

    return write


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """A real data set of ../shared/data, or the test is skipped."""

    def find(name: str) -> Path:
        folder = Path(__file__).resolve().parents[4] / "shared" / "data" / name
        if not folder.is_dir():
            pytest.skip(f"the real data set {name} is not in ../shared/data")
        return folder

    return find


@dataclasses.dataclass
class Written:
    """What the executor wrote: rows by split (user, movie, rating, timestamp, genres), and the artifacts."""

    splits: dict[str, list[tuple[str, str, float, int, list[str]]]]
    movies: list[dict[str, Any]]
    counts: dict[str, int]
    examples: Any
    folder: Path

    @property
    def files(self) -> dict[str, bytes]:
        """Every file by its path within the artifacts."""
        return {
            str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()
        }


def parse(serialized: bytes) -> tuple[str, str, float, int, list[str]]:
    """One tf.Example, read with the plain protocol buffer."""
    import tensorflow as tf

    features = tf.train.Example.FromString(serialized).features.feature
    assert set(features) == {"user_id", "movie_id", "rating", "timestamp", "genres"}
    [user], [movie] = features["user_id"].bytes_list.value, features["movie_id"].bytes_list.value
    [rating], [timestamp] = features["rating"].float_list.value, features["timestamp"].int64_list.value
    genres = [g.decode() for g in features["genres"].bytes_list.value]
    return user.decode(), movie.decode(), rating, timestamp, genres


def parse_all(records: list[bytes]) -> list[tuple[str, str, float, int, list[str]]]:
    """All tf.Examples, read as StatisticsGen and Transform read them, and the first few as a plain proto too."""
    from tfx_bsl.coders import example_coder

    if not records:
        return []
    batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(records)
    columns = {name: batch.column(name) for name in batch.schema.names}
    single = {}
    for name in ("user_id", "movie_id", "rating", "timestamp"):
        single[name] = columns[name].flatten().to_pylist()
        assert len(single[name]) == len(records)
    users, movies = ([v.decode() for v in single[name]] for name in ("user_id", "movie_id"))
    ratings, timestamps = single["rating"], single["timestamp"]
    names = [v.decode() for v in columns["genres"].flatten().to_pylist()]
    ends = columns["genres"].offsets.to_pylist()
    genres = [names[start:end] for start, end in itertools.pairwise(ends)]
    rows = list(zip(users, movies, ratings, timestamps, genres, strict=True))
    assert [parse(r) for r in records[:50]] == rows[:50]
    return rows


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Written]:
    """Detects an input and runs the executor on it, with Beam's DirectRunner."""
    import tensorflow as tf
    from tfx.components.example_gen import utils
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import artifact_utils, standard_artifacts

    from components.example_gen import component, executor
    from pipeline.engine import IN_PROCESS

    def run(
        path: Path | str,
        settings: IngestSettings | None = None,
        name: str = "out",
        threads: int = 1,
        seen: str = "",
    ) -> Written:
        settings = settings or IngestSettings()
        node = component.RatingsExampleGen(detection.detect(str(path), settings), settings)
        folder = tmp_path / name
        examples, movies = standard_artifacts.Examples(), component.Movies()
        examples.uri, movies.uri = str(folder / "examples"), str(folder / "movies")
        properties = {k: v for k, v in node.exec_properties.items() if v is not None}
        properties[utils.FINGERPRINT_PROPERTY_NAME] = seen  # of the files, by TFX's driver
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=[
                *IN_PROCESS,  # of each flag the last counts
                f"--direct_running_mode={'in_memory' if threads == 1 else 'multi_threading'}",
                f"--direct_num_workers={threads}",
            ],
            tmp_dir=str(tmp_path / "tmp"),
            unique_id="1",
        )
        executor.Executor(context).Do({}, {"examples": [examples], "movies": [movies]}, properties)
        splits = {}
        for split in artifact_utils.decode_split_names(examples.split_names):
            shards = sorted((folder / "examples" / f"Split-{split}").iterdir())
            batches = tf.data.TFRecordDataset([str(s) for s in shards], "GZIP").batch(1 << 16)
            splits[split] = parse_all([r for batch in batches.as_numpy_iterator() for r in batch.tolist()])
        counts = {
            k: examples.get_int_custom_property(k)
            for k in examples.mlmd_artifact.custom_properties
            if k.startswith("num_")
        }
        table = pq.read_table(folder / "movies" / "movies.parquet").to_pylist()
        return Written(splits, table, counts, examples, folder)

    return run
