"""A growing log, run by run: what is new, what has changed since, and a backfill."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import LENIENT

SPANS = 4
HEADER = "user_id,movie_id,rating,timestamp"


@pytest.fixture(scope="module")
def spans(small_slice) -> list[list[str]]:
    rows = [line.split("\t") for line in (small_slice / "ml-slice.inter").read_text().splitlines()[1:]]
    rows.sort(key=lambda row: float(row[3]))
    lines = [",".join([*row[:3], str(int(float(row[3])))]) for row in rows]
    return [lines[len(lines) * at // SPANS : len(lines) * (at + 1) // SPANS] for at in range(SPANS)]


class Story:
    """A log and its pipeline."""

    def __init__(self, marquee, folder: Path) -> None:
        self._marquee, self.data = marquee, folder / "log"
        self.data.mkdir()
        overrides = [
            f"data.path={self.data}",
            f"root={folder / 'root'}",
            "name=spans",
            "data.layout=csv",
            "data.ratings_file=ratings-{SPAN}.csv",
            "model.epochs=1",
            "retrieval=null",
            "data_gate.shares.new_users.fatal=1",
            "data_gate.minimum.train_rows=100",
            "data_gate.minimum.users=10",
            *LENIENT,
        ]
        self.options = [f"--set={one}" for one in overrides]

    def write(self, number: int, rows: list[str], moment: int) -> None:
        path = self.data / f"ratings-{number}.csv"
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        os.utime(path, (moment, moment))

    def __call__(self, *arguments: str):
        return self._marquee(*arguments, *self.options)

    def status(self) -> dict:
        return json.loads(self("status", "--json").stdout)


@pytest.mark.long
def test_a_growing_log(marquee, spans, tmp_path):
    story = Story(marquee, tmp_path)
    for number in (1, 2, 3):
        story.write(number, spans[number - 1], 1_000_000_000 + number)
    window = "--set=data.spans.last=3"
    first = story("run", "--if-new-data", window)
    assert first.returncode == 0, first.stdout + first.stderr
    assert ", spans 1 to 3" in first.stdout
    (run,) = story.status()["runs"]
    assert (run["first_span"], run["last_span"]) == ("1", "3")
    assert " 1-3 " in story("status").stdout
    # Duplicates and splits are those of one log.
    assert run["num_rows"] == sum(len(rows) for rows in spans[:3])
    (version,) = story.status()["pushed"]
    marker = json.loads((tmp_path / f"root/spans/serving/{version}/assets.extra/marquee.json").read_text())
    assert (marker["first_span"], marker["last_span"]) == ("1", "3")
    (released,) = json.loads(story("history", "--json").stdout)["versions"]
    assert (released["first_span"], released["last_span"]) == ("1", "3")

    again = story("run", "--if-new-data", window)
    assert (again.returncode, again.stdout, again.stderr) == (0, "spans: No new data since span 3.\n", "")
    assert len(story.status()["runs"]) == 1

    cached = story("run", window)
    assert "from the cache" in cached.stdout
    assert cached.stdout.count("No new data since span 3.") == 1

    # The window moves on; one that was read before is not what it was.
    story.write(4, spans[3], 1_000_000_004)
    story.write(2, spans[1][:-5], 1_000_000_009)
    stopped = story("run", "--if-new-data", window, "--set=data.spans.late=stop")
    assert stopped.returncode == 4
    assert "Span 2 is not what an earlier run has read" in stopped.stderr
    moved = story("run", "--if-new-data", window)
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert "Warning: span 2 is not what an earlier run has read" in moved.stdout
    assert ", spans 2 to 4" in moved.stdout
    served = story.status()["pushed"]
    assert len(served) == 2

    # A backfill is trained and judged, and leaves what is served alone.
    back = story("run", "--set=data.spans.to=2", "--set=data.spans.late=ignore")
    assert back.returncode == 0, back.stdout + back.stderr
    assert "Not pushed: its newest rating is of " in back.stdout
    assert f"that of version {served[-1]} of " in back.stdout
    assert story.status()["pushed"] == served
    forced = story("run", "--set=data.spans.to=2", "--set=data.spans.push_older=true")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert len(story.status()["pushed"]) == 3
