"""What the stock Evaluator writes of a blessing, for Pusher and resolvers; see `tfx.components.evaluator.executor`."""

from __future__ import annotations

from tfx import types
from tfx.components.evaluator import constants
from tfx.utils import io_utils

from components.shared.artifacts import COMPONENT_ID


def write_blessing(
    blessing: types.Artifact, model: types.Artifact, baseline: types.Artifact | None, blessed: bool, by: str
) -> None:
    """Fills in a ModelBlessing.

    Args:
        blessing: The artifact, whose folder is there.
        model: Of which it is.
        baseline: What the model was compared with.
        blessed: The verdict.
        by: Id of the component that gives it.
    """
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if baseline:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    blessing.set_string_custom_property(COMPONENT_ID, by)
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE,
    )
