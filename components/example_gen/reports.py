"""What the workers report, each in a JSON file of the work folder, and what is made of it.

A worker writes one file for each bucket, and one for each range in which rows could not be used.
"""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118, PTH119

from __future__ import annotations

import glob
import json
import os
import uuid
from collections.abc import Mapping
from typing import Any

from tfx.dsl.io import fileio

from components.example_gen.readers import FileRange, find_rows
from components.example_gen.rows import Reject
from components.example_gen.settings import IngestSettings
from components.shared.artifacts import REJECTS_FILE, TYPICAL_USER
from components.shared.errors import DataError
from components.shared.features import SPLITS

SHOWN = 5  # how many of many problems a message lists
_SUMMED = ("rows_read", "num_duplicates", "num_users", "num_ratings_without_movie")


def write_json(report: Mapping[str, Any], work: str, name: str) -> None:
    """Writes a report; aside and renamed, since a runner may try a bundle twice."""
    aside = os.path.join(work, f"{uuid.uuid4().hex}.tmp")
    with fileio.open(aside, "w") as file:
        json.dump(report, file)
    fileio.rename(aside, os.path.join(work, name), overwrite=True)


def summarise(work: str) -> dict[str, Any]:
    """Sums the reports of all buckets and ranges."""
    summary: dict[str, Any] = dict.fromkeys((*_SUMMED, "num_rejects"), 0)
    summary |= {"num_by_split": [0] * len(SPLITS), "movies": set(), "duplicates": [], "rejects": []}
    summary["timestamps"] = []
    for path in sorted(fileio.glob(os.path.join(glob.escape(work), "*.json"))):
        with fileio.open(path) as file:
            report = json.load(file)
        if os.path.basename(path).startswith("rejects-"):
            summary["num_rejects"] += report["count"]
            summary["rejects"] += [Reject(*row) for row in report["rejects"]]
            continue
        if TYPICAL_USER in report:  # users go to buckets by a hash: the first one's is as good as any
            summary.setdefault(TYPICAL_USER, report[TYPICAL_USER])
        for key in _SUMMED:
            summary[key] += report[key]
        summary["num_by_split"] = [
            a + b for a, b in zip(summary["num_by_split"], report["num_by_split"], strict=True)
        ]
        summary["movies"] |= set(report["movies"])
        summary["duplicates"] += report["duplicates"]
        summary["timestamps"] += report["timestamps"]
    return summary


def check_rejects(rejects: list[Reject], count: int, total: int, what: str, settings: IngestSettings) -> None:
    """Whether no more rows could not be used than the settings allow.

    Args:
        rejects: The first of those rows, at least.
        count: How many there are.
        total: How many rows there are in all.
        what: Ratings or movies.
        settings: What is allowed.

    Raises:
        DataError: There are more, or no rows at all.
    """
    if not total:
        raise DataError(f"The {what} have no rows.")
    if count > settings.max_malformed_rate * total:
        rate = -(-count * 10_000 // total) / 10_000
        more = [f"and {count - SHOWN:,} more"] if count > SHOWN else []
        raise DataError(
            f"{count:,} of {total:,} rows of the {what} cannot be used, and data.max_malformed_rate allows"
            f" {settings.max_malformed_rate:g}.",
            where=f"{rejects[0].file}:{rejects[0].line}",
            found="".join(f"\n    {line}" for line in [*map(str, rejects[:SHOWN]), *more]),
            fix=f"correct the rows, or set data.max_malformed_rate to {rate:g} or more, which sets them aside"
            f" in {REJECTS_FILE}"
            if rate < 1
            else "correct the rows, or data.layout if this is not the file's layout",
        )


def duplicates_error(summary: Mapping[str, Any], parts: list[FileRange]) -> DataError:
    """What to say where ratings repeat others and may not; reads the ratings again to say where."""
    lines = []
    for user, movie in summary["duplicates"][:SHOWN]:
        lines.append(f"\n    user {user!r}, movie {movie!r}: " + " and ".join(find_rows(parts, user, movie)))
    return DataError(
        f"{summary['num_duplicates']:,} rating(s) repeat the user and movie of another.",
        found="".join(lines),
        expected="one rating for each user and movie",
        fix="remove the repeated rows, or set data.duplicates to latest or first",
    )


def empty_split_error(summary: Mapping[str, Any], settings: IngestSettings) -> DataError:
    """What to say where a split has no rating."""
    counts, again = summary["num_by_split"], summary["num_duplicates"]
    return DataError(
        "A split would be empty: there are too few ratings for it.",
        found=f"{sum(counts):,} ratings of {summary['num_users']:,} users,"
        + (f" {again:,} that repeat a user and movie left out," if again else "")
        + f" by {settings.split.method} into "
        + ", ".join(f"{n:,} {split}" for split, n in zip(SPLITS, counts, strict=True)),
        expected="at least one rating in each of " + ", ".join(SPLITS),
        fix="bring more ratings, or change data.split",
    )
