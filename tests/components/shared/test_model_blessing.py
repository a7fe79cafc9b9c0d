"""What is written of a verdict, as Pusher and the resolvers read it."""

from __future__ import annotations

import pytest
from tfx.components.evaluator import constants
from tfx.components.util import model_utils
from tfx.types import standard_artifacts

from components.shared.artifacts import COMPONENT_ID, EVALUATOR
from components.shared.model_blessing import write_blessing
from tests.evaluators import artifact


@pytest.mark.parametrize("blessed", [True, False])
@pytest.mark.parametrize("with_baseline", [True, False])
def test_pusher_and_resolvers_read_the_verdict(tmp_path, blessed, with_baseline):
    blessing = artifact(standard_artifacts.ModelBlessing, str(tmp_path), 9)
    model = artifact(standard_artifacts.Model, "/models/1", 1)
    baseline = artifact(standard_artifacts.Model, "/models/2", 2) if with_baseline else None
    write_blessing(blessing, model, baseline, blessed, EVALUATOR)
    assert model_utils.is_model_blessed(blessing) == blessed
    assert [path.name for path in tmp_path.iterdir()] == ["BLESSED" if blessed else "NOT_BLESSED"]
    assert blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY) == 1
    assert (
        blessing.get_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY) == "/models/1"
    )
    assert blessing.has_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY) == with_baseline
    assert blessing.get_string_custom_property(COMPONENT_ID) == EVALUATOR
