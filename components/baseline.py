"""Which model a candidate is compared with."""

from __future__ import annotations

import ml_metadata as mlmd
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy

# The id of the component whose blessings count, and the property that holds it: the Evaluator (TFMA) writes blessings
# too, which are only one of the rules.
BLESSER = "Blessing"
COMPONENT_ID = "component_id"


class LatestOtherBlessedModelStrategy(ResolverStrategy):
    """The model that the Blessing component blessed last, other than the candidate itself.

    The stock LatestBlessedModelStrategy takes the newest blessed *model*. Once a run has blessed its
    model, an unchanged second run gets that very model as its baseline, so that the Evaluator cannot
    use its cached result, and the same model is pushed again. And when training A, then B, then A
    again (cached) blesses A last, it still takes B. And it would count TFMA's blessings of models that were then
    refused; a Channel cannot be restricted to what a component further down writes, as that would be a cycle.

    Channels: `model` (Model), `model_blessing` (ModelBlessing), `candidate` (Model).
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        del store
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        models = {artifact.id: artifact for artifact in input_dict["model"]}
        for blessing in sorted(input_dict["model_blessing"], key=lambda artifact: artifact.id, reverse=True):
            if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) != 1:
                continue
            if blessing.get_string_custom_property(COMPONENT_ID) != BLESSER:
                continue
            model_id = blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY)
            if model_id in models and model_id not in candidates:
                return {**input_dict, "model": [models[model_id]], "model_blessing": [blessing]}
        return {**input_dict, "model": [], "model_blessing": []}
