"""What a user may set about the input and its splits; pydantic only, so reading a configuration is cheap."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticKnownError

from components.example_gen.layouts import BUILT_IN
from components.shared.errors import ConfigError

# The methods of splitting that do not look at times.
TIMELESS = ("random", "user_hash")


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RatingColumns(_Settings):
    """Names of the ratings columns in a CSV or Parquet file of your own."""

    user_id: str = Field("user_id", min_length=1, description="Column that names the user.")
    movie_id: str = Field("movie_id", min_length=1, description="Column that names the movie.")
    rating: str = Field("rating", min_length=1, description="Column that holds the rating, a number.")
    timestamp: str | None = Field(
        "timestamp",
        min_length=1,
        description="Column that holds the time, in data.timestamp_unit; null where the ratings have no times.",
    )

    @model_validator(mode="after")
    def _distinct(self) -> RatingColumns:
        names = [name for name in self.model_dump().values() if name is not None]
        if len(set(names)) < len(names):
            raise ValueError("each of user_id, movie_id, rating and timestamp needs a column of its own")
        return self


class MovieColumns(_Settings):
    """Names of the movies columns in a CSV, Parquet or RecBole file."""

    movie_id: str = Field("movie_id", min_length=1, description="Column that names the movie.")
    title: str | None = Field("title", min_length=1, description="Column with the title, or null for none.")
    genres: str | None = Field(
        "genres",
        min_length=1,
        description="Column with the genres, a list or separated text, or null for none.",
    )


class SplitSettings(_Settings):
    """How the ratings are divided into train, eval and test."""

    method: Literal["user_time", "time", "leave_last_out", "user_hash", "random"] = Field(
        "user_time",
        description="By each user's last ratings, a cut in time, each user's last two, whole users, or each rating"
        " by itself; user_hash and random need no times.",
    )
    eval_fraction: float = Field(0.1, gt=0, lt=1, description="Share of the ratings for eval.")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share of the ratings for test.")

    @model_validator(mode="after")
    def _leaves_train(self) -> SplitSettings:
        if self.eval_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"eval_fraction {self.eval_fraction} and test_fraction {self.test_fraction} leave nothing for"
                " train: their sum must be below 1"
            )
        return self


Policy = Literal["stop", "warn", "ignore"]


class SpansSettings(_Settings):
    """Which spans of a growing log are read, as one log; `data.ratings_file` has {SPAN}, or {YYYY}, {MM} and {DD}."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    last: int | None = Field(None, ge=1, description="The newest one and those before it, so many in all.")
    from_: int | date | None = Field(
        None, alias="from", description="The first one, a number or a date such as 2026-11-01."
    )
    to: int | date | None = Field(None, description="The last one; the newest when null.")
    missing: Policy = Field("warn", description="What to do where one within the window is not there.")
    empty: Policy = Field(
        "stop", description="What to do where one has no rows; it is left out, or it stops."
    )
    late: Policy = Field("warn", description="What to do where one has changed since an earlier run read it.")
    push_older: bool = Field(
        False, description="Whether a model of older ratings than those of the served one may be pushed."
    )

    @model_validator(mode="after")
    def _one_window(self) -> SpansSettings:
        if self.last is not None and (self.from_ is not None or self.to is not None):
            raise ValueError("either last, or from and to")
        if type(self.from_) is type(self.to) and self.from_ is not None and self.from_ > self.to:  # type: ignore[operator]
            raise ValueError(f"from {self.from_} is after to {self.to}")
        return self


class IngestSettings(_Settings):
    """How the ratings and movies are read. The defaults suit every known layout."""

    layout: str = Field(
        "auto",
        description="Layout of the input, auto to recognise it by the files, or the dotted path of a module with a"
        " LAYOUT of your own.",
    )
    ratings_file: str | None = Field(
        None,
        min_length=1,
        description="Name or glob of the ratings within the path, where the layout's own name does not hold;"
        " may contain {SPAN}, {VERSION} or {YYYY}, {MM}, {DD}.",
    )
    movies_file: str | None = Field(
        None, min_length=1, description="Name of the movies table within the path, as ratings_file."
    )
    spans: SpansSettings | None = Field(
        None, description="The window of spans that is read, such as {last: 30}; null: files are no spans."
    )
    columns: RatingColumns = Field(RatingColumns(), description="Ratings columns of a CSV or Parquet file.")
    movie_columns: MovieColumns = Field(
        MovieColumns(), description="Movies columns of a CSV, Parquet or RecBole file."
    )
    genres_separator: str | None = Field(
        None, min_length=1, description="What stands between two genres; the layout's own when null."
    )
    delimiter: str | None = Field(
        None,
        min_length=1,
        description="What stands between two fields of a CSV; a comma, or a tab in .tsv, when null.",
    )
    encoding: str | None = Field(
        None,
        description="Text encoding; when null UTF-8, and in ml-100k and ml-dat ISO-8859-1 for what is not UTF-8.",
    )
    timestamp_unit: Literal["s", "ms", "us", "ns", "iso"] = Field(
        "s",
        description="What times are in: s, ms, us or ns since 1970, or iso for such as 2019-05-03T12:00:00Z (UTC"
        " without a zone). A fraction of a second is dropped, save of those in s, where it is an error.",
    )
    duplicates: Literal["latest", "first", "error"] = Field(
        "latest",
        description="Which of several ratings of one movie by one user to keep, or error to stop; without times"
        " the latest is the last that is read.",
    )
    max_malformed_rate: float = Field(
        0.0, ge=0, lt=1, description="Share of malformed rows that is set aside rather than stopping the run."
    )
    split: SplitSettings = Field(SplitSettings(), description="How the ratings are divided.")

    @model_validator(mode="after")
    def _times_for_the_split(self) -> IngestSettings:
        if self.columns.timestamp is None and self.split.method not in TIMELESS:
            raise ConfigError(
                f"The split {self.split.method} needs times, and the ratings are said to have none.",
                where="keys data.columns.timestamp and data.split.method",
                found=f"data.columns.timestamp null, data.split.method {self.split.method}",
                expected=f"a column with times, or data.split.method {' or '.join(TIMELESS)}",
                fix="set data.split.method to random (each rating by itself, so that users are known to train) or to"
                " user_hash (whole users); or name the column in data.columns.timestamp",
            )
        return self

    @field_validator("layout")
    @classmethod
    def _known_or_dotted(cls, value: str) -> str:
        parts = value.split(".")
        if value not in ("auto", *BUILT_IN) and (len(parts) < 2 or not all(p.isidentifier() for p in parts)):
            known = ", ".join(repr(name) for name in ("auto", *BUILT_IN))
            raise PydanticKnownError(
                "literal_error", {"expected": f"{known} or 'the dotted path of a module'"}
            )
        return value

    @field_validator("ratings_file", "movies_file")
    @classmethod
    def _names(cls, value: str | None) -> str | None:
        return without_nul(value) if value is not None else None

    @field_validator("encoding")
    @classmethod
    def _ascii_superset(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                plain = "a1,\n\t\"'".encode(value) == b"a1,\n\t\"'"
            except LookupError:
                raise ValueError(f"unknown encoding {value!r}") from None
            if not plain:  # byte ranges are cut at newline bytes
                raise ValueError(f"encoding {value!r} does not contain ASCII; convert the files to UTF-8")
        return value

    @field_validator("delimiter")
    @classmethod
    def _usable_delimiter(cls, value: str | None) -> str | None:
        if value is not None and (not value.isascii() or any(c in value for c in '"\r\n')):
            raise ValueError("the delimiter must be ASCII, without a quote or a line break")
        return value


def without_nul(path: str) -> str:
    """The path itself.

    Raises:
        ValueError: It has a NUL byte, which no path can have.
    """
    if "\0" in path:
        raise ValueError("a path cannot contain a NUL byte")
    return path
