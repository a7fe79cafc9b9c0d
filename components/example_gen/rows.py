"""What the readers give: rows of ratings and of movies as Arrow tables, and the rows that cannot be used."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable

import pyarrow as pa

from components.shared.errors import cut
from components.shared.features import GENRES_KEY, MOVIE_KEY, RATING_KEY, TIMESTAMP_KEY, TITLE_KEY, USER_KEY

YEAR_KEY = "year"
RATINGS, MOVIES = "ratings", "movies"

_KEPT_CHARS = 4096  # of the text of a row that cannot be used, in rejects.csv

RATINGS_SCHEMA = pa.schema(
    [
        (USER_KEY, pa.dictionary(pa.int32(), pa.string())),
        (MOVIE_KEY, pa.dictionary(pa.int32(), pa.string())),
        (RATING_KEY, pa.float32()),
        (TIMESTAMP_KEY, pa.int64()),
    ]
)
MOVIES_SCHEMA = pa.schema(
    [
        (MOVIE_KEY, pa.string()),
        (TITLE_KEY, pa.string()),
        (GENRES_KEY, pa.list_(pa.string())),
        (YEAR_KEY, pa.int32()),
    ]
)


@dataclasses.dataclass(frozen=True)
class Reject:
    """One row that cannot be used; `line` counts from 1 (in Parquet: the row), `text` is cut where it is long."""

    file: str
    line: int
    reason: str
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", cut(self.text, _KEPT_CHARS))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def rejects_csv(rejects: Iterable[Reject]) -> str:
    """Rejects as CSV text: file, line, reason, text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "line", "reason", "text"])
    writer.writerows([r.file, r.line, r.reason, r.text] for r in rejects)
    return out.getvalue()
