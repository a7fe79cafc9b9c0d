"""Which blessed model a candidate meets."""

from __future__ import annotations

import pytest
from tfx.types import standard_artifacts

from components.baseline import LatestOtherBlessedModelStrategy


def model(number: int) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(
    number: int, of: int, blessed: bool = True, by: str | None = "Blessing"
) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("blessed", int(blessed))
    artifact.set_int_custom_property("current_model_id", of)
    if by:
        artifact.set_string_custom_property("component_id", by)
    return artifact


@pytest.mark.parametrize(
    ("blessings", "candidate", "expected"),
    [
        pytest.param([], 1, None, id="first run"),
        pytest.param([blessing(10, of=1)], 1, None, id="unchanged second run"),
        pytest.param([blessing(10, of=1)], 2, 1, id="new candidate"),
        pytest.param([blessing(10, of=1), blessing(11, of=2, blessed=False)], 3, 1, id="refused in between"),
        pytest.param([blessing(10, of=1), blessing(11, of=2)], 2, 1, id="second, unchanged"),
        pytest.param([blessing(10, of=1), blessing(11, of=2), blessing(12, of=1)], 3, 1, id="blessed again"),
        pytest.param([blessing(10, of=1), blessing(11, of=2)], 1, 2, id="back to the first"),
        pytest.param([blessing(10, of=1), blessing(11, of=2, by=None)], 3, 1, id="by TFMA alone, here"),
        pytest.param([blessing(10, of=1, by="Evaluator")], 3, None, id="by TFMA alone, elsewhere"),
        pytest.param([blessing(10, of=9)], 1, None, id="model is gone"),
    ],
)
def test_baseline_is_the_model_blessed_last_other_than_the_candidate(blessings, candidate, expected):
    models = [model(number) for number in (1, 2, 3)]
    inputs = {"model": models, "model_blessing": blessings, "candidate": [model(candidate)]}
    resolved = LatestOtherBlessedModelStrategy().resolve_artifacts(None, inputs)
    assert [artifact.id for artifact in resolved["model"]] == ([] if expected is None else [expected])
    assert [artifact.id for artifact in resolved["candidate"]] == [candidate]
