"""What is read of a run, and that what is not there is left out."""

from __future__ import annotations

import pytest

from components.report.content import Content, gather
from components.report.data import describe
from components.report.space import flat
from tests.components.report import made


def test_of_a_run_that_came_to_nothing_there_is_nothing():
    assert gather({}, 4.0) == Content()


def test_of_a_whole_run_everything_is_there(tmp_path):
    content = gather(made.outputs(tmp_path), 4.0)
    assert content.decision == made.decision()
    assert content.version == "1795"
    assert [one["model_name"] for one in content.training] == ["two_tower", "dot_product"]
    assert content.baseline
    assert content.space
    assert [person.kind for person in content.people] == ["typical", "new"]


def test_files_that_have_been_removed_since_are_left_out(tmp_path):
    outputs = made.outputs(tmp_path)
    for folder in ("ranking", "decision", "model_run", "examples", "movies"):
        for path in (tmp_path / folder).rglob("*.*"):
            path.unlink()
    content = gather(outputs, 4.0)
    assert (content.ranking, content.decision, content.space, content.data) == (None, None, None, None)
    assert content.people == []


def test_data_by_hand(tmp_path):
    found = describe(str(made.examples(tmp_path)), {"num_users": 2, "num_movies": 5}, 4.0)
    assert found
    assert found.rows == {"train": 4, "eval": 1, "test": 2}
    assert (found.users, found.movies) == (2, 5)
    assert (found.since, found.until) == ("1970-01-01", "1970-01-02")
    assert found.liked == {"train": 3 / 4, "eval": 0, "test": 1 / 2}
    assert found.values == ["1", "2", "3", "4", "5"]
    assert found.by_value["train"] == [1 / 4, 0, 0, 2 / 4, 1 / 4]
    assert found.genres == {"Drama": 1.0, "War": 2 / 4}
    assert found.activity == [(1, 4), (2, 3)]
    assert found.popularity[0] == (1, 2)
    assert sum(map(sum, found.by_period.values())) == 7


def test_ratings_without_times_have_no_time_span(tmp_path):
    found = describe(str(made.examples(tmp_path)), {"without_times": 1}, 4.0)
    assert found
    assert (found.since, found.periods, found.by_period) == ("", [], {})


def test_ratings_of_many_values_are_shown_in_ranges(tmp_path):
    many = [(f"u{i}", "m1", i / 7, i) for i in range(100)]
    found = describe(str(made.examples(tmp_path, dict.fromkeys(made.ROWS, many))), {}, 4.0)
    assert found
    assert len(found.values) == 20
    assert sum(found.by_value["test"]) == pytest.approx(1)


def test_the_map_keeps_the_plane_that_vectors_lie_in():
    import numpy as np

    angles = np.linspace(0, np.pi, 7)
    vectors = np.stack([np.cos(angles), np.zeros(7), np.sin(angles)], axis=1)
    points, explained = flat(vectors * np.arange(1, 8)[:, None])  # the length says nothing
    assert explained == pytest.approx(1)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.testing.assert_allclose(
        distances, np.linalg.norm(vectors[:, None] - vectors[None], axis=2), atol=1e-12
    )
    np.testing.assert_array_equal(points, flat(vectors * np.arange(1, 8)[:, None])[0])


def test_movies_have_their_neighbours_and_the_year_in_their_titles(tmp_path):
    space = gather(made.outputs(tmp_path), 4.0).space
    assert space
    assert space.titles[3] == 'Amp & "quotes" </script> (1999)'
    assert len(space.titles) == 4  # those of which the neighbours are known
    assert space.near == made.ANSWERS["neighbours"]["near"]
    assert (space.groups, space.group) == (["Drama", "War", "other"], [1, 1, 1, 1])


def test_people_like_what_they_rated_best_and_are_told_why(tmp_path):
    typical, new = gather(made.outputs(tmp_path), 4.0).people
    assert [(title, rating) for title, _, rating in typical.likes] == [
        (f"{made.SCRIPT} (1999)", 5.0),
        (f"{made.CONTROL} (1999)", 4.0),
    ]
    assert [one.because for one in typical.recommended] == [f"{made.SCRIPT} (1999)", ""]
    assert typical.recommended[0].title == "Plain (1999)"
    assert (new.known, new.likes) == (False, [])
