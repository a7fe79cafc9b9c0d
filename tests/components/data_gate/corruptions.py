"""What goes wrong with ratings, done to real ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from components.data_gate.settings import DataGateSettings
from components.example_gen.settings import IngestSettings, SplitSettings

Row = list[str]  # user, movie, rating, timestamp
Rows = Callable[[list[Row]], list[Row]]

USER, MOVIE, RATING, TIME = range(4)
HEADER = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]


@dataclass
class Log:
    """Ratings and movies in RecBole's layout, to be changed and written; `ratings` is what the file will hold."""

    rows: list[Row]
    movies: list[Row]
    header: list[str] = field(default_factory=lambda: list(HEADER))
    raw: bytes | None = None
    raw_movies: bytes | None = None
    extra: dict[str, bytes] = field(default_factory=dict)

    def map(self, column: int, change: Callable[[str], str]) -> None:
        """Changes one column of every row."""
        self.rows = [[*row[:column], change(row[column]), *row[column + 1 :]] for row in self.rows]

    def ratings(self) -> bytes:
        """The ratings file."""
        if self.raw is not None:
            return self.raw
        return "".join("\t".join(row) + "\n" for row in [self.header, *self.rows]).encode()

    def write(self, folder: Path) -> Path:
        """Writes both files."""
        folder.mkdir(parents=True)
        (folder / "ml.inter").write_bytes(self.ratings())
        movies = "".join("\t".join(row) + "\n" for row in self.movies).encode()
        (folder / "ml.item").write_bytes(self.raw_movies if self.raw_movies is not None else movies)
        for name, content in self.extra.items():
            (folder / name).write_bytes(content)
        return folder


def read(folder: Path) -> Log:
    """The log in a folder of RecBole's layout."""
    ratings, movies = next(folder.glob("*.inter")), next(folder.glob("*.item"))
    header, *rows = ([*line.split("\t")] for line in ratings.read_text(encoding="utf-8").splitlines())
    return Log(rows, [line.split("\t") for line in movies.read_text(encoding="utf-8").splitlines()], header)


@dataclass(frozen=True)
class Corruption:
    """What is done, which stage has to refuse it and what its message must hold.

    `against`: with the clean data as those of the last blessed run. `passed` as the stage: only a warning, and
    `says` is in that.
    """

    name: str
    change: Callable[[Log], None]
    stage: str
    says: tuple[str, ...]
    against: bool = False
    gate: DataGateSettings | None = None
    ingest: IngestSettings | None = None


CORRUPTIONS: list[Corruption] = []


def corruption(
    stage: str, *says: str, against: bool = False, name: str | None = None, **settings: object
) -> Callable[[Callable[[Log], None]], Callable[[Log], None]]:
    """Adds a function to the table, under its docstring."""

    def add(change: Callable[[Log], None]) -> Callable[[Log], None]:
        title = name or (change.__doc__ or "").strip().rstrip(".")
        CORRUPTIONS.append(Corruption(title, change, stage, says, against, **settings))  # type: ignore[arg-type]
        return change

    return add


# --- files -------------------------------------------------------------------------------------


@corruption("detect", "is empty", "ml.inter")
def _empty(log: Log) -> None:
    """Empty file."""
    log.raw = b""


@corruption("detect", "no rows", "ml.inter")
def _header_only(log: Log) -> None:
    """Header only."""
    log.rows = []


@corruption("detect", "rating", "ml.inter")
def _column_dropped(log: Log) -> None:
    """Column rating dropped."""
    log.header = log.header[:RATING] + log.header[TIME:]
    log.rows = [row[:RATING] + row[TIME:] for row in log.rows]


@corruption("detect", "timestamp", "ml.inter")
def _no_timestamps(log: Log) -> None:
    """Column timestamp dropped."""
    log.header = log.header[:TIME]
    log.rows = [row[:TIME] for row in log.rows]


@corruption("detect", "separator", "ml.inter")
def _wrong_separator(log: Log) -> None:
    """Commas where tabs are due."""
    log.raw = log.ratings().replace(b"\t", b",")


@corruption("detect", "more than one file")
def _two_files(log: Log) -> None:
    """Two files of ratings."""
    log.extra["old.inter"] = log.ratings()


@corruption("ExampleGen", "cannot be used", "ml.inter:")
def _truncated(log: Log) -> None:
    """File truncated within a row."""
    content = log.ratings()
    log.raw = content[: content.rindex(b"\t", 0, len(content) // 2)]


@corruption("ExampleGen", "cannot be used", "UTF-8")
def _mixed_encodings(log: Log) -> None:
    """ISO-8859-1 within UTF-8 in an id."""
    log.raw = (
        log.ratings()
        .replace(b"\n196\t", "\nandré\t".encode("latin-1"))
        .replace(b"\n1\t", "\nandré\t".encode("latin-1"))
    )


@corruption("ExampleGen", "movies", "UTF-8")
def _mixed_encodings_of_movies(log: Log) -> None:
    """ISO-8859-1 within UTF-8 in a title."""
    log.movies[7][1] = "Amélie"
    log.raw_movies = "".join("\t".join(row) + "\n" for row in log.movies).encode("latin-1")


@corruption("ExampleGen", "cannot be used", "five")
def _type_changed(log: Log) -> None:
    """Ratings in words."""
    words = {"1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}
    log.map(RATING, lambda rating: words[rating])


@corruption("ExampleGen", "cannot be used", "nan")
def _nans(log: Log) -> None:
    """NaN in 1 % of the ratings."""
    for row in log.rows[::100]:
        row[RATING] = "nan"


@corruption("ExampleGen", "cannot be used")
def _dates(log: Log) -> None:
    """Timestamps as dates."""
    log.map(TIME, lambda _: "1998-04-01T10:00:00")


@corruption("ExampleGen", "cannot be used")
def _missing_users(log: Log) -> None:
    """User missing in a tenth of the rows."""
    for row in log.rows[::10]:
        row[USER] = ""


# --- against the schema ------------------------------------------------------------------------


@corruption(
    "DataGate", "rating of train is above", "found 20 to 100", "0.5 to 5", "marquee schema accept rating"
)
def _scale(log: Log) -> None:
    """Scale 1-5 turned to 20-100."""
    log.map(RATING, lambda rating: str(20 * int(rating)))


@corruption("DataGate", "rating of train is below", "-5", "0.5 to 5", "rows")
def _negative(log: Log) -> None:
    """Negative ratings in 1 % of the rows."""
    for row in log.rows[::100]:
        row[RATING] = f"-{row[RATING]}"


@corruption("DataGate", "timestamp of train is above", "milliseconds where seconds are due")
def _milliseconds(log: Log) -> None:
    """Timestamps in milliseconds."""
    log.map(TIME, lambda time: f"{time}000")


@corruption("DataGate", "timestamp of train is below", "found 0 to 0")
def _zero_times(log: Log) -> None:
    """All timestamps 0."""
    log.map(TIME, lambda _: "0")


@corruption("DataGate", "timestamp of train is below")
def _days(log: Log) -> None:
    """Timestamps in days."""
    log.map(TIME, lambda time: str(int(time) // 86_400))


# --- of the data alone -------------------------------------------------------------------------


@corruption("DataGate", "in the future", "2068")
def _future(log: Log) -> None:
    """All from the future."""
    log.map(TIME, lambda time: str(int(time) + 70 * 365 * 86_400))


@corruption("DataGate", "without a genre", "100.0%", "data_gate.shares.no_genres")
def _genres_emptied(log: Log) -> None:
    """Genres emptied."""
    for row in log.movies[1:]:
        row[3] = ""


@corruption("DataGate", "without a genre")
def _other_movies(log: Log) -> None:
    """Movies table of another catalogue."""
    for row in log.movies[1:]:
        row[0] = f"tt{row[0]}"


@corruption("DataGate", "user '7' has", "of train", "expected at most 20.0%", "data_gate.shares.one_user")
def _one_user(log: Log) -> None:
    """One user with 30 % of the rows."""
    movies = [f"x{number}" for number in range(int(0.45 * len(log.rows)))]
    time = log.rows[0][TIME]
    log.rows += [["7", movie, "4", time] for movie in movies]
    log.movies += [[movie, "Film", "1999", "Drama"] for movie in movies]


@corruption("ExampleGen", "A split would be empty", "too few ratings")
def _one_movie(log: Log) -> None:
    """Only one movie."""
    log.map(MOVIE, lambda _: "50")
    log.rows = list({row[USER]: row for row in log.rows}.values())


@corruption(
    "DataGate", "too little to learn from: 20 movies, 50 are the least", "data_gate.minimum.movies=20"
)
def _few_movies(log: Log) -> None:
    """Only the 20 most rated movies."""
    ranked = [movie for movie, _ in Counter(row[MOVIE] for row in log.rows).most_common(20)]
    log.rows = [row for row in log.rows if row[MOVIE] in ranked]


@corruption("DataGate", "too little", "not liked rows", "label.min_rating")
def _same_rating(log: Log) -> None:
    """All the same rating."""
    log.map(RATING, lambda _: "4")


@corruption("DataGate", "too little to learn from", "1,000 are the least")
def _too_little(log: Log) -> None:
    """Three users left."""
    log.rows = [row for row in log.rows if int(row[USER]) <= 3]


@corruption("DataGate", "repeat the user and movie", "is a file there twice?", "50.0%")
def _duplicated(log: Log) -> None:
    """File appended to itself."""
    log.rows += log.rows


@corruption(
    "DataGate",
    "the movie of",
    "of test is not in train",
    "data_gate.shares.unknown_movies",
    ingest=IngestSettings(split=SplitSettings(method="time")),
)
def _movies_renamed(log: Log) -> None:
    """Movies renamed for the last third of the time, split by time."""
    log.rows.sort(key=lambda row: int(row[TIME]))
    for row in log.rows[int(0.7 * len(log.rows)) :]:
        row[MOVIE] = f"m{row[MOVIE]}"
    log.movies += [[f"m{row[0]}", *row[1:]] for row in log.movies[1:]]


# --- against the last blessed run --------------------------------------------------------------


@corruption(
    "DataGate", "rows, 0.50 times", "at least 0.6 times", "data_gate.volume.rows.fatal=0.5", against=True
)
def _half(log: Log) -> None:
    """Half of the rows missing."""
    log.rows = log.rows[::2]


@corruption("DataGate", "rows, 0.4", "at least 0.6 times", against=True)
def _truncated_between(log: Log) -> None:
    """File truncated between two rows."""
    log.rows = log.rows[: int(0.45 * len(log.rows))]


@corruption("DataGate", "user that the last blessed run did not have", "100.0%", against=True)
def _new_users(log: Log) -> None:
    """Users all new."""
    log.map(USER, lambda user: str(10_000 + int(user)))


@corruption("DataGate", "movie that the last blessed run did not have", "100.0%", against=True)
def _new_movies(log: Log) -> None:
    """Ids of movies in another notation."""
    log.map(MOVIE, lambda movie: f"m{movie}")
    for row in log.movies[1:]:
        row[0] = f"m{row[0]}"


@corruption("DataGate", "not what they were", "renumbered", against=True)
def _renumbered_users(log: Log) -> None:
    """Users renumbered among themselves."""
    users = sorted({row[USER] for row in log.rows}, key=int)
    shuffled = users[:]
    random.Random(1).shuffle(shuffled)
    other = dict(zip(users, shuffled, strict=True))
    log.map(USER, lambda user: other[user])


@corruption("DataGate", "not what they were", "renumbered", against=True)
def _renumbered_movies(log: Log) -> None:
    """Movies renumbered among themselves."""
    movies = sorted({row[0] for row in log.movies[1:]}, key=int)
    shuffled = movies[:]
    random.Random(1).shuffle(shuffled)
    other = dict(zip(movies, shuffled, strict=True))
    log.map(MOVIE, lambda movie: other[movie])
    for row in log.movies[1:]:
        row[0] = other[row[0]]


@corruption("DataGate", "positives", "not what they were", "distribution of rating", against=True)
def _flipped(log: Log) -> None:
    """Label flipped."""
    log.map(RATING, lambda rating: str(6 - int(rating)))


@corruption("DataGate", "not what they were", "distribution of rating", against=True)
def _shuffled(log: Log) -> None:
    """Ratings all one higher."""
    log.map(RATING, lambda rating: str(min(int(rating) + 1, 5)))


@corruption(
    "DataGate",
    "genre that the last blessed run did not have: 'Dramma'",
    "data_gate.shares.new_genres",
    against=True,
)
def _misspelt_genre(log: Log) -> None:
    """A new genre in many movies."""
    for row in log.movies[1:]:
        row[3] = row[3].replace("Drama", "Dramma")


@corruption("passed", "genre that the last blessed run did not have: 'Telenovela'", against=True)
def _new_genre(log: Log) -> None:
    """A new genre in one movie (a warning)."""
    for row in log.movies[1:]:
        if row[0] == "1101":
            row[3] += " Telenovela"


@corruption("DataGate", "newest rating", "before that of the last blessed run", against=True)
def _old_export(log: Log) -> None:
    """An older export: the last month missing."""
    last = max(int(row[TIME]) for row in log.rows) - 30 * 86_400
    log.rows = [row for row in log.rows if int(row[TIME]) <= last]


@corruption(
    "DataGate",
    "days ago",
    "365 days are the most allowed",
    "data_gate.freshness.max_age_days",
    gate=DataGateSettings.model_validate({"freshness": {"max_age_days": 365}}),
)
def _stale(log: Log) -> None:
    """Nothing new for years, where freshness is configured."""
