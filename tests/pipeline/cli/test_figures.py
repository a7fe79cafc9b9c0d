"""The figures of a component's line."""

from __future__ import annotations

import datetime

import pytest

from components.shared.artifacts import EXAMPLE_GEN
from pipeline.cli.figures import figure
from pipeline.state.runs import Artifact, Node, Run


@pytest.mark.parametrize(
    ("counts", "tail"),
    [
        ({"num_ratings_without_movie": 3}, ", 3 of movies not in the movies table"),
        ({"num_ratings_without_movie": 0}, ""),
        ({}, ""),  # there is no movies table
    ],
)
def test_ratings_of_movies_that_the_table_lacks(counts: dict[str, int], tail: str) -> None:
    properties = {
        **dict.fromkeys(("num_rows", "num_train", "num_eval", "num_test", "num_users"), 2),
        "num_movies": 5,
        **counts,
    }
    node = Node(EXAMPLE_GEN, "done", False, {"examples": [Artifact(1, "Examples", "/x", properties)]})
    run = Run("1", datetime.datetime.now(datetime.UTC), {EXAMPLE_GEN: node})
    assert figure(node, run) == f"2 ratings (2 train, 2 eval, 2 test), 2 users, 5 movies{tail}"
