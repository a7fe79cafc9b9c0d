"""Which tuned values a run without a search takes."""

from __future__ import annotations

import pytest
from tfx.types import standard_artifacts

from components.resolvers.tuned_values import TunedValuesStrategy
from components.shared.artifact_types import DataVerdict


@pytest.fixture
def tuned(tmp_path):
    def make(number: int, purpose: str = "dot", rows: int = 1000, liked: int = 500, there: bool = True):
        artifact = standard_artifacts.HyperParameters()
        artifact.id, artifact.uri = number, str(tmp_path / str(number))
        if there:
            (tmp_path / str(number)).mkdir()
        artifact.set_string_custom_property("purpose", purpose)
        artifact.set_int_custom_property("train_rows", rows)
        artifact.set_int_custom_property("train_liked", liked)
        return artifact

    return make


def resolve(artifacts, rows: int = 1000, liked: int = 500) -> dict[str, list[int]]:
    verdict = DataVerdict()
    verdict.id = 99
    verdict.set_int_custom_property("train_rows", rows)
    verdict.set_int_custom_property("train_liked", liked)
    inputs = {"hyperparameters": artifacts, "outdated": artifacts, "verdict": [verdict]}
    found = TunedValuesStrategy("dot", 1.5, 1.2).resolve_artifacts(None, inputs)
    return {key: [one.id for one in found[key]] for key in ("hyperparameters", "outdated")}


def test_the_newest_ones_for_the_same_purpose_whose_files_are_there(tuned):
    ones = [tuned(1), tuned(2), tuned(3, purpose="mlp"), tuned(4, there=False)]
    assert resolve(ones) == {"hyperparameters": [2], "outdated": []}
    assert resolve(ones[2:]) == resolve([]) == {"hyperparameters": [], "outdated": []}


@pytest.mark.parametrize(
    ("rows", "liked", "reused"),
    [
        (1500, 750, True),
        (1501, 750, False),
        (667, 333, True),
        (666, 333, False),
        (1000, 600, True),
        (1000, 601, False),
        (1000, 416, False),
        (1000, 0, False),
    ],
)
def test_values_of_data_that_have_drifted_are_not_reused(tuned, rows, liked, reused):
    expected = (
        {"hyperparameters": [1], "outdated": []} if reused else {"hyperparameters": [], "outdated": [1]}
    )
    assert resolve([tuned(1)], rows, liked) == expected
