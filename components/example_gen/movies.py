"""Reading a movies table: titles, genres and years by movie."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen import layouts
from components.example_gen.layouts.base import Layout
from components.example_gen.layouts.tables import DATE_KEY
from components.example_gen.problems import SHOWN_CHARS, key_problem, problem
from components.example_gen.readers import plan, read_fields
from components.example_gen.rows import MOVIES_SCHEMA, Reject
from components.example_gen.settings import IngestSettings
from components.example_gen.values import CONTROL, MAX_GENRE_BYTES, as_written, decoded, to_ids, to_text
from components.shared.errors import cut
from components.shared.features import GENRES_KEY, MOVIE_KEY, TITLE_KEY

# How the layouts say that a movie has no genre.
_NO_GENRE = frozenset({"", "unknown", "(no genres listed)"})


def read_movies(path: str, layout: str, settings: IngestSettings) -> tuple[pa.Table, list[Reject]]:
    """Reads a movies table whole; it is small beside the ratings.

    Returns:
        A table of MOVIES_SCHEMA (movie_id string, title string, genres list<string>, year int32 or null) in
        the order of the file, and the rows that could not be used. A second row of a movie is one of those.

    Raises:
        DataError: As `Layout.movies_format`.
        ConfigError: As `layouts.find`.
    """
    of = layouts.find(layout)
    fmt = of.movies_format(path, settings)
    [part] = plan(path, fmt, 1 << 62)
    rows, lines, rejects = read_fields(part)
    id_column = decoded(rows[MOVIE_KEY].combine_chunks())
    ids, raw_ids = to_ids(id_column).to_pylist(), as_written(id_column)
    titles, dates = _texts(rows, TITLE_KEY), _texts(rows, DATE_KEY)
    all_genres = _genres(rows, of, settings)

    kept: dict[str, tuple[str, list[str], int | None]] = {}
    seen: dict[str, int] = {}
    for movie, raw_id, title, genres, date, line in zip(
        ids, raw_ids, titles, all_genres, dates, lines, strict=True
    ):
        # In order, each once.
        clean = list(dict.fromkeys(g.strip() for g in genres or () if g is not None))
        reason = None
        if movie is None:
            reason = f"{fmt.names[MOVIE_KEY]} {problem(MOVIE_KEY, raw_id)}"
        elif movie in seen:
            reason = f"the movie {cut(movie, SHOWN_CHARS)!r} is there already, at line {seen[movie]}"
        elif title is None:
            reason = f"{fmt.names[TITLE_KEY]} is not UTF-8"
        elif genres is None:
            reason = "a genre flag is neither 0 nor 1"
        else:
            problems = (key_problem(genre, MAX_GENRE_BYTES) for genre in clean)
            reason = next((f"a genre {problem}" for problem in problems if problem), None)
        if reason:
            shown = raw_id if movie is None else movie
            rejects.append(Reject(path, line, reason, f"{shown},{title}"))
            continue
        seen[movie] = line
        title = title or ""
        kept[movie] = (title, [g for g in clean if g not in _NO_GENRE], _year(title, date or ""))
    columns = [list(kept), *(list(c) for c in zip(*kept.values(), strict=True))] if kept else [[], [], [], []]
    return pa.table(columns, schema=MOVIES_SCHEMA), sorted(rejects, key=lambda r: r.line)


def _texts(rows: pa.Table, key: str) -> list[str | None]:
    """A title, say, of each row on one line; None where it is not UTF-8."""
    if key not in rows.column_names:
        return [""] * rows.num_rows
    column = rows[key].combine_chunks()
    return [
        re.sub(f"{CONTROL}+", " ", text).strip() if text is not None else None if there else ""
        for text, there in zip(to_text(column).to_pylist(), column.is_valid().to_pylist(), strict=True)
    ]


def _genres(rows: pa.Table, layout: Layout, settings: IngestSettings) -> list[list[Any] | None]:
    """The genres of each row: text, or bytes where it is not UTF-8; None where a flag is none."""
    if set(layout.genre_flags) & set(rows.column_names):
        flags = [rows[name].to_pylist() for name in layout.genre_flags]
        return [
            None
            if any(flag not in ("0", "1") for flag in row)
            else [n for n, f in zip(layout.genre_flags, row, strict=True) if f == "1"]
            for row in zip(*flags, strict=True)
        ]
    if GENRES_KEY not in rows.column_names:
        return [[]] * rows.num_rows
    column = decoded(rows[GENRES_KEY].combine_chunks())
    separator = settings.genres_separator or layout.genres_separator
    if not pa.types.is_list(column.type):
        return [
            [value] if isinstance(value, bytes) else ("" if value is None else str(value)).split(separator)
            for value in as_written(column)
        ]
    names = [
        name if name is None or isinstance(name, bytes) else str(name)
        for name in as_written(decoded(column.flatten()))
    ]
    ends = np.cumsum(pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False))
    return [names[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _year(title: str, date: str) -> int | None:
    """The year at the end of a title, as in "Toy Story (1995)", else that of a date such as 01-Jan-1995."""
    found = re.search(r"\((\d{4})(?:\s*[-–]\s*\d{0,4})?\)\s*$", title) or re.search(
        r"(?<!\d)([12]\d{3})(?:\.0)?$", date
    )
    return int(found[1]) if found else None
