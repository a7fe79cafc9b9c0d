"""The evaluation itself: every model and floor over the same users, lists and likes.

Protocol: a list holds movies of the train split that the user has not rated in train or eval, the movies that
all models can recommend. The positives are the movies that the user liked (or rated, by `label.positives`) in test,
also those that were never rated in train: no list can hold them, and they count as missed. Users without positives
have no ranking metrics; they are counted. The log-loss and the AUC are those of all ratings in test.

With `sampled_candidates` the lists of a second set of metrics, named `sampled_...`, hold the positives and so many
movies drawn from those that the user has not rated in any split, the same ones for every model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from components.ranking import bootstrap, floors, metrics
from components.ranking.data import Dataset
from components.ranking.exported import ExportedModel
from components.ranking.floors import Ratings
from components.ranking.frame import ACTIVITIES, Batch, Frame
from components.ranking.regression import Biases
from components.ranking.settings import RankingSettings
from components.shared import features

CANDIDATE, BASELINE = "candidate", "baseline"
POPULARITY, MOVIE_MEAN, BIAS_REGRESSION = "popularity", "movie_mean", "bias_logistic_regression"
BIAS_GENRE_REGRESSION = "bias_genre_logistic_regression"
EASE, ITEM_KNN = "ease", "item_knn"
LOG_LOSS, AUC, ECE = "log_loss", "auc", "ece"
SAMPLED = "sampled_"
_BESIDE = (metrics.NOVELTY, metrics.DIVERSITY, metrics.HEAD_SHARE)  # what a list is beside being right
_ALL = ("", "")  # the slice of everything
_LIKED, _OTHERS = "liked", "others"  # rows of the two classes


@dataclass(frozen=True)
class Scorer:
    """A model or floor.

    Attributes:
        likes: P(like) of the test rows, float (N,); None for a floor that does not say.
        scores: (codes of B users) -> float (B, C), scores of the catalogue; or float (C,) where all users have the
            same.
    """

    likes: np.ndarray | None
    scores: floors.Scores | np.ndarray

    def lists(self, batch: Batch, k: int) -> tuple[metrics.Lists, metrics.Lists | None]:
        """The k best candidates of each user, and of the sampled candidates where there are any."""
        if isinstance(self.scores, np.ndarray):
            users = len(batch.users)
            lists = metrics.best_of_one_order(self.scores, users, batch.rated, batch.found, k)
            scores = np.broadcast_to(self.scores, (users, len(self.scores)))
        else:
            scores = self.scores(batch.users)
            lists = metrics.best(scores, batch.positive, batch.candidate, k)
        sampled = batch.sampled
        return lists, None if sampled is None else metrics.best(scores, batch.positive, sampled, k)


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
        report: The content of metrics.json.
        per_user: A row for each user with ratings in test, see `component.RankingEvaluator`.
    """

    report: dict[str, Any]
    per_user: pa.Table


def scorers(
    data: Dataset,
    models: Mapping[str, ExportedModel],
    genres: tuple[list[str], np.ndarray],
    settings: RankingSettings,
) -> dict[str, Scorer]:
    """The models and the floors, fitted here; without genres there is no floor that has them."""
    test = data.splits[features.TEST_SPLIT]
    found = {}
    for name, model in models.items():
        likes = model.probabilities(data.user_ids[test.users], data.movie_ids[test.movies])
        found[name] = Scorer(likes, _scores_of(model, data))
    return found | _ranking_floors(data, settings) | _like_floors(data, genres[1], settings)


def _ranking_floors(data: Dataset, settings: RankingSettings) -> dict[str, Scorer]:
    train, evaluation = data.splits[features.TRAIN_SPLIT], data.splits[features.EVAL_SPLIT]
    num_users, num_movies = len(data.user_ids), len(data.movie_ids)
    of = train, evaluation, num_users, data.catalogue, num_movies
    likes_of_movie = floors.popularity(train + evaluation, num_movies)
    name, fitted = EASE, None
    if min(len(data.catalogue), len(np.unique(train.users))) > settings.max_ease_movies:
        name, fitted = ITEM_KNN, floors.item_knn(*of, settings.memory_mb)
    by_others: floors.Scores = fitted.scores if fitted else floors.ease(*of).scores
    return {
        name: Scorer(None, lambda users: floors.of_catalogue(by_others(users), data.catalogue)),
        POPULARITY: Scorer(None, likes_of_movie[data.catalogue]),
    }


def _like_floors(data: Dataset, member: np.ndarray, settings: RankingSettings) -> dict[str, Scorer]:
    train, evaluation, test = (data.splits[split] for split in features.SPLITS)
    num_users, num_movies = len(data.user_ids), len(data.movie_ids)
    means = floors.movie_mean(train, evaluation, num_movies)
    biases = floors.bias_logistic_regression(
        train, evaluation, num_users, num_movies, settings.regularisation_values
    )
    found = {
        MOVIE_MEAN: Scorer(means[test.movies], means[data.catalogue]),
        BIAS_REGRESSION: _of_regression(biases, data),
    }
    if member.any():
        crossed = floors.bias_genre_logistic_regression(train, evaluation, num_users, member, biases.c)
        found[BIAS_GENRE_REGRESSION] = _of_regression(crossed, data)
    return found


def _of_regression(fitted: Biases, data: Dataset) -> Scorer:
    test = data.splits[features.TEST_SPLIT]
    likes = fitted.probability(test.users, test.movies)
    if not fitted.genres.size:
        return Scorer(likes, fitted.movies[data.catalogue])
    return Scorer(likes, lambda users: fitted.scores(users, data.catalogue))


def evaluate(
    data: Dataset,
    models: Mapping[str, Scorer],
    genres: tuple[list[str], np.ndarray],
    settings: RankingSettings,
) -> Evaluation:
    """Computes metrics, intervals and the table of users.

    Args:
        data: The ratings.
        models: By name; the first is what the others are compared with.
        genres: Of `data.genres`.
        settings: What to compute.
    """
    test = data.splits[features.TEST_SPLIT]
    users = np.unique(test.users)
    frame = Frame(data, users, genres, settings)
    of_rows = {name: _like_columns(test, users, model) for name, model in models.items()}
    sums = bootstrap.Sums(settings.bootstrap_samples, settings.seed)
    recommended = {name: {k: np.zeros(len(data.catalogue), bool) for k in settings.ks} for name in models}
    per_user: dict[str, list[np.ndarray]] = {}
    for batch in frame.batches():
        columns: dict[object, np.ndarray] = {}
        for name, model in models.items():
            likes = {key: values[batch.rows] for key, values in of_rows[name].items()}
            lists, sampled = model.lists(batch, max(settings.ks))
            ranked = metrics.relevance(lists.hits, batch.positives, settings.ks)
            ranked |= metrics.novelty(lists, frame.information, settings.ks)
            ranked |= metrics.head_share(lists, frame.head, settings.primary_k)
            if frame.genres.size:
                ranked |= metrics.diversity(lists, frame.genres, settings.primary_k)
            if sampled is not None:
                of_sampled = metrics.relevance(sampled.hits, batch.positives, settings.ks)
                ranked |= {f"{SAMPLED}{metric}": values for metric, values in of_sampled.items()}
            ranked = {metric: np.where(batch.positives > 0, v, np.nan) for metric, v in ranked.items()}
            for k, seen in recommended[name].items():
                chosen = lists.real[:, :k] & (batch.positives > 0)[:, None]
                seen[lists.movies[:, :k][chosen]] = True
            for metric, values in {**likes, **ranked}.items():
                per_user.setdefault(f"{name}.{metric}", []).append(values)
            columns |= _columns(name, likes, ranked, lists, batch, frame, settings)
        for key, values in (
            ("num_test", batch.num_test),
            ("num_liked", batch.num_liked),
            ("num_positives", batch.positives),
        ):
            per_user.setdefault(key, []).append(values)
        sums.add(columns)
    table = pa.table(
        {
            "user_id": pa.array(data.user_ids[users]).cast(pa.string()),
            "activity": pa.array(np.array(ACTIVITIES)[frame.activity]),
            "num_train": pa.array(frame.num_train),
            **{key: pa.array(np.concatenate(parts)) for key, parts in per_user.items()},
        }
    )
    return Evaluation(_report(sums, models, test.liked, frame, recommended, settings), table)


def _scores_of(model: ExportedModel, data: Dataset) -> Callable[[np.ndarray], np.ndarray]:
    catalogue = data.movie_ids[data.catalogue]
    return lambda users: model.catalogue_scores(data.user_ids[users], catalogue)


def _like_columns(test: Ratings, users: np.ndarray, model: Scorer) -> dict[str, np.ndarray]:
    """Sums over each test user's rows: of log-losses, and of the placements of both classes for the AUC."""
    if model.likes is None:
        return {}
    row = np.searchsorted(users, test.users)
    placed = metrics.placements(test.liked, model.likes)
    return {
        LOG_LOSS: np.bincount(row, metrics.log_losses(test.liked, model.likes), len(users)),
        f"{AUC}_{_LIKED}": np.bincount(row, np.where(test.liked, placed, 0), len(users)),
        f"{AUC}_{_OTHERS}": np.bincount(row, np.where(test.liked, 0, placed), len(users)),
    }


def _columns(
    name: str,
    likes: Mapping[str, np.ndarray],
    ranked: Mapping[str, np.ndarray],
    lists: metrics.Lists,
    batch: Batch,
    frame: Frame,
    settings: RankingSettings,
) -> dict[object, np.ndarray]:
    """Numerators (model, slice, metric) and denominators (slice, what is counted) of every figure, (B,) each."""
    ranks = (batch.positives > 0).astype(np.float64)
    counts = {
        "users": ranks,
        "rows": batch.num_test,
        "positives": batch.positives,
        _LIKED: batch.num_liked,
        _OTHERS: batch.num_test - batch.num_liked,
    }
    columns: dict[object, np.ndarray] = {(_ALL, key): values for key, values in counts.items()}
    columns |= {(name, _ALL, metric): values for metric, values in {**likes, **ranked}.items()}
    at_primary = {key: values for key, values in ranked.items() if key in _of_slices(settings)}
    activity = frame.activity[batch.rows]
    for place, group in enumerate(frame.activities):
        within = activity == place
        columns[group, "users"], columns[group, "rows"] = ranks * within, batch.num_test * within
        for metric, values in at_primary.items():
            columns[name, group, metric] = np.nan_to_num(values) * within
        if LOG_LOSS in likes:
            columns[name, group, LOG_LOSS] = likes[LOG_LOSS] * within
    of_groups = metrics.by_group(lists, frame.members, batch.positives_of_group, [settings.primary_k])
    for place, group in enumerate(frame.groups):
        columns[group, "users"] = (batch.positives_of_group[:, place] > 0).astype(np.float64)
        for metric, by_group in of_groups.items():
            columns[name, group, metric] = by_group[:, place]
    return columns


def _of_slices(settings: RankingSettings) -> list[str]:
    """The metrics that slices of users have."""
    k = settings.primary_k
    return [metrics.name(metric, k) for metric in (*metrics.RELEVANCE, *_BESIDE)]


def _report(
    sums: bootstrap.Sums,
    models: Mapping[str, Scorer],
    liked: np.ndarray,
    frame: Frame,
    recommended: Mapping[str, Mapping[int, np.ndarray]],
    settings: RankingSettings,
) -> dict[str, Any]:
    first = next(iter(models))
    overall = {
        name: _overall(sums, name, model.likes is not None, settings) for name, model in models.items()
    }

    def estimates(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {
            metric: bootstrap.estimate(of_resamples, settings.confidence).as_dict()
            for metric, of_resamples in values.items()
        }

    described: dict[str, Any] = {}
    for name, model in models.items():
        coverage = {metrics.name(metrics.COVERAGE, k): float(c.mean()) for k, c in recommended[name].items()}
        slices = []
        for group in [*frame.activities, *frame.groups]:
            users = int(sums.count((group, "users")))
            values = {}
            for metric in _of_slices(settings):
                if (name, group, metric) in sums:
                    values[metric] = sums.ratio((name, group, metric), (group, "users"))
            if group in frame.activities and model.likes is not None:
                values[LOG_LOSS] = sums.ratio((name, group, LOG_LOSS), (group, "rows"))
            slices.append({"by": group[0], "name": group[1], "users": users, "metrics": estimates(values)})
        described[name] = {"overall": estimates(overall[name]), "coverage": coverage, "slices": slices}
        if model.likes is not None:
            error = metrics.expected_calibration_error(liked, model.likes)
            described[name]["calibration"] = {ECE: error if math.isfinite(error) else None}
            described[name]["reliability"] = metrics.reliability(liked, model.likes)
    users = len(frame.users)
    with_positives = int(sums.count((_ALL, "users")))
    return {
        "users": with_positives,
        "users_without_positives": users - with_positives,
        "ratings": int(sums.count((_ALL, "rows"))),
        "positives": int(sums.count((_ALL, "positives"))),
        "positives_outside_catalogue": frame.outside_catalogue,
        "catalogue": frame.num_movies,
        "settings": settings.model_dump(mode="json"),
        "models": described,
        "differences": {
            name: estimates(
                {
                    metric: overall[first][metric] - of_resamples
                    for metric, of_resamples in of_model.items()
                    if metric in overall[first]
                }
            )
            for name, of_model in overall.items()
            if name != first
        },
    }


def _overall(
    sums: bootstrap.Sums, name: str, likes: bool, settings: RankingSettings
) -> dict[str, np.ndarray]:
    """Every metric of a model over all users and over each resample."""
    found = {}
    if likes:
        found[LOG_LOSS] = sums.ratio((name, _ALL, LOG_LOSS), (_ALL, "rows"))
        found[AUC] = bootstrap.auc(
            *(sums.ratio((name, _ALL, f"{AUC}_{kind}"), (_ALL, kind)) for kind in (_LIKED, _OTHERS))
        )
    prefixes = ["", SAMPLED] if settings.sampled_candidates else [""]
    for k in settings.ks:
        names = [prefix + metrics.name(metric, k) for prefix in prefixes for metric in metrics.RELEVANCE]
        for metric in [*names, metrics.name(metrics.NOVELTY, k)]:
            found[metric] = sums.ratio((name, _ALL, metric), (_ALL, "users"))
    for metric in _of_slices(settings):
        if (name, _ALL, metric) in sums and metric not in found:
            found[metric] = sums.ratio((name, _ALL, metric), (_ALL, "users"))
    return found
