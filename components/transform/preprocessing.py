"""`preprocessing_fn` for the Transform component.

Per example it makes:

- `user_id_xf`, `movie_id_xf` (int64, scalar): index in the vocabulary; unknown ids are beyond its size
- `genres_xf` (int64, any number, also none): the same for each genre of the movie
- `liked_xf` (int64, scalar): 1 where the label rule says so, else 0
- `user_activity` (string, scalar), for slicing: `heavy`, `medium` or `light`, the thirds of the users by number of
  ratings, or `new`

Vocabularies are of the train split only, most frequent first.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components.shared import features


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Maps raw features to transformed ones; `custom_config` is that of `component.transform`."""
    outputs = {
        features.transformed_name(key): tft.compute_and_apply_vocabulary(
            inputs[key],
            num_oov_buckets=custom_config["num_oov_buckets"],
            vocab_filename=key,
            weights=_ones(inputs[key]),
        )
        for key in features.VOCABULARY_KEYS
    }
    rule = features.LabelRule.model_validate(custom_config["label"])
    outputs[features.LABEL_KEY] = tf.cast(rule.liked(inputs[features.RATING_KEY]), tf.int64)
    outputs[features.ACTIVITY_KEY] = _activity(outputs[features.transformed_name(features.USER_KEY)])
    return outputs


def _ones(ids: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    # Weighted ids are counted in the graph, a batch at a time; without weights Beam counts them one by one.
    return tf.ones_like(ids.values if isinstance(ids, tf.SparseTensor) else ids, tf.int64)


def _activity(user_index: tf.Tensor) -> tf.Tensor:
    # The user vocabulary is sorted by number of ratings, so that the index is the user's rank.
    num_users = tft.experimental.get_vocabulary_size_by_name(features.USER_KEY)
    third = tf.where(user_index < num_users, user_index * 3 // tf.maximum(num_users, 1), 3)
    return tf.gather(tf.constant(["heavy", "medium", "light", "new"]), third)
