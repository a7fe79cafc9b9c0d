"""Generated ratings with something to learn, in the proportions of MovieLens; for the benchmarks.

What a user gives a movie is the sum of both their means, the agreement of the user's taste with the movie's (drawn
around that of its genres) and noise. Few movies have most of the ratings.
"""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np

GENRES = [
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Drama"),
    *("Fantasy", "Horror", "Musical", "Romance", "Sci-Fi", "Thriller", "War"),
]
_RATINGS_OF_USER = 165
_USERS_AT_ONCE = 2_000  # bounds the memory, whatever the number of rows
_TASTE = 4  # dimensions


def generate(folder: Path, rows: int, seed: int = 0) -> None:
    """Writes the same ratings twice: `folder`/ours/{ratings,movies}.csv as MovieLens has them, and `folder`/stock/
    joined.csv with each movie's genres in the row, as CsvExampleGen cannot join.

    There are rows / 165 users, with more or less as many ratings each, and rows / 270 movies of 1,700 at least and
    27,000 at most. No user rates a movie twice.

    Args:
        folder: Has neither of the two yet.
        rows: Number of ratings.
        seed: The same seed gives the same files.
    """
    rng = np.random.default_rng(seed)
    users = max(rows // _RATINGS_OF_USER, 600)
    movies = min(max(rows // 270, 1_700), 27_000)
    genres = [np.sort(rng.choice(len(GENRES), rng.integers(1, 4), replace=False)) for _ in range(movies)]
    of_genre = rng.normal(scale=0.9, size=(len(GENRES), _TASTE))
    qualities = np.stack([of_genre[some].mean(axis=0) for some in genres])
    qualities += rng.normal(scale=0.4, size=qualities.shape)
    movie_means = rng.normal(scale=0.5, size=movies)
    popularity = np.cumsum(np.arange(1, movies + 1) ** -0.8)
    popularity /= popularity[-1]
    names = ["|".join(GENRES[one] for one in some) for some in genres]
    for name in ("ours", "stock"):
        (folder / name).mkdir(parents=True)
    with (folder / "ours/movies.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["movieId", "title", "genres"])
        table.writerows((one + 1, f"Movie {one + 1} (1999)", names[one]) for one in range(movies))
    bounds = np.linspace(0, users, -(-users // _USERS_AT_ONCE) + 1).astype(int)
    with (folder / "ours/ratings.csv").open("w") as ours, (folder / "stock/joined.csv").open("w") as stock:
        ours.write("userId,movieId,rating,timestamp\n")
        stock.write("user_id,movie_id,rating,timestamp,genres\n")
        for first, end in pairwise(bounds):
            number = rows * int(end) // users - rows * int(first) // users
            user, movie = _pairs(rng, end - first, popularity, number)
            taste, user_means = (
                rng.normal(size=(end - first, _TASTE)),
                rng.normal(scale=0.3, size=end - first),
            )
            means = 3.5 + user_means[user] + movie_means[movie]
            given = means + 0.6 * np.einsum("ij,ij->i", taste[user], qualities[movie])
            given += rng.normal(scale=0.5, size=number)
            ratings = np.clip(np.round(given * 2) / 2, 0.5, 5.0).tolist()
            times = rng.integers(1_000_000_000, 1_500_000_000, number).tolist()
            lines = list(zip((user + first + 1).tolist(), (movie + 1).tolist(), ratings, times, strict=True))
            ours.writelines(f"{u},{m},{r},{t}\n" for u, m, r, t in lines)
            stock.writelines(f"{u},{m},{r},{t},{names[m - 1]}\n" for u, m, r, t in lines)


def _pairs(
    rng: np.random.Generator, users: int, popularity: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs of a user and a movie, each (number,), by user; users differ in how many they have."""
    activity = np.cumsum(rng.lognormal(sigma=0.7, size=users))
    activity /= activity[-1]
    drawn, codes = 2 * number, np.empty(0, dtype=np.int64)
    while len(codes) < number:
        user = np.minimum(np.searchsorted(activity, rng.random(drawn)), users - 1)
        movie = np.minimum(np.searchsorted(popularity, rng.random(drawn)), len(popularity) - 1)
        codes = np.union1d(codes, user * len(popularity) + movie)
    return np.divmod(np.sort(rng.choice(codes, number, replace=False)), len(popularity))
