"""Which test rows the baseline has learned from, by the examples as they are on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from components.ranking.component import _learned
from components.shared.artifacts import WITHOUT_TIMES
from components.shared.features import SPLITS

Row = tuple[str, str, int]  # user, movie, timestamp
LOG: list[Row] = [(f"u{i % 4}", f"m{i}", 1000 + i) for i in range(12)]


def write(
    folder: Path, id_: int, rows: list[Row], test: int, times: bool = True
) -> standard_artifacts.Examples:
    """Examples whose last `test` rows are test, whose row before these is eval, and the others train."""
    examples = standard_artifacts.Examples()
    examples.uri, examples.id = str(folder / str(id_)), id_
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    if not times:
        examples.set_int_custom_property(WITHOUT_TIMES, 1)
    for split, part in zip(SPLITS, (rows[: -test - 1], rows[-test - 1 : -test], rows[-test:]), strict=True):
        path = Path(artifact_utils.get_split_uri([examples], split)) / "data_tfrecord-00000-of-00001.gz"
        path.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for user, movie, time in part:
                feature = {
                    "user_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[user.encode()])),
                    "movie_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[movie.encode()])),
                    "timestamp": tf.train.Feature(int64_list=tf.train.Int64List(value=[time * times])),
                }
                features = tf.train.Features(feature=feature)
                writer.write(tf.train.Example(features=features).SerializeToString())
    return examples


def test_rows_of_train_and_eval_of_the_baseline_are_learned_and_a_rating_given_anew_is_not(tmp_path):
    again = [*LOG[:7], ("u3", "m7", 9999), *LOG[8:]]
    current, baseline = write(tmp_path, 1, again, test=6), write(tmp_path, 2, LOG, test=2)
    assert _learned([current], [baseline]).tolist() == [True, False, True, True, False, False]
    assert _learned([current], [current]).tolist() == [False] * 6
    assert _learned([current], []) is None


@pytest.mark.parametrize(("now", "before"), [(False, True), (True, False), (False, False)])
def test_a_log_whose_times_are_left_out_is_still_the_log_that_the_baseline_has_learned(tmp_path, now, before):
    current, baseline = write(tmp_path, 1, LOG, 6, now), write(tmp_path, 2, LOG, 2, before)
    assert _learned([current], [baseline]).tolist() == [True] * 4 + [False] * 2
