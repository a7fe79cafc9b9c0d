"""The transform graph, to apply to raw features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader


class TransformGraph(tf.Module):
    """What `TFTransformOutput.transform_features_layer` does, in an export too.

    That layer is a model of tf_keras, which `tf.saved_model.save` traces by itself and AutoGraph converts: 3 CPU
    seconds an export, for functions that nobody calls.
    """

    def __init__(self, transform: tft.TFTransformOutput) -> None:
        super().__init__(name="transform")
        self._loader = SavedModelLoader(transform.transform_savedmodel_dir)
        self._tracked = self._loader.__dict__  # its tables are saved with what holds it, as of that layer

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        """Transformed features, of any batch of raw ones; those are left out which need others than are given."""
        return self._loader.apply_transform_model(raw)
