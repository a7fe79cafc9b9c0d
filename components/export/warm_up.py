"""The warm-up requests of an export, which TensorFlow Serving sends itself before it serves a version."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import predict_pb2

from components.shared import features


def requests(
    transform: tft.TFTransformOutput, user_id: str, movie_id: str
) -> Iterator[predict_pb2.PredictRequest]:
    """One request a signature, so that the first real one does not wait for the graph to be optimised."""
    ids = {features.USER_KEY: user_id.encode(), features.MOVIE_KEY: movie_id.encode()}
    example = tf.train.Example()
    for key, spec in transform.raw_feature_spec().items():
        if isinstance(spec, tf.io.FixedLenFeature):
            feature = example.features.feature[key]
            if spec.dtype == tf.string:
                feature.bytes_list.value.append(ids.get(key, b""))
            elif spec.dtype == tf.int64:
                feature.int64_list.value.append(0)
            else:
                feature.float_list.value.append(0.0)
    examples = {"examples": [example.SerializeToString()]}
    for signature, inputs in (
        ("serving_default", examples),
        ("transform_features", examples),
        ("predict", {"user_ids": [user_id], "movie_ids": [movie_id]}),
        ("recommend", {"user_ids": [user_id], "k": 10, "exclude_rated": True}),
        ("score_catalogue", {"user_ids": [user_id]}),
        ("similar_movies", {"movie_ids": [movie_id], "k": 10}),
    ):
        request = predict_pb2.PredictRequest()
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        yield request
