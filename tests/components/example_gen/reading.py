"""Reads a source to its end, as the executor would, into plain rows."""

from __future__ import annotations

from typing import Any

from components.example_gen import detection, files, layouts, readers
from components.example_gen.movies import read_movies
from components.example_gen.rows import MOVIES_SCHEMA, RATINGS_SCHEMA, Reject
from components.example_gen.settings import IngestSettings

DEFAULT = IngestSettings()


def read_all(
    source: detection.Source, config: IngestSettings = DEFAULT, range_bytes: int = 1 << 20
) -> tuple[list[tuple[Any, ...]], list[Reject]]:
    rows: list[tuple[Any, ...]] = []
    rejects: list[Reject] = []
    for path in files.match(source.base, source.ratings):
        for part in readers.plan(path, layouts.find(source.layout).ratings_format(path, config), range_bytes):
            table, bad = readers.read_ratings(part)
            assert table.schema.equals(RATINGS_SCHEMA)
            rows += [tuple(row.values()) for row in table.to_pylist()]
            rejects += bad
    return rows, rejects


def all_movies(source: detection.Source, config: IngestSettings = DEFAULT) -> list[tuple[Any, ...]]:
    assert source.movies is not None
    [path] = files.match(source.base, source.movies)
    table, rejects = read_movies(path, source.layout, config)
    assert table.schema.equals(MOVIES_SCHEMA)
    assert not rejects
    return [tuple(row.values()) for row in table.to_pylist()]
