"""The stock Transform with our `preprocessing_fn`."""

from __future__ import annotations

from tfx import types
from tfx.components import Transform

from components.shared.features import LabelRule
from components.shared.fingerprint import code_fingerprint


def transform(
    examples: types.BaseChannel, schema: types.BaseChannel, label: LabelRule, num_oov_buckets: int
) -> Transform:
    """Makes vocabularies, indices and the label, see `preprocessing`.

    Args:
        examples: Raw examples with the splits `train`, `eval` and `test`.
        schema: Theirs.
        label: What a like is.
        num_oov_buckets: Of each vocabulary.
    """
    return Transform(
        examples=examples,
        schema=schema,
        # By its path, as a name imported here would be bound before TFX reloads the module.
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        custom_config={
            "label": label.model_dump(),
            "num_oov_buckets": num_oov_buckets,
            "code": code_fingerprint("shared/features.py", "transform/*.py"),
        },
        disable_statistics=True,
        disable_analyzer_cache=True,
    )
