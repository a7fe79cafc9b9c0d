"""What the cold start is worth: movies and users that training has not seen, with and without it.

Movies: of a random share, all ratings are held out of training. Reported are the AUC and log-loss of likes of known
users of these movies in test: with the model's out-of-vocabulary row, and with rows made of their genres and year.
With a share of 0 they are the movies that the split itself leaves without a rating in train.

Users: of a random share, all ratings are held out, and of half as many more for eval. Reported are NDCG@10 and
recall@10 of their likes among all movies, which all are recommended alike, and AUC and log-loss of their ratings: by
the model's out-of-vocabulary row for users, the smoothed mean, the blend, and popularity.

    python tests/benchmarks/bench_cold_start.py --path builtin:ml-100k --share 0.1
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa

from components.example_gen import detection, files, layouts, readers, splits
from components.example_gen.builtin import movielens_100k
from components.example_gen.movies import read_movies
from components.example_gen.settings import IngestSettings
from components.export import cold_start
from components.models import VocabularySizes, config_of
from components.ranking import metrics
from components.shared import features
from components.trainer.training import fit
from components.trainer.validation import auc, log_loss

USER, MOVIE, GENRES, YEAR = (
    features.transformed_name(key)
    for key in (features.USER_KEY, features.MOVIE_KEY, features.GENRES_KEY, features.YEAR_KEY)
)


@dataclass(frozen=True)
class Log:
    """Codes of users and movies, (N,) each, likes and splits; genres (M, G) and years (M,) of the movies."""

    users: np.ndarray
    movies: np.ndarray
    liked: np.ndarray
    split: np.ndarray
    genres: np.ndarray
    years: np.ndarray
    num_genres: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", default="builtin:ml-100k", help="Folder of a data set.")
    parser.add_argument("--share", type=float, default=0.1, help="Of the movies, and of the users, held out.")
    parser.add_argument("--models", nargs="+", default=["dot_product", "mlp", "two_tower"])
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    log = read(arguments.path)
    for name in arguments.models:
        _movies(log, name, arguments.share, arguments.seed)
        _users(log, name, arguments.share or 0.1, arguments.seed)


def read(path: str) -> Log:
    """Reads a data set with the readers of the ExampleGen and splits it by `user_time`."""
    settings = IngestSettings()
    path = movielens_100k() if path == "builtin:ml-100k" else path
    source = detection.detect(path, settings)
    ratings, with_titles = (
        files.sole_file(files.match(source.base, of)) for of in (source.ratings, source.movies)
    )
    layout = layouts.find(source.layout).ratings_format(ratings, settings)
    table = pa.concat_tables(
        [readers.read_ratings(part)[0] for part in readers.plan(ratings, layout, 1 << 30)]
    )
    catalogue, _ = read_movies(with_titles, source.layout, settings)
    by_id = {row["movie_id"]: row for row in catalogue.to_pylist()}
    user_names, users = np.unique(np.array(table["user_id"].to_pylist(), str), return_inverse=True)
    movie_ids, movies = np.unique(np.array(table["movie_id"].to_pylist(), str), return_inverse=True)
    rows = [by_id.get(id_, {"genres": [], "year": None}) for id_ in movie_ids]
    genre = {name: i for i, name in enumerate(sorted({name for row in rows for name in row["genres"]}))}
    genres = np.full((len(rows), max(len(row["genres"]) for row in rows)), -1, np.int32)
    for at, row in enumerate(rows):
        genres[at, : len(row["genres"])] = [genre[name] for name in row["genres"]]
    return Log(
        users,
        movies,
        np.asarray(table["rating"]) >= 4,
        splits.user_time(users, user_names.tolist(), np.asarray(table["timestamp"]), 0.1, 0.2),
        genres,
        np.array([features.year_bucket(row["year"]) for row in rows], np.int32),
        len(genre),
    )


def _movies(log: Log, name: str, share: float, seed: int) -> None:
    number = len(log.years)
    held = np.random.default_rng(seed).random(number) < share
    seen = np.zeros(number, bool)
    seen[log.movies[log.split == splits.TRAIN]] = True
    seen &= ~held
    # As Transform has them: the known movies first, an index for all others, and then the cold ones.
    order = np.concatenate([np.flatnonzero(seen), np.flatnonzero(~seen)])
    known = int(seen.sum())
    index = np.empty(number, np.int32)
    index[order] = np.arange(number)
    index = np.where(index >= known, index + 1, index)
    genres, years = np.full((known + 1, log.genres.shape[1]), -1, np.int32), np.zeros(known + 1, np.int32)
    genres[:known], years[:known] = log.genres[order[:known]], log.years[order[:known]]
    config = config_of(name, seed=seed)

    def rows(split: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        at = (log.split == split) & ~held[log.movies]
        return {USER: log.users[at], MOVIE: np.minimum(index[log.movies[at]], known)}, log.liked[at].astype(
            np.int8
        )

    model, _ = fit(
        config,
        VocabularySizes(int(log.users.max()) + 1, known + 1, log.num_genres),
        *rows(splits.TRAIN),
        *rows(splits.EVAL),
        {GENRES: genres, YEAR: years},
    )
    columns = cold_start.design(log.genres, log.years, log.num_genres)[order]
    counts = sum(np.bincount(rows(of)[0][MOVIE], minlength=known + 1) for of in (splits.TRAIN, splits.EVAL))
    cold = cold_start.with_cold_movies(model, columns[:known], counts, columns[known:])
    test = (log.split == splits.TEST) if not share else np.isin(log.split, [splits.EVAL, splits.TEST])
    asked = np.flatnonzero(test & ~seen[log.movies])
    everything = np.flatnonzero(log.split == splits.TEST)

    def predict(model, at: np.ndarray, unknown: bool) -> np.ndarray:
        movie = log.movies[at]
        of = {
            USER: log.users[at],
            MOVIE: np.minimum(index[movie], known) if unknown else index[movie],
            GENRES: log.genres[movie],
            YEAR: log.years[movie],
        }
        return np.asarray(model({tensor.name: of[tensor.name] for tensor in model.inputs})).reshape(-1)

    print(
        f"{name}: {(~seen).sum()} cold movies, {len(asked)} ratings of them, {log.liked[asked].mean():.3f} liked"
    )
    for what, of, unknown in (("out of vocabulary", model, True), ("features", cold, False)):
        p, all_ = predict(of, asked, unknown), predict(of, everything, unknown)
        print(
            f"  {what:<18} AUC {auc(log.liked[asked], p):.4f}  log-loss {log_loss(log.liked[asked], p):.4f}"
            f"   all of test: AUC {auc(log.liked[everything], all_):.4f}"
            f"  log-loss {log_loss(log.liked[everything], all_):.4f}",
            flush=True,
        )


def _users(log: Log, name: str, share: float, seed: int) -> None:
    users, movies = int(log.users.max()) + 1, len(log.years)
    draw = np.random.default_rng(seed).random(users)[log.users]
    parts = [draw >= 1.5 * share, (draw >= share) & (draw < 1.5 * share)]  # train, eval
    learned, asked = draw >= share, draw < share
    number = users  # the index of all unknown users

    def rows(at: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        of_users = np.where(parts[0][at], log.users[at], number)
        return {USER: of_users, MOVIE: log.movies[at]}, log.liked[at].astype(np.int8)

    sizes = VocabularySizes(users + 1, movies + 1, log.num_genres)
    catalogue = {
        GENRES: np.pad(log.genres, ((0, 1), (0, 0)), constant_values=-1),
        YEAR: np.pad(log.years, (0, 1)),
    }
    model, _ = fit(config_of(name, seed=seed), sizes, *rows(parts[0]), *rows(parts[1]), catalogue)
    of = {USER: np.full(movies, number), MOVIE: np.arange(movies), GENRES: log.genres, YEAR: log.years}
    own = np.asarray(model({tensor.name: of[tensor.name] for tensor in model.inputs})).reshape(-1)

    known = cold_start.design(log.genres, log.years, log.num_genres)
    found = cold_start.crowd(log.movies[learned], log.liked[learned], movies, 1, known=known)
    positive = np.zeros((users, movies), bool)
    positive[log.users[asked & log.liked], log.movies[asked & log.liked]] = True
    positive = positive[positive.any(axis=1)]
    likes = np.bincount(log.movies[learned], log.liked[learned], movies)
    print(
        f"{name}: {len(positive)} unknown users, {asked.sum()} ratings of them, {log.liked[asked].mean():.3f} liked"
    )
    for what, scores, is_probability in (
        ("out of vocabulary", own, True),
        ("smoothed mean", found.probability[:movies], True),
        ("blend", found.blend, False),
        ("popularity", likes, False),
    ):
        tiled = np.tile(scores.astype(np.float32), (len(positive), 1))
        lists = metrics.best(tiled, positive, np.ones_like(positive), 10)
        ranked = metrics.relevance(lists.hits, positive.sum(axis=1), [10])
        p = scores[log.movies[asked]]
        line = (
            f"  {what:<18} NDCG@10 {ranked['ndcg@10'].mean():.4f}  recall@10 {ranked['recall@10'].mean():.4f}"
        )
        line += f"   AUC {auc(log.liked[asked], p):.4f}"
        print(
            line + (f"  log-loss {log_loss(log.liked[asked], p):.4f}" if is_probability else ""), flush=True
        )


if __name__ == "__main__":
    main()
