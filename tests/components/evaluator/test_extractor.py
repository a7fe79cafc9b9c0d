"""The arrays of each slice, and what is said of examples and models that cannot be evaluated."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from components.evaluator.component import Executor
from components.evaluator.extractor import _rows_by_value, slices_extractor
from components.shared.errors import ConfigError, DataError, ModelError
from components.shared.features import ACTIVITY_KEY
from pipeline.config import EvaluationConfig
from pipeline.evaluation import eval_config
from tests.components.evaluator.conftest import raw_example
from tests.evaluators import evaluate

CONFIG = eval_config(EvaluationConfig(), "like")
ROW = (0.5, 1, "heavy", ["Drama"])


def test_a_row_is_once_in_each_of_its_values():
    rows, values = np.array([0, 0, 0, 2]), np.array([b"War", b"Drama", b"War", "Éire".encode()], object)
    found = {value: of.tolist() for value, of in _rows_by_value(rows, values)}
    assert found == {"War": [0], "Drama": [0], "Éire": [2]}


def test_rows_are_in_the_slices_of_either_model(artifacts):
    """As TFMA has it: the models may have counted other users' ratings."""
    rows = [(0.2, 0, "light", ["Drama", "War"]), (0.9, 1, "heavy", []), (0.8, 1, "light", ["War", "War"])]
    values = evaluate(
        Executor,
        artifacts.folder / "out",
        CONFIG,
        artifacts.examples(rows),
        artifacts.model(),
        artifacts.schema(),
        artifacts.model("other", activity="heavy"),
    ).values()
    for of_model in values.values():
        assert {key: metrics["example_count"] for key, metrics in of_model.items()} == {
            (): 3,
            (("genres", "Drama"),): 1,
            (("genres", "War"),): 2,
            ((ACTIVITY_KEY, "heavy"),): 3,
            ((ACTIVITY_KEY, "light"),): 2,
        }


@pytest.mark.parametrize(
    "spec",
    [
        tfma.SlicingSpec(feature_keys=["genres", "user_activity"]),
        tfma.SlicingSpec(feature_values={"genres": "War"}),
    ],
)
def test_a_slice_of_another_kind_is_refused(spec):
    with pytest.raises(ConfigError, match="cannot be sliced so"):
        slices_extractor(tfma.EvalConfig(slicing_specs=[spec]), [], ["genres"])


def refused(artifacts, error: type, words: str, config=CONFIG, model: str = "", examples: str = "") -> None:
    """The error, and neither a result nor a blessing."""
    with pytest.raises(error, match=f"(?s){words}"):
        evaluate(
            Executor,
            artifacts.folder / "out",
            config,
            examples or artifacts.examples([ROW]),
            model or artifacts.model(),
            artifacts.schema(),
        )
    assert not list((artifacts.folder / "out/blessing").iterdir())


def test_a_feature_to_slice_by_that_nothing_has_is_told(artifacts):
    config = tfma.EvalConfig()
    config.CopyFrom(CONFIG)
    config.slicing_specs.add(feature_keys=["mood"])
    refused(artifacts, ConfigError, "cannot be sliced by 'mood'.*genres, liked_xf, user_activity", config)


def test_a_model_without_the_label_is_told(artifacts):
    model = artifacts.model(label="rating_xf")
    words = f"{re.escape(model)}.*transform_features: rating_xf, user_activity.*expected: liked_xf"
    refused(artifacts, ModelError, words, model=model)


def test_a_model_without_the_signature_is_told(artifacts):
    shutil.rmtree(artifacts.model())
    path = f"{artifacts.folder}/model/Format-Serving"
    tf.saved_model.save(tf.Module(), path)
    words = "signature transform_features: none.*expected: liked_xf"
    refused(artifacts, ModelError, words, model=f"{artifacts.folder}/model")


@pytest.mark.parametrize("probability", [float("nan"), -1.0, 1.5])
def test_what_is_no_probability_is_told(artifacts, probability):
    examples = artifacts.examples([ROW, (probability, 0, "light", [])])
    words = f"no probability in 1 of 1 rows.*found: +{probability}.*expected: 0 to 1"
    refused(artifacts, ModelError, words, examples=examples)


def test_an_example_without_a_feature_is_told_with_its_file(artifacts):
    examples = artifacts.shard([raw_example(*ROW), tf.train.Example().SerializeToString()])
    words = "cannot be evaluated.*data_tfrecord-00000.gz.*Feature: (activity|label|probability) .*could not be found"
    refused(artifacts, DataError, words, examples=examples)


def test_a_feature_of_another_type_is_told_with_its_file(artifacts):
    examples = artifacts.shard([raw_example(*ROW), raw_example(0.5, 1, "heavy", [1])])
    refused(artifacts, DataError, "data_tfrecord-00000.gz.*genres.*Expected type: string", examples=examples)


def test_a_cut_file_is_told(artifacts):
    examples = artifacts.shard([raw_example(*ROW)] * 9)
    path = artifacts.folder / "examples/Split-test/data_tfrecord-00000.gz"
    path.write_bytes(path.read_bytes()[:-30])
    refused(artifacts, DataError, "cannot be evaluated.*data_tfrecord-00000.gz", examples=examples)
