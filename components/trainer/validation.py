"""How good a model is on the validation rows, and what is set on it after training: calibration and popularity."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit

from components.models import (
    CALIBRATION,
    MOVIE_BIAS,
    all_pairs,
    is_dot_product,
    pair_logits,
)
from components.models.hyperparameters import ModelConfig
from components.ranking import metrics
from components.trainer.rows import MOVIE, USER, Rows

K = 10  # of the ranking metrics of validation


NDCG, RECALL = f"val_ndcg@{K}", f"val_recall@{K}"


_PREDICTED_ROWS = 65_536  # at a time


_PREDICTED_PAIRS = 1 << 20


_TRAIN_SAMPLE = 50_000  # rows that the training loss is measured on


_VALIDATION_USERS = 2_000


_MOST_SHARE = 1 - 1e-6  # of the movies that a user watches


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Mean binary cross-entropy of probabilities, as Keras clips them. Any equal shapes."""
    return float(metrics.log_losses(np.asarray(y) > 0.5, p).mean())


def auc(y: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN if only one class is there. Shapes: (N,), (N,)."""
    liked = np.asarray(y).reshape(-1) > 0.5
    placed = metrics.placements(liked, np.asarray(scores).reshape(-1))
    return float(placed[liked].mean()) if liked.any() else float("nan")


def like_validation(train: Rows, held: Rows) -> Callable[[keras.Model], dict[str, float]]:
    sample = np.linspace(0, len(train) - 1, min(len(train), _TRAIN_SAMPLE)).astype(int)
    seen = Rows(
        {key: values[sample] for key, values in train.x.items()},
        train.y[sample],
        train.catalogue,
        train.sizes,
    )

    both = seen + held

    # Traced for the first epoch: to call the layers one by one takes twice as long.
    @tf.function(autograph=False, reduce_retracing=True)
    def answer(model: keras.Model, x: dict[str, tf.Tensor]) -> tf.Tensor:
        return model(x, training=False)

    def validate(model: keras.Model) -> dict[str, float]:
        found: dict[str, float] = {}
        answers = predict(model, both, answer)
        for prefix, rows, p in (("train", seen, answers[: len(seen)]), ("val", held, answers[len(seen) :])):
            found |= {f"{prefix}_loss": log_loss(rows.y, p), f"{prefix}_auc": auc(rows.y, p)}
        return found

    return validate


class RankingValidation:
    """NDCG and recall of the held positives among all movies that the user has not rated in train.

    Attributes:
        users: int (B,), those with held positives, of very many a sample.
        metric: Which decides.
    """

    metric = NDCG

    def __init__(self, train: Rows, held: Rows) -> None:
        users, movies = held.positives
        chosen = np.unique(users)
        if len(chosen) > _VALIDATION_USERS:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, _VALIDATION_USERS, replace=False))
        row = np.full(train.sizes.user_id, -1)
        row[chosen] = np.arange(len(chosen))
        positive = np.zeros((len(chosen), train.sizes.movie_id), bool)
        candidate = np.broadcast_to(
            np.bincount(train.x[MOVIE], minlength=train.sizes.movie_id) > 0, positive.shape
        ).copy()
        for mask, of_users, of_movies, value in (
            (candidate, train.x[USER], train.x[MOVIE], False),
            (positive, users, movies, True),
        ):
            inside = row[of_users] >= 0
            mask[row[of_users[inside]], of_movies[inside]] = value
        self.users, self._train = chosen, train
        self._number, self._candidate, self._found = positive.sum(axis=1), candidate, positive & candidate

    def scores(self, model: keras.Model) -> np.ndarray:
        """Those of all movies for the users, float32 (B, M)."""
        return score_catalogue(model, self._train, self.users)

    def of_scores(self, scores: np.ndarray) -> dict[str, float]:
        """The metrics of scores (B, M)."""
        lists = metrics.best(scores, self._found, self._candidate, K)
        found = metrics.relevance(lists.hits, self._number, [K])
        return {NDCG: float(found[f"ndcg@{K}"].mean()), RECALL: float(found[f"recall@{K}"].mean())}

    def __call__(self, model: keras.Model) -> dict[str, float]:
        return self.of_scores(self.scores(model))


def adjust(config: ModelConfig, model: keras.Model) -> None:
    """Post-hoc logit adjustment: Menon et al., "Long-tail learning via logit adjustment" (2021); by the biases."""
    if config.loss == "softmax" and config.popularity_adjustment:
        bias = model.get_layer(MOVIE_BIAS).embeddings
        bias.assign(bias * (1 - config.popularity_adjustment))


def calibrate(config: ModelConfig, model: keras.Model, train: Rows, held: Rows | None) -> tuple[float, float]:
    """Sets and returns slope and offset of the model's calibration.

    Like: a temperature fitted on eval, where it is asked for. Interaction: the offset by which the mean probability of
    all pairs is the share of the positives among them, since a softmax leaves it open, and drawn negatives are fewer.
    """
    slope, offset = 1.0, 0.0
    if config.objective == "interaction":
        users, _ = train.positives
        users, counts = np.unique(users, return_counts=True)
        few = np.random.default_rng(0).permutation(len(users))[:_VALIDATION_USERS]
        scores = score_catalogue(model, train, users[few], core=True)
        movies = np.bincount(train.x[MOVIE], minlength=train.sizes.movie_id) > 0
        scores, share = scores[:, movies], min(counts[few].mean() / movies.sum(), _MOST_SHARE)
        # Where the greatest, or the least, has that probability.
        ends = sorted(float(logit(share) - end) for end in (scores.max(), scores.min()))
        offset = float(
            brentq(lambda b: expit(scores + b).mean() - share, ends[0] - 1, ends[1] + 1, xtol=1e-4)
        )
    elif config.temperature and held is not None:
        p = np.clip(predict(model, held).astype(np.float64), 1e-7, 1 - 1e-7)
        raw = np.log(p) - np.log1p(-p)
        slope = float(
            minimize_scalar(lambda s: log_loss(held.y, expit(s * raw)), bounds=(0.1, 10), method="bounded").x
        )
    model.get_layer(CALIBRATION).calibrate(slope, offset)
    return slope, offset


def predict(
    model: keras.Model,
    rows: Rows,
    answer: Callable[[keras.Model, dict[str, tf.Tensor]], tf.Tensor] | None = None,
) -> np.ndarray:
    """Probabilities of rows, float32 (N,), by the model or what calls it."""
    answer = answer or (lambda model, x: model(x, training=False))
    parts = []
    for start in range(0, len(rows), _PREDICTED_ROWS):
        at = slice(start, start + _PREDICTED_ROWS)
        x = {key: tf.constant(values[at]) for key, values in rows.x.items()}
        x |= rows.movie_inputs(x[MOVIE])
        parts.append(answer(model, {tensor.name: x[tensor.name] for tensor in model.inputs}).numpy())
    return np.concatenate(parts).reshape(-1)


def score_catalogue(model: keras.Model, rows: Rows, users: np.ndarray, core: bool = False) -> np.ndarray:
    """Logits or probabilities of all movies for users (B,), float32 (B, M)."""
    movies = rows.movie_inputs(tf.range(rows.sizes.movie_id))
    quick = is_dot_product(model.name)
    step = len(users) if quick else max(_PREDICTED_PAIRS // rows.sizes.movie_id, 1)

    def score(asked: tf.Tensor) -> tf.Tensor:
        if quick:
            return pair_logits(model, {USER: asked}, movies)
        return all_pairs(model, {USER: asked}, movies)

    if len(users) > step:  # or tracing would take longer than what is traced
        score = tf.function(score, reduce_retracing=True, autograph=False)
    scores = [
        score(tf.constant(users[start : start + step], tf.int32)).numpy()
        for start in range(0, len(users), max(step, 1))
    ]
    found = np.concatenate(scores) if scores else np.zeros((0, rows.sizes.movie_id), np.float32)
    if core and not quick:
        p = np.clip(found.astype(np.float64), 1e-12, 1 - 1e-7)
        found = np.log(p) - np.log1p(-p)
    return found
