"""Ranking metrics for many users at once, in numpy: never a loop over users.

Shapes: B users of a batch, M movies of the catalogue, K the longest list, G groups of movies. A list is the K
best candidates of a user, best first. The positives of a user are the movies that it should hold.

Formulas, with h_r = 1 where the movie at rank r is a positive, R the number of the user's positives (also of
those that are no candidates, so that what cannot be found counts as missed), sums over r = 1..k:

- hit_rate@k   1 if any h_r, else 0
- recall@k     sum h_r / R
- precision@k  sum h_r / k
- ndcg@k       (sum h_r / log2(r + 1)) / (sum over r = 1..min(k, R) of 1 / log2(r + 1))
               Järvelin, Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002)
- map@k        (sum h_r * precision@r) / R; its mean over users is MAP. Both as trec_eval's map_cut
- mrr@k        1 / r of the first positive, 0 if there is none; Voorhees, "The TREC-8 question answering
               track report" (1999)
- novelty@k    mean over the list of -log2(share of the train users who rated the movie); Zhou et al.,
               "Solving the apparent diversity-accuracy dilemma of recommender systems" (2010)
- diversity@k  mean over the pairs of the list of 1 - (shared genres / genres of either), the movies without genres
               left out; Ziegler et al., "Improving recommendation lists through topic diversification" (2005)
- head_share@k share of the list that is of the head, the most rated movies with a third of the ratings: how far a
               model leans to what is popular; Abdollahpouri et al., "The unfairness of popularity bias in
               recommendation" (2019)
- coverage@k   share of the catalogue that is in at least one user's list; Ge et al., "Beyond accuracy:
               evaluating recommender systems by coverage and serendipity" (2010)

Ties count against the model: of movies with one score, positives come last. A model that gives one score to all
thus finds nothing, however the movies are ordered (see Krichene, Rendle, "On sampled metrics for item
recommendation", 2020, on what else goes wrong, the sampling of candidates first of all).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

NOVELTY, DIVERSITY, HEAD_SHARE, COVERAGE = "novelty", "diversity", "head_share", "coverage"

# Pairs of a row and a column, int64 (P,) each.
Pairs = tuple[np.ndarray, np.ndarray]

_BLOCK = 1 << 18  # pairs of user and movie at a time, few enough to stay in the cache
_GROUPS = 128
_LOWEST = np.finfo(np.float32).min
_NOWHERE = np.iinfo(np.int64).min
_LAST_COLUMN = (1 << 31) - 1


@dataclass(frozen=True)
class Lists:
    """The best candidates of B users.

    Attributes:
        movies: int64 (B, K), columns of the scores, best first.
        hits: bool (B, K), where the movie is a positive.
        real: bool (B, K), false past the end of a list that has fewer candidates than K.
    """

    movies: np.ndarray
    hits: np.ndarray
    real: np.ndarray


@dataclass(frozen=True)
class Cut:
    """Lists of B users with positives, cut at k.

    Attributes:
        k: Where.
        positives: R, int (B,), at least 1.
        count: int (B,), positives in the list.
        gain: float (B,), sum of their 1 / log2(rank + 1).
        ideal: float (B,), the greatest gain that there is.
        precisions: float (B,), sum of the precision at each of their ranks.
        first: int (B,), rank of the first of them; 0 for none.
    """

    k: int
    positives: np.ndarray
    count: np.ndarray
    gain: np.ndarray
    ideal: np.ndarray
    precisions: np.ndarray
    first: np.ndarray


# The formulas of above, float (B,) each. `settings.RankingMetric` has the same names.
_FORMULAS: dict[str, Callable[[Cut], np.ndarray]] = {
    "hit_rate": lambda cut: cut.count > 0,
    "recall": lambda cut: cut.count / cut.positives,
    "precision": lambda cut: cut.count / cut.k,
    "ndcg": lambda cut: cut.gain / cut.ideal,
    "map": lambda cut: cut.precisions / cut.positives,
    "mrr": lambda cut: np.where(cut.first > 0, 1 / np.maximum(cut.first, 1), 0),
}
RELEVANCE = tuple(_FORMULAS)


def name(metric: str, k: int) -> str:
    """Name of a metric at k, e.g. `ndcg@10`."""
    return f"{metric}@{k}"


def best(scores: np.ndarray, positive: np.ndarray, candidate: np.ndarray, k: int) -> Lists:
    """The k best candidates of each user; of equal ones positives come last, then the first column comes first.

    Args:
        scores: float (B, M), taken as float32; NaN is the lowest there is.
        positive: bool (B, M).
        candidate: bool (B, M), what may be in a list.
        k: Length of the lists; K is the smaller of it and M.
    """
    users, movies = scores.shape
    step = max(_BLOCK // max(movies, 1), 1)
    blocks = [slice(start, start + step) for start in range(0, max(users, 1), step)]
    parts = [_best(scores[rows], positive[rows], candidate[rows], min(k, movies)) for rows in blocks]
    return Lists(
        *(np.concatenate([getattr(part, of) for part in parts]) for of in ("movies", "hits", "real"))
    )


def best_of_one_order(scores: np.ndarray, users: int, rated: Pairs, positives: Pairs, k: int) -> Lists:
    """The same where all users have the same scores: they are sorted once, and each list walks past what is rated.

    Args:
        scores: float (M,), as in `best`.
        users: B.
        rated: What may not be in a list; a pair may come twice.
        positives: As `rated`, of what is not rated.
        k: Length of the lists; K is the smaller of it and M.
    """
    movies = len(scores)
    length = min(k, movies)
    if not length:
        return _none(users, length)
    values = _comparable(scores)
    order = np.argsort(-values, kind="stable")
    sorted_ = values[order]
    place = np.empty(movies, np.int64)
    place[order] = np.arange(movies)
    # Where the ties of each place end.
    last = np.append(np.flatnonzero(sorted_[1:] != sorted_[:-1]), movies - 1)
    end = last[np.searchsorted(last, np.arange(movies))] + 1
    found = np.unique(positives[0] * movies + place[positives[1]])
    taken = np.union1d(rated[0] * movies + place[rated[1]], found)
    first = np.searchsorted(taken, np.arange(users) * movies)  # of each user
    # The others of a user: the one after j others is j places down, and one more for each taken movie before it.
    owner, at = np.divmod(taken, movies)
    others_before = at - (np.arange(len(taken)) - first[owner])
    near = others_before < length
    steps = np.bincount(owner[near] * length + others_before[near], minlength=users * length)
    others = np.arange(length) + steps.reshape(users, length).cumsum(axis=1)
    # A positive stands behind the others that come before the end of its ties, and behind the positives before it.
    owner, at = np.divmod(found, movies)
    ahead = np.arange(len(found)) - np.searchsorted(found, np.arange(users) * movies)[owner]
    ahead += end[at] - (np.searchsorted(taken, owner * movies + end[at]) - first[owner])
    owner, at, ahead = (array[ahead < length] for array in (owner, at, ahead))
    hits = np.zeros((users, length), bool)
    hits[owner, ahead] = True
    at_place = np.take_along_axis(others, np.maximum((~hits).cumsum(axis=1) - 1, 0), axis=1)
    at_place[owner, ahead] = at
    real = at_place < movies
    return Lists(order[np.minimum(at_place, movies - 1)], hits, real)


def relevance(hits: np.ndarray, positives: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """The metrics of RELEVANCE at each k, float64 (B,); NaN for users without positives.

    Args:
        hits: bool (B, K), K at least the largest of ks or the whole catalogue.
        positives: int (B,), R.
        ks: Where to cut the lists.
    """
    if not hits.shape[1]:  # an empty catalogue
        hits = np.zeros((len(hits), 1), bool)
    length = hits.shape[1]
    ranks = np.arange(1, length + 1)
    discounts = 1.0 / np.log2(ranks + 1)
    found = np.cumsum(hits, axis=1)
    gain = np.cumsum(hits * discounts, axis=1)
    precision_at_hits = np.cumsum(hits * found / ranks, axis=1)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0)
    # Ideal lists may be longer than K, where k is beyond the catalogue and positives are outside it.
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, max(ks) + 2)))])
    some = positives > 0
    total = np.maximum(positives, 1)
    metrics: dict[str, np.ndarray] = {}
    for k in ks:
        last = min(k, length) - 1
        cut = Cut(
            k,
            total,
            found[:, last],
            gain[:, last],
            ideal[np.minimum(total, k)],
            precision_at_hits[:, last],
            np.where(first <= k, first, 0),
        )
        metrics |= {
            name(metric, k): np.where(some, formula(cut), np.nan) for metric, formula in _FORMULAS.items()
        }
    return metrics


def by_group(
    lists: Lists, groups: np.ndarray, positives: np.ndarray, ks: Sequence[int]
) -> dict[str, np.ndarray]:
    """The metrics of RELEVANCE for the positives of each group alone, float64 (B, G).

    The lists stay as they are, so that the other groups' movies keep their places in them.

    Args:
        lists: Of `best`.
        groups: bool (M, G), which movie is in which group.
        positives: int (B, G).
        ks: Where to cut the lists.
    """
    users, length = lists.hits.shape
    number = groups.shape[1]
    hits = lists.hits[:, None, :] & np.moveaxis(groups[lists.movies], 2, 1)
    flat = relevance(hits.reshape(users * number, length), positives.reshape(-1), ks)
    return {metric: values.reshape(users, number) for metric, values in flat.items()}


def novelty(lists: Lists, information: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Mean self-information of each list, float64 (B,); 0 for an empty one.

    Args:
        lists: Of `best`.
        information: float (M,), see `self_information`.
        ks: Where to cut the lists.
    """
    metrics: dict[str, np.ndarray] = {}
    for k in ks:
        real = lists.real[:, :k]
        total = np.where(real, information[lists.movies[:, :k]], 0.0).sum(axis=1)
        count = real.sum(axis=1)
        metrics[name(NOVELTY, k)] = total / np.maximum(count, 1)
    return metrics


def diversity(lists: Lists, genres: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """How unlike the movies of each list are by genre, float64 (B,); 0 where no two have genres.

    Args:
        lists: Of `best`.
        genres: bool (M, G), which movie has which.
        k: Where to cut the lists.
    """
    members = genres[lists.movies[:, :k]].astype(np.float32) * lists.real[:, :k, None]
    shared = members @ np.swapaxes(members, 1, 2)
    number = members.sum(axis=2)
    either = number[:, :, None] + number[:, None, :] - shared
    pairs = (number[:, :, None] * number[:, None, :] > 0) & ~np.eye(members.shape[1], dtype=bool)
    unlike = np.where(pairs, 1 - shared / np.maximum(either, 1), 0.0).sum(axis=(1, 2), dtype=np.float64)
    return {name(DIVERSITY, k): unlike / np.maximum(pairs.sum(axis=(1, 2)), 1)}


def head_share(lists: Lists, head: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Share of each list that is of the head, float64 (B,); 0 for an empty one.

    Args:
        lists: Of `best`.
        head: bool (M,), see `thirds_of_popularity`.
        k: Where to cut the lists.
    """
    real = lists.real[:, :k]
    found = (head[lists.movies[:, :k]] & real).sum(axis=1)
    return {name(HEAD_SHARE, k): found / np.maximum(real.sum(axis=1), 1)}


def self_information(raters: np.ndarray, users: int) -> np.ndarray:
    """-log2 of the share of users who rated a movie, in bits, float64 (M,); one who did where none did."""
    return -np.log2(np.maximum(raters, 1) / max(users, 1))


def thirds_of_popularity(ratings: np.ndarray) -> np.ndarray:
    """Head, middle and tail: the most rated movies with a third of the ratings, the next, the rest.

    Args:
        ratings: int (M,), train ratings of each movie.

    Returns:
        int64 (M,), 0 head, 1 middle, 2 tail. A movie is where the middle of its ratings falls.
    """
    order = np.argsort(-ratings, kind="stable")
    share = (np.cumsum(ratings[order]) - ratings[order] / 2) / max(ratings.sum(), 1)
    third = np.empty(len(ratings), np.int64)
    third[order] = np.minimum((share * 3).astype(np.int64), 2)
    return third


def log_losses(liked: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of each row, float64 (N,), clipped as Keras and TFMA do."""
    p = np.clip(np.asarray(probability, np.float64), 1e-7, 1 - 1e-7)
    return -np.where(liked, np.log(p), np.log1p(-p))


def expected_calibration_error(liked: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    """Mean distance of the share of likes from the mean probability, over bins of equal width, weighted by rows.

    Guo et al., "On calibration of modern neural networks" (2017), eq. 3; NaN without rows.

    Args:
        liked: bool (N,).
        probability: float (N,).
        bins: How many.
    """
    if not len(liked):
        return float("nan")
    place = np.minimum((np.asarray(probability, np.float64) * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, liked, bins) - np.bincount(place, probability, bins)
    return float(np.abs(gaps).sum() / len(liked))


def reliability(liked: np.ndarray, probability: np.ndarray, bins: int = 10) -> list[dict[str, float]]:
    """The bins of a reliability diagram, those without rows left out: `rows`, mean `probability`, share `liked`.

    Murphy, Winkler, "Reliability of subjective probability forecasts of precipitation and temperature" (1977).

    Args:
        liked: bool (N,).
        probability: float (N,).
        bins: How many, of equal width.
    """
    place = np.minimum((np.asarray(probability, np.float64) * bins).astype(np.int64), bins - 1)
    rows = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, of, bins) for of in (probability, liked))
    return [
        {"rows": int(number), "probability": float(predicted / number), "liked": float(true / number)}
        for number, predicted, true in zip(rows, *sums, strict=True)
        if number
    ]


def placements(liked: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Where each row stands among the rows of the other class; the mean over either class is the AUC.

    A liked row has the share of the others with a lower score, one not liked that of the liked with a higher
    score, ties counted half: V10 and V01 in DeLong et al., "Comparing the areas under two or more correlated
    receiver operating characteristic curves" (1988).

    Args:
        liked: bool (N,).
        scores: float (N,).

    Returns:
        float64 (N,); NaN if a class is empty.
    """
    _, group = np.unique(scores, return_inverse=True)
    positives = np.bincount(group, weights=liked, minlength=1)
    negatives = np.bincount(group, weights=~liked, minlength=1)
    if not positives.sum() or not negatives.sum():
        return np.full(len(liked), np.nan)
    below = (np.cumsum(negatives) - negatives / 2) / negatives.sum()
    above = 1 - (np.cumsum(positives) - positives / 2) / positives.sum()
    return np.where(liked, below[group], above[group])


def _best(scores: np.ndarray, positive: np.ndarray, candidate: np.ndarray, length: int) -> Lists:
    users, movies = scores.shape
    if not length or not users:
        return _none(users, length)
    values = np.where(candidate, _comparable(scores), -np.inf)
    # The greatest of each group of columns: as many values as groups are at least the least of the best of these,
    # so that only what is not below it has to be sorted.
    groups = min(max(_GROUPS, 4 * length), movies)
    whole = movies // groups * groups
    greatest = values[:, :whole].reshape(users, -1, groups).max(axis=1)
    np.maximum(greatest[:, : movies - whole], values[:, whole:], out=greatest[:, : movies - whole])
    least = np.partition(greatest, groups - length, axis=1)[:, groups - length]
    chosen = np.flatnonzero(values >= np.maximum(least, _LOWEST)[:, None])
    rows, columns = np.divmod(chosen, movies)
    # Sorted by score, then positive or not, then column, in one number.
    bits = (values.reshape(-1)[chosen] + np.float32(0)).view(np.int32)  # -0 is 0
    # The bits of floats are in their order but for the negative ones, which are in reverse.
    keys = np.where(bits >= 0, bits, bits ^ 0x7FFFFFFF).astype(np.int64) << 32
    keys |= (~positive.reshape(-1)[chosen]).astype(np.int64) << 31
    keys |= _LAST_COLUMN - columns
    number = np.bincount(rows, minlength=users)
    table = np.full((users, max(number.max(), length)), _NOWHERE)
    table[rows, np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)] = keys
    table.sort(axis=1)
    table = table[:, : -length - 1 : -1]
    real = table != _NOWHERE
    return Lists(
        np.where(real, _LAST_COLUMN - (table & _LAST_COLUMN), 0), real & (table >> 31 & 1 == 0), real
    )


def _comparable(scores: np.ndarray) -> np.ndarray:
    """float32, and none as low as -inf, which is for what is no candidate."""
    return np.fmax(scores.astype(np.float32, copy=False), _LOWEST)


def _none(users: int, length: int) -> Lists:
    return Lists(*(np.zeros((users, length), kind) for kind in (np.int64, bool, bool)))
