"""What a person would ask the candidate: what it recommends a few users, why, and which movies it finds alike.

`answers.json` holds

- `users`: a typical, a light, a heavy and a new user; `kind`, `user_id`, `known`, `num_train` (ratings in train), and
  of each recommended movie, best first, `movie_ids`, `scores`, `probability` of a like, and `because`, the movie that
  the user liked and that the model finds most like it, null for who liked none
- `neighbours`: of the most rated movies, `movie_ids` (M,), and for each the places in them of its neighbours, nearest
  first, with their likeness: `near` and `likeness`, (M, at most NEIGHBOURS)

Both are what the export answers to `recommend` and `similar_movies`, and so what serving will say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from components.ranking.data import Dataset
from components.ranking.exported import ExportedModel
from components.shared.features import TRAIN_SPLIT

RECOMMENDED, NEIGHBOURS = 10, 8
MAX_MOVIES = 4000  # of a map that is still one to look at
STRANGER = ""  # an id that no log has, see `components.example_gen`
_BATCH = 512  # movies asked for at a time


def ask(model: ExportedModel, data: Dataset, typical: str | None) -> dict[str, Any]:
    """The content of answers.json; of an export that cannot be asked so, nothing.

    Args:
        model: The candidate.
        data: The ratings.
        typical: Id of the user in the middle, where it is known already.
    """
    if not model.answers:
        return {}
    counts = np.bincount(data.splits[TRAIN_SPLIT].users, minlength=len(data.user_ids))
    kinds = sample_users(counts, data.user_ids, typical)
    return {
        "users": [_of_user(model, data, kind, id_, counts) for kind, id_ in kinds],
        "neighbours": _neighbours(model, data),
    }


def sample_users(counts: np.ndarray, user_ids: np.ndarray, typical: str | None) -> list[tuple[str, bytes]]:
    """The users that are asked for: at the 50th, 10th and 90th percentile by number of ratings, and a stranger.

    Args:
        counts: Train ratings of each user, int (U,).
        user_ids: bytes, object (U,).
        typical: Takes the place of the first.
    """
    known = np.flatnonzero(counts)
    order = known[np.lexsort((user_ids[known].astype(str), counts[known]))]
    found = [(kind, order[int(share * (len(order) - 1))]) for kind, share in _KINDS] if len(order) else []
    ids = {kind: user_ids[code] for kind, code in found}
    if typical is not None:
        ids["typical"] = typical.encode()
    return [*ids.items(), ("new", STRANGER.encode())]


_KINDS = (("typical", 0.5), ("light", 0.1), ("heavy", 0.9))


def _of_user(
    model: ExportedModel, data: Dataset, kind: str, user_id: bytes, counts: np.ndarray
) -> dict[str, Any]:
    answer = model.recommended(np.array([user_id], object), RECOMMENDED)
    movie_ids, scores, probability = (answer[key][0] for key in ("movie_ids", "scores", "probability"))
    real = movie_ids != b""  # a list that is too short ends in these
    code = np.flatnonzero(data.user_ids == user_id)
    liked = [of.movies[(of.users == code[0]) & of.liked] for of in data.splits.values()] if len(code) else []
    return {
        "kind": kind,
        "user_id": _text(user_id),
        "known": bool(answer["known"][0]),
        "num_train": int(counts[code].sum()),
        "movie_ids": [_text(id_) for id_ in movie_ids[real]],
        "scores": [float(score) for score in scores[real]],
        "probability": [float(share) for share in probability[real]],
        "because": _because(
            model, movie_ids[real], data.movie_ids[np.unique(np.concatenate(liked))] if liked else []
        ),
    }


def _because(model: ExportedModel, movie_ids: np.ndarray, liked: Any) -> list[str | None]:
    """Of each movie the one of the liked ones that the model finds most like it."""
    if not len(liked) or not len(movie_ids):
        return [None] * len(movie_ids)
    near, _ = model.similar(movie_ids, None)
    wanted = set(liked)
    return [next((_text(id_) for id_ in row if id_ in wanted), None) for row in near]


def _neighbours(model: ExportedModel, data: Dataset) -> dict[str, Any]:
    raters = np.bincount(data.splits[TRAIN_SPLIT].movies, minlength=len(data.movie_ids))[data.catalogue]
    shown = data.movie_ids[data.catalogue[np.argsort(-raters, kind="stable")[:MAX_MOVIES]]]
    place = {id_: i for i, id_ in enumerate(shown)}
    near: list[list[int]] = []
    likeness: list[list[float]] = []
    for start in range(0, len(shown), _BATCH):
        ids, scores = model.similar(shown[start : start + _BATCH], NEIGHBOURS)
        for row, of_row in zip(ids, scores, strict=True):
            kept = [
                (place[id_], float(score)) for id_, score in zip(row, of_row, strict=True) if id_ in place
            ]
            near.append([at for at, _ in kept])
            likeness.append([round(score, 4) for _, score in kept])
    return {"movie_ids": [_text(id_) for id_ in shown], "near": near, "likeness": likeness}


def _text(id_: bytes) -> str:
    return id_.decode("utf-8", "replace")
