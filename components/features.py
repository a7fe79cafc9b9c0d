"""Names of features, vocabularies and splits, shared by every component; standard library only."""

from __future__ import annotations

USER_KEY = "user_id"
MOVIE_KEY = "movie_id"
RATING_KEY = "rating"
TIMESTAMP_KEY = "timestamp"
GENRES_KEY = "genres"
TITLE_KEY = "title"
YEAR_KEY = "year"

# Custom property of examples, 1 where the ratings have no times and `timestamp` is 0 throughout; else it is not set.
WITHOUT_TIMES = "without_times"

TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT = "train", "eval", "test"
SPLITS = (TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT)

# Each vocabulary bears the name of its feature.
VOCABULARY_KEYS = (USER_KEY, MOVIE_KEY, GENRES_KEY)


def transformed_name(key: str) -> str:
    """Name of a feature after Transform, e.g. `user_id_xf`."""
    return f"{key}_xf"


# A bucket for each five years from 1900 on, the first being for movies without a year.
NUM_YEAR_BUCKETS = 32


def year_bucket(year: int | None) -> int:
    """Index of a movie's year, `year_xf`: 0 where it is unknown."""
    return 0 if year is None else min(max((year - 1900) // 5 + 1, 1), NUM_YEAR_BUCKETS - 1)


# What is a positive of the objective interaction, and of the ranking metrics: a liked movie, or any that is rated.
LIKED, RATED = "liked", "rated"

LABEL_KEY = transformed_name("liked")
ACTIVITY_KEY = "user_activity"

_METRICS = {
    "log_loss": "log-loss",
    "auc": "AUC",
    "hit_rate": "hit rate",
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
}


def deciding_metric(objective: str, primary_k: int) -> str:
    """By what a model of this objective is judged, unless the report of its blessing says it."""
    return f"ndcg@{primary_k}" if objective == "interaction" else "log_loss"


def metric_title(metric: str) -> str:
    """How people call a metric, e.g. `NDCG@10` for `ndcg@10`."""
    plain, at, k = metric.partition("@")
    return _METRICS.get(plain, plain) + at + k
