"""Names that preprocessing and trainer share."""

IDS = ("user_id", "movie_id")
GENRES = "genres"
MAX_GENRES = 3  # of a generated movie
LABEL = "label"
MIN_RATING = 4.0  # of a like
