"""Recommendations for everybody, in a file: the pushed model inside a Beam pipeline.

The users are cut into pieces of `PIECE` ids. A worker answers a piece with the signature `recommend` and writes it
aside; what is there is not asked for again, so that a call that was ended is taken up. At the end the pieces become one
file, in the order of the users. In memory there is never more than a piece.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from components.example_gen.files import open_file
from components.shared.errors import ConfigError, DataError, LockedError, MarqueeError, ModelError
from components.shared.storage import storage, storage_error
from pipeline.operations.served import ServedModel
from pipeline.operations.users import user_ids

PIECE = 20_000  # users
_AT_ONCE = 1_000  # users that the model is asked for
_PLAN, _LOCK = "plan.json", "lock"
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("known_user", pa.bool_()),
        ("rank", pa.int32()),
        ("movie_id", pa.string()),
        ("title", pa.string()),
        ("score", pa.float32()),
        ("probability", pa.float32()),
        ("version", pa.string()),
    ]
)
_ENDINGS = (".parquet", ".csv")


@dataclass(frozen=True)
class Request:
    """What is asked, of which version; another request is another file."""

    serving_model_dir: str
    version: str
    k: int
    exclude_rated: bool


@dataclass(frozen=True)
class Written:
    """What has come of it: pieces and users in all, and pieces that were there from an earlier call."""

    users: int
    rows: int
    pieces: int
    taken_up: int


def batch(
    served: ServedModel,
    out: Path,
    users: Path | None,
    k: int,
    exclude_rated: bool,
    beam_arguments: Sequence[str],
) -> Written:
    """Writes a row for each user and recommended movie: `SCHEMA`, best first, users in their order.

    Args:
        served: The version.
        out: A .parquet or .csv file; it is there when it is whole.
        users: A file of `users.user_ids`; None: all users that the version knows.
        k: How many movies for each.
        exclude_rated: Whether to leave out what a user has rated.
        beam_arguments: Of Beam's pipeline options. Workers need this environment and these folders.

    Raises:
        ConfigError: The file has another ending.
        DataError: The users cannot be read.
        LockedError: Another process is at the same file.
        ModelError: The version is damaged.
        StorageError: The file cannot be written.
    """
    if out.suffix not in _ENDINGS:
        raise ConfigError(
            "The format is not clear from the file's name.",
            where="--out",
            found=out.name,
            expected=" or ".join(_ENDINGS),
        )
    request = Request(str(served.path.parent), served.path.name, k, exclude_rated)
    source = users or served.path / "assets" / "user_id"
    problem = "The recommendations cannot be written."
    with open_file(str(source)) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    with storage(out, problem), _folder(out, request, digest) as folder:
        try:
            asked = _cut(source, folder)
        except DataError:
            shutil.rmtree(folder)
            raise
        pending = [one for one in asked if not _answers(one).exists()]
        try:
            if pending:
                _answer(pending, request, beam_arguments)
        except MarqueeError:
            raise
        except Exception as error:
            full = storage_error(error, out, problem)
            if full:
                raise full from None
            raise ModelError(
                "The model did not answer.",
                where=str(served.path),
                found=str(error).strip().splitlines()[-1][:300] if str(error).strip() else repr(error),
                fix="the same call again goes on with what is missing; `marquee run` mends a damaged version",
            ) from None
        rows = _joined([_answers(one) for one in asked], out, request)
        number = sum(pq.read_metadata(one).num_rows for one in asked)
        shutil.rmtree(folder)
    return Written(number, rows, len(asked), len(asked) - len(pending))


@contextmanager
def _folder(out: Path, request: Request, digest: str) -> Iterator[Path]:
    """Where the pieces are: those of an earlier call, if it was the same."""
    plan = json.dumps({**asdict(request), "users": digest, "piece": PIECE})
    folder = out.parent / f".{out.name}.pieces"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                "Another process writes this file.", where=str(out), fix="wait for it, or give another --out"
            ) from None
        kept = folder / _PLAN
        if not kept.exists() or kept.read_text() != plan:
            for path in folder.iterdir():
                if path.name != _LOCK:
                    path.unlink()
            kept.write_text(plan)
        yield folder


def _cut(source: Path, folder: Path) -> list[Path]:
    """Files of the users of each piece, each with its ids as its only column."""
    pieces = []
    for number, ids in enumerate(user_ids(source, PIECE)):
        piece = folder / f"users-{number:06}.parquet"
        if not piece.exists():
            _write(pa.table({"user_id": ids}), piece)
        pieces.append(piece)
    return pieces


def _answers(piece: Path) -> Path:
    return piece.with_name(piece.name.replace("users-", "answers-"))


def _write(table: pa.Table, path: Path) -> None:
    aside = path.with_suffix(".tmp")
    pq.write_table(table, aside)
    aside.rename(path)


def _answer(pieces: Sequence[Path], request: Request, beam_arguments: Sequence[str]) -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        with beam.Pipeline(options=PipelineOptions(list(beam_arguments))) as pipeline:
            _ = (
                pipeline
                | "Pieces" >> beam.Create([str(piece) for piece in pieces])
                | "Spread" >> beam.Reshuffle()
                | "Answer" >> beam.Map(_answer_piece, request)
            )
    finally:
        _loaded.clear()


_loaded: dict[Request, ServedModel] = {}  # once a worker


def _answer_piece(piece: str, request: Request) -> None:
    if request not in _loaded:
        _loaded.clear()
        _loaded[request] = ServedModel(Path(request.serving_model_dir), request.version)
    served, path = _loaded[request], Path(piece)
    ids = pq.read_table(path)["user_id"]
    titles = pa.table(
        {"id": list(served.movies), "title": [str(movie) for movie in served.movies.values()]},
        schema=pa.schema([("id", pa.string()), ("title", pa.string())]),
    )
    parts = [
        _answered(served, ids.slice(start, _AT_ONCE), request, titles)
        for start in range(0, len(ids), _AT_ONCE)
    ]
    _write(pa.concat_tables(parts), _answers(path))


def _answered(served: ServedModel, ids: pa.ChunkedArray, request: Request, titles: pa.Table) -> pa.Table:
    """What the model recommends to some users, by SCHEMA; a user without a candidate has no row."""
    answer = served.recommended(ids.to_pylist(), request.k, request.exclude_rated)
    found = {key: value.numpy() for key, value in answer.items()}
    real = found["movie_ids"] != b""
    rows, ranks = np.nonzero(real)
    movies = pa.array(found["movie_ids"][real], pa.binary()).cast(pa.string())
    # Versions of before have none.
    probability = found.get("probability", np.full(real.shape, np.nan, np.float32))
    columns = [
        ids.take(pa.array(rows)).combine_chunks(),
        pa.array(found["known"][rows]),
        pa.array(ranks + 1, pa.int32()),
        movies,
        titles["title"].take(pc.index_in(movies, value_set=titles["id"].combine_chunks())).combine_chunks(),
        pa.array(found["scores"][real], pa.float32()),
        pa.array(probability[real], pa.float32()),
        pa.array(np.full(len(rows), request.version), pa.string()),
    ]
    return pa.table(columns, schema=SCHEMA)


def _joined(pieces: Sequence[Path], out: Path, request: Request) -> int:
    """Puts the pieces together, one after the other, and returns how many rows there are."""
    aside = out.with_name(f".{out.name}.tmp")
    about = {f"marquee.{key}": str(value) for key, value in asdict(request).items()}
    schema, rows = SCHEMA.with_metadata(about), 0
    of_csv = out.suffix == ".csv"
    with (
        pacsv.CSVWriter(aside, schema)
        if of_csv
        else pq.ParquetWriter(aside, schema, compression="zstd") as writer
    ):
        for piece in pieces:
            table = pq.read_table(piece).replace_schema_metadata(about)
            writer.write_table(table)
            rows += table.num_rows
    aside.rename(out)
    return rows
