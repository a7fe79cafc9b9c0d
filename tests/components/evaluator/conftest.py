"""An export that says of an example what stands in it, and examples for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.shared.artifacts import SERVING_FOLDER
from components.shared.features import ACTIVITY_KEY, GENRES_KEY, LABEL_KEY

Row = tuple[float, int, str, list[str]]  # probability, label, activity, genres


@dataclass(frozen=True)
class Artifacts:
    """Folders of artifacts, in `folder`."""

    folder: Path

    def examples(self, rows: list[Row], shards: int = 2) -> str:
        """Examples of a test split."""
        for shard in range(shards):
            self.shard([raw_example(*row) for row in rows[shard::shards]], shard)
        return str(self.folder / "examples")

    def shard(self, records: list[bytes], number: int = 0) -> str:
        """A file of a test split."""
        import tensorflow as tf

        path = self.folder / f"examples/Split-test/data_tfrecord-{number:05}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in records:
                writer.write(record)
        return str(self.folder / "examples")

    def schema(self) -> str:
        path = self.folder / "schema/schema.pbtxt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'feature {{ name: "{GENRES_KEY}" type: BYTES value_count {{ min: 0 max: 30 }} }}\n')
        return str(path.parent)

    def model(
        self, name: str = "model", power: float = 1.0, activity: str = "", label: str = LABEL_KEY
    ) -> str:
        """An export whose probability is the example's to a power.

        Args:
            name: Of its folder.
            power: Of the probability.
            activity: The activity of every user; by default that of the example.
            label: Name of the label among the transformed features.
        """
        import tensorflow as tf

        spec = {
            "probability": tf.io.FixedLenFeature([], tf.float32),
            "label": tf.io.FixedLenFeature([], tf.int64),
            "activity": tf.io.FixedLenFeature([], tf.string),
        }
        of_examples = [tf.TensorSpec([None], tf.string, name="examples")]

        @tf.function(input_signature=of_examples)
        def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            p = tf.io.parse_example(examples, {"probability": spec["probability"]})["probability"]
            return {"probability": p**power, "known_user": p > 0}

        @tf.function(input_signature=of_examples)
        def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = tf.io.parse_example(examples, spec)
            who = tf.fill(tf.shape(rows["activity"]), activity) if activity else rows["activity"]
            return {label: rows["label"], ACTIVITY_KEY: who}

        path = self.folder / name / SERVING_FOLDER
        signatures = {"serving_default": serving_default, "transform_features": transform_features}
        tf.saved_model.save(tf.Module(), str(path), signatures=signatures)
        return str(path.parent)


@pytest.fixture
def artifacts(tmp_path) -> Artifacts:
    return Artifacts(tmp_path)


def raw_example(probability: float, label: int, activity: str, genres: list[Any]) -> bytes:
    """Genres are strings, or, as they should not be, integers."""
    import tensorflow as tf

    def of(*values: str) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))

    numbers = genres and isinstance(genres[0], int)
    feature = {
        "probability": tf.train.Feature(float_list=tf.train.FloatList(value=[probability])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "activity": of(activity),
        GENRES_KEY: tf.train.Feature(int64_list=tf.train.Int64List(value=genres)) if numbers else of(*genres),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
