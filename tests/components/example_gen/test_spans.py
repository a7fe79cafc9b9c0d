"""Windows of spans: which are read, and what the policies do."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.detection import detect
from components.example_gen.settings import IngestSettings, SpansSettings
from components.example_gen.spans import judge_late
from components.shared.errors import ConfigError, DataError

HEADER = "user_id,movie_id,rating,timestamp\n"
ROW = "1,2,4,5\n"


def settings(pattern: str = "ratings-{SPAN}.csv", **spans) -> IngestSettings:
    return IngestSettings.model_validate({"layout": "csv", "ratings_file": pattern, "spans": spans})


def log(folder: Path, *names: str, text: str = HEADER + ROW) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def numbers(folder: Path, spans: IngestSettings) -> list[str]:
    return [span.name for span in detect(str(folder), spans).spans]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"last": 3}, ["9", "10", "11"]),
        ({"last": 30}, ["7", "8", "9", "10", "11"]),
        ({"from": 8, "to": 9}, ["8", "9"]),
        ({"from": 10}, ["10", "11"]),
        ({"to": 8}, ["7", "8"]),
        ({}, ["7", "8", "9", "10", "11"]),
    ],
)
def test_the_window_is_what_is_asked_for_in_the_order_of_its_numbers(tmp_path, window, expected):
    folder = log(tmp_path, *(f"ratings-{number}.csv" for number in range(7, 12)))
    assert numbers(folder, settings(**window)) == expected


def test_dates(tmp_path):
    folder = log(tmp_path, "2026/10/31.csv", "2026/11/01.csv", "2026/11/02.csv")
    pattern = "{YYYY}/{MM}/{DD}.csv"
    assert numbers(folder, settings(pattern, last=2)) == ["2026-11-01", "2026-11-02"]
    found = detect(str(folder), settings(pattern, **{"from": date(2026, 10, 31), "to": "2026-11-01"}))
    assert [span.pattern for span in found.spans] == ["2026/10/31.csv", "2026/11/01.csv"]
    log(tmp_path, "2026/11/31.csv")
    with pytest.raises(DataError, match="a date that there is not"):
        detect(str(folder), settings(pattern, last=2))


def test_a_span_may_be_several_files_and_movies_may_be_without(tmp_path):
    folder = log(tmp_path, "span-01/a.csv", "span-01/b.csv", "span-02/a.csv")
    log(folder, "movies.csv", text="movie_id,title,genres\n2,x,y\n")
    asked = settings("span-{SPAN:2}/*.csv", last=2).model_copy(update={"movies_file": "movies.csv"})
    assert detect(str(folder), asked).inputs == [
        ("ratings-1", "span-01/*.csv"),
        ("ratings-2", "span-02/*.csv"),
        ("movies", "movies.csv"),
    ]


def test_of_movies_of_each_span_the_newest_are_read(tmp_path):
    folder = log(tmp_path, "1/ratings.csv", "2/ratings.csv", "3/ratings.csv")
    log(folder, "1/movies.csv", "2/movies.csv", text="movie_id,title,genres\n2,x,y\n")
    asked = settings("{SPAN}/ratings.csv", last=3).model_copy(update={"movies_file": "{SPAN}/movies.csv"})
    assert detect(str(folder), asked).movies == "2/movies.csv"


@pytest.mark.parametrize(
    ("policy", "what"),
    [("missing", "span 8 is not there"), ("empty", "span 9 is empty")],
)
def test_policies(tmp_path, policy, what):
    folder = log(tmp_path, "ratings-7.csv", "ratings-9.csv", "ratings-10.csv")
    log(folder, "ratings-9.csv", text=HEADER)
    quiet = {"missing": "ignore", "empty": "ignore"}
    assert detect(str(folder), settings(last=4, **quiet)).told == ()
    found = detect(str(folder), settings(last=4, **{**quiet, policy: "warn"}))
    assert found.told == (what,)
    assert [span.name for span in found.spans] == ["7", "10"]
    with pytest.raises(DataError, match=what.capitalize()) as error:
        detect(str(folder), settings(last=4, **{**quiet, policy: "stop"}))
    assert f"data.spans.{policy}" in (error.value.fix or "")


def test_before_the_first_span_nothing_is_missing_unless_it_is_asked_for(tmp_path):
    folder = log(tmp_path, "ratings-3.csv")
    assert detect(str(folder), settings(last=9)).told == ()
    assert detect(str(folder), settings(**{"from": 2})).told == ("span 2 is not there",)


@pytest.mark.parametrize(
    ("names", "window", "what"),
    [
        ((1, 4, 6), {}, "spans 2 to 3, 5 are not there"),
        ((1, 4), {}, "spans 2 to 3 are not there"),
        ((2, 3), {"from": 1, "to": 5}, "spans 1, 4 to 5 are not there"),
        ((1, 10**15), {}, "spans 2 to 999999999999999 are not there"),
    ],
)
def test_what_is_missing_is_told_in_ranges_however_far_apart_the_spans_are(tmp_path, names, window, what):
    folder = log(tmp_path, *(f"ratings-{number}.csv" for number in names))
    assert detect(str(folder), settings(**window)).told == (what,)


def test_a_parquet_file_without_rows_is_an_empty_span(tmp_path):
    table = pa.table({"user_id": ["1"], "movie_id": ["2"], "rating": [4.0], "timestamp": [5]})
    pq.write_table(table, tmp_path / "r-1.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "r-2.parquet")
    of = {"ratings_file": "r-{SPAN}.parquet"}
    found = detect(str(tmp_path), IngestSettings.model_validate({**of, "spans": {"empty": "warn"}}))
    assert ([span.name for span in found.spans], found.told) == (["1"], ("span 2 is empty",))
    with pytest.raises(DataError, match="Span 2 is empty"):
        detect(str(tmp_path), IngestSettings.model_validate({**of, "spans": {}}))


@pytest.mark.parametrize("text", ["", "\n \n", HEADER])
def test_what_has_no_rows_is_empty(tmp_path, text):
    folder = log(tmp_path, "ratings-1.csv")
    log(folder, "ratings-2.csv", text=text)
    with pytest.raises(DataError, match="Span 2 is empty"):
        detect(str(folder), settings(last=2))


def test_late_spans_by_policy():
    assert judge_late(SpansSettings(), ["3"], "x") == ["span 3 is not what an earlier run has read"]
    assert judge_late(SpansSettings(late="ignore"), ["3"], "x") == []
    assert judge_late(SpansSettings(late="stop"), [], "x") == []
    with pytest.raises(DataError, match=r"Spans 1, 2, 3, \.\.\., 8, 9 are not what"):
        judge_late(SpansSettings(late="stop"), [*"123456789"], "x")


@pytest.mark.parametrize(
    ("pattern", "window", "says"),
    [
        ("ratings.csv", {"last": 2}, "a pattern with spans"),
        ("ratings-{SPAN}-{VERSION}.csv", {"last": 2}, r"no \{VERSION\}"),
        ("ratings-{YYYY}.csv", {"last": 2}, "a pattern with spans"),
        ("ratings-{SPAN}.csv", {"from": date(2026, 1, 1)}, "a number"),
        ("ratings-{YYYY}-{MM}-{DD}.csv", {"to": 3}, "a date"),
    ],
)
def test_a_window_that_does_not_fit_its_pattern_is_a_wrong_configuration(tmp_path, pattern, window, says):
    folder = log(tmp_path, "ratings.csv", "ratings-1-1.csv", "ratings-1.csv", "ratings-2026.csv")
    log(tmp_path, "ratings-2026-01-01.csv")
    with pytest.raises(ConfigError, match=says):
        detect(str(folder), settings(pattern, **window))


@pytest.mark.parametrize(
    "wrong", [{"last": 0}, {"last": 2, "to": 3}, {"from": 4, "to": 3}, {"late": "perhaps"}]
)
def test_windows_that_are_none(wrong):
    with pytest.raises(ValueError, match="spans"):
        settings(**wrong)


def test_a_window_without_spans_says_which_there_are(tmp_path):
    folder = log(tmp_path, "ratings-1.csv", "ratings-2.csv")
    with pytest.raises(DataError, match="spans 1, 2"):
        detect(str(folder), settings(**{"from": 5, "to": 6}))


def test_one_span_under_two_names_is_told(tmp_path):
    folder = log(tmp_path, "ratings-1.csv", "ratings-01.csv")
    with pytest.raises(DataError, match="Span 1 is there twice"):
        detect(str(folder), settings(last=1))
