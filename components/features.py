"""Names of features, vocabularies and splits, shared by every component; standard library only."""

from __future__ import annotations

USER_KEY = "user_id"
MOVIE_KEY = "movie_id"
RATING_KEY = "rating"
TIMESTAMP_KEY = "timestamp"
GENRES_KEY = "genres"
TITLE_KEY = "title"

TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT = "train", "eval", "test"
SPLITS = (TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT)

# Each vocabulary bears the name of its feature.
VOCABULARY_KEYS = (USER_KEY, MOVIE_KEY, GENRES_KEY)


def transformed_name(key: str) -> str:
    """Name of a feature after Transform, e.g. `user_id_xf`."""
    return f"{key}_xf"


LABEL_KEY = transformed_name("liked")
ACTIVITY_KEY = "user_activity"
