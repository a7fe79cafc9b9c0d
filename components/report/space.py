"""The map of the movies: their vectors in two dimensions, and what is near to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.shared.features import GENRES_KEY, MOVIE_KEY, TITLE_KEY, YEAR_KEY, titled

TENSORS_FILE, METADATA_FILE = "tensors.tsv", "metadata.tsv"  # of `components.trainer.projector`
MAX_MOVIES = 4000  # as `components.ranking.answers`
_NAMED_GENRES = 7  # more colours than these are not told apart


@dataclass(frozen=True)
class Space:
    """M movies.

    Attributes:
        titles: Of each movie.
        genres: All of each, in words.
        group: Of each the place in `groups`, the most frequent genres, of which the last is all others.
        groups: Names.
        x: First principal component of their vectors, and `y` the second.
        explained: Which share of the variance the two have.
        near: Of each the places of its neighbours, nearest first; empty where they are not known.
        likeness: To each of these.
    """

    titles: list[str]
    genres: list[str]
    group: list[int]
    groups: list[str]
    x: list[float]
    y: list[float]
    explained: float
    near: list[list[int]]
    likeness: list[list[float]]


def space(folder: Path, neighbours: Mapping[str, Any]) -> Space | None:
    """Reads what the Trainer wrote for TensorBoard's projector; None where it is not there.

    Args:
        folder: Of the model run.
        neighbours: Of answers.json, see `components.ranking.answers`; may be empty.
    """
    if not (folder / TENSORS_FILE).is_file():
        return None
    vectors = pd.read_csv(folder / TENSORS_FILE, sep="\t", header=None, dtype=np.float32).to_numpy()
    table = pd.read_csv(folder / METADATA_FILE, sep="\t", dtype=str, keep_default_na=False, quoting=3)
    shown: list[str] = neighbours.get("movie_ids") or table[MOVIE_KEY].tolist()[:MAX_MOVIES]
    place = {id_: i for i, id_ in enumerate(table[MOVIE_KEY])}
    at = [place[id_] for id_ in shown if id_ in place]
    if len(at) < 3 or len(at) < len(shown):
        return None
    table = table.iloc[at]
    points, explained = flat(vectors[at])
    genres = [cell.split(", ") if cell else [] for cell in table[GENRES_KEY]]
    names, group = _groups(genres)
    return Space(
        titles=[
            titled(title or id_, int(year) if year else None)
            for title, id_, year in zip(table[TITLE_KEY], table[MOVIE_KEY], table[YEAR_KEY], strict=True)
        ],
        genres=table[GENRES_KEY].tolist(),
        group=group,
        groups=names,
        x=np.round(points[:, 0], 4).tolist(),
        y=np.round(points[:, 1], 4).tolist(),
        explained=explained,
        near=neighbours.get("near", []),
        likeness=neighbours.get("likeness", []),
    )


def flat(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components of vectors of length 1, and which share of the variance they have.

    Of length 1, as movies are compared by angles; and the same ones each time, their signs being those of the first
    movie.

    Args:
        vectors: float (M, D).

    Returns:
        float (M, 2), and the share.
    """
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    centred = (directions - directions.mean(axis=0)).astype(np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    points = centred @ axes[:, ::-1][:, :2]
    if points.shape[1] < 2:
        points = np.pad(points, [(0, 0), (0, 1)])
    points *= np.where(points[0] < 0, -1, 1)
    return points, float(values[::-1][:2].sum() / max(values.sum(), 1e-12))


def _groups(genres: list[list[str]]) -> tuple[list[str], list[int]]:
    """The most frequent genres, and of each movie the place of the rarest of its own among them."""
    counts: dict[str, int] = {}
    for one in genres:
        for genre in one:
            counts[genre] = counts.get(genre, 0) + 1
    names = sorted(counts, key=lambda genre: (-counts[genre], genre))[:_NAMED_GENRES]
    place = {genre: i for i, genre in enumerate(names)}
    found = [max((place[genre] for genre in one if genre in place), default=len(names)) for one in genres]
    return [*names, "other"], found
