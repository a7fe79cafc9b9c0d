"""Names of features, vocabularies and splits, and the rule by which a rating is a like; without TensorFlow."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

USER_KEY = "user_id"
MOVIE_KEY = "movie_id"
RATING_KEY = "rating"
TIMESTAMP_KEY = "timestamp"
GENRES_KEY = "genres"
TITLE_KEY = "title"
YEAR_KEY = "year"

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


def titled(title: str, year: int | None) -> str:
    """A movie's title with its year, where it does not end in it."""
    return title if year is None or title.rstrip().endswith(f"({year})") else f"{title} ({year})"


class LabelRule(BaseModel):
    """What counts as a liked movie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_rating: float = Field(4.0, description="A user likes a movie rated at least this.")
    positives: Literal["liked", "rated"] = Field(
        "liked",
        description="What the objective interaction learns and ranking metrics look for: liked movies, or all rated.",
    )

    def liked(self, ratings: Any) -> Any:
        """Which ratings are likes, bool: of a NumPy array or a tensor of float32, as which the bar is compared too."""
        return ratings >= self.min_rating

    def positive(self, liked: Any) -> Any:
        """Which rows are positives, from which are likes: an array or tensor of bool or integers, and the same back."""
        return liked | (self.positives == RATED)


ACTIVITY_KEY = "user_activity"

_METRICS = {
    "log_loss": "log-loss",
    "auc": "AUC",
    "hit_rate": "hit rate",
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
}


# What a model learns: whether a user likes a movie that they watched, and which movies they watch and like. TFRS calls
# them ranking and retrieval.
LIKE, INTERACTION = "like", "interaction"


def learns(objective: str, what: str) -> bool:
    """Whether an export of this objective learns `LIKE` or `INTERACTION`; with a model for each it is both, by `+`."""
    return what in objective.split("+")


def deciding_metric(objective: str, primary_k: int) -> str:
    """By what an export of this objective is judged, unless the report of its blessing says it."""
    return f"ndcg@{primary_k}" if objective == INTERACTION else "log_loss"


def metric_title(metric: str) -> str:
    """How people call a metric, e.g. `NDCG@10` for `ndcg@10`."""
    plain, at, k = metric.partition("@")
    return _METRICS.get(plain, plain) + at + k
