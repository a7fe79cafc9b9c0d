"""Which tuned values a run without a search takes."""

from __future__ import annotations

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio

from components.shared.artifacts import PURPOSE, TRAIN_LIKED, TRAIN_ROWS


class TunedValuesStrategy(ResolverStrategy):
    """The newest best hyperparameters for the same purpose, unless the data have drifted since.

    They have drifted where the number of rows of train, or the share of liked ones among them, has changed by more
    than a ratio against the data that the values were searched on.

    Channels: `hyperparameters` and `outdated` (HyperParameters), of which one at most has an artifact afterwards, and
    `verdict` (DataVerdict), that of this run, which counts its rows.

    Args:
        purpose: See `search_space.purpose`.
        max_rows_ratio, max_positives_ratio: See `TuningSettings`.
    """

    def __init__(self, purpose: str, max_rows_ratio: float, max_positives_ratio: float) -> None:
        self._purpose = purpose
        self._max_rows_ratio, self._max_positives_ratio = max_rows_ratio, max_positives_ratio

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        tuned = [
            artifact
            for artifact in input_dict["hyperparameters"]
            if artifact.get_string_custom_property(PURPOSE) == self._purpose and fileio.exists(artifact.uri)
        ]
        newest = max(tuned, key=lambda artifact: artifact.id, default=None)
        found: dict[str, list[types.Artifact]] = {**input_dict, "hyperparameters": [], "outdated": []}
        if newest:
            verdict = max(input_dict["verdict"], key=lambda artifact: artifact.id)
            found["outdated" if self._drifted(newest, verdict) else "hyperparameters"] = [newest]
        return found

    def _drifted(self, tuned: types.Artifact, verdict: types.Artifact) -> bool:
        (rows, liked), (rows_now, liked_now) = (
            [of.get_int_custom_property(key) for key in (TRAIN_ROWS, TRAIN_LIKED)] for of in (tuned, verdict)
        )
        return not (
            _within(rows, rows_now, self._max_rows_ratio)
            and _within(liked / rows, liked_now / rows_now, self._max_positives_ratio)
        )


def _within(one: float, other: float, ratio: float) -> bool:
    return max(one, other) <= ratio * min(one, other)
