"""That the Evaluator's results are those of the stock one, and what it says of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.components.evaluator.executor import Executor as StockExecutor

from components.evaluator.component import Executor, threshold_failures
from components.shared.artifacts import FAILURES
from components.shared.errors import DataError
from components.shared.fingerprint import code_fingerprint
from pipeline.config import EvaluationConfig, load_config
from pipeline.evaluation import eval_config
from tests.evaluators import evaluate, stock


def evaluated(folder: Path, slices: list[tfma.SlicingSpec], min_auc: float) -> str:
    """What TFMA writes of eight dramas and a model that always says one half, with a bar in every slice."""
    rows = folder / "rows.tfrecord"
    with tf.io.TFRecordWriter(str(rows)) as writer:
        for number in range(8):
            feature = {
                "genres": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"Drama"])),
                "label": tf.train.Feature(float_list=tf.train.FloatList(value=[number % 2])),
                "probability": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
            }
            features = tf.train.Features(feature=feature)
            writer.write(tf.train.Example(features=features).SerializeToString())
    bar = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound={"value": min_auc}))
    bars = tfma.PerSliceMetricThreshold(slicing_specs=slices, threshold=bar)
    config = tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key="label", prediction_key="probability")],
        slicing_specs=slices,
        metrics_specs=[
            tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="AUC", per_slice_thresholds=[bars])])
        ],
    )
    output = str(folder / "evaluation")
    tfma.run_model_analysis(eval_config=config, data_location=str(rows), output_path=output)
    return output


def test_a_slice_without_examples_is_named(tmp_path):
    slices = [
        tfma.SlicingSpec(),
        tfma.SlicingSpec(feature_values={"genres": "War"}),
        tfma.SlicingSpec(feature_keys=["mood"]),
    ]
    assert threshold_failures(evaluated(tmp_path, slices, 0.9)) == [
        "auc of all examples is 0.5000, the floor is 0.9",
        "no example in the slice genres War",
        "no example in the slice mood",
    ]


def drawn(rows: int) -> list[tuple[float, int, str, list[str]]]:
    """Rows at random, with probabilities at the bounds of buckets, ties, and slices of a row and of a class."""
    rng = np.random.default_rng(7)
    p = np.concatenate(
        [rng.random(rows // 2), np.round(rng.random(rows // 4), 2), np.arange(11) / 10, [0, 1]]
    )
    p = np.concatenate([p, rng.integers(0, 10_000, rows - len(p)) / 9_999])
    made = [
        (
            float(one),
            int(rng.random() < one),
            str(rng.choice(["heavy", "medium", "light"])),
            [str(genre) for genre in rng.choice(["Drama", "War", "Comedy"], rng.integers(0, 4))],
        )
        for one in p
    ]
    one_class = [
        (0.3, 1, "liked", ["Liked"]),
        (0.7, 1, "liked", ["Liked"]),
        (0.2, 0, "disliked", ["Disliked"]),
    ]
    return [*made, *one_class]


@pytest.mark.parametrize("baseline", [False, True])
def test_metrics_and_verdict_are_those_of_the_stock_evaluator(artifacts, baseline):
    """Also of slices of one class, and where the models do not agree which users are active."""
    config = eval_config(EvaluationConfig(min_auc=0.999), "like")
    places = artifacts.examples(drawn(600)), artifacts.model(), artifacts.schema()
    other = artifacts.model("baseline", power=2.0, activity="heavy") if baseline else None
    ours = evaluate(Executor, artifacts.folder / "ours", config, *places, other)
    theirs = evaluate(StockExecutor, artifacts.folder / "stock", stock(config), *places, other)
    found, expected = ours.values(), theirs.values()
    assert len(expected["candidate"]) == 11
    assert found.keys() == expected.keys()
    for model, slices in expected.items():
        assert found[model].keys() == slices.keys()
        for key, metrics in slices.items():
            assert found[model][key] == pytest.approx(metrics, abs=1e-6, nan_ok=True), (model, key)
    assert threshold_failures(ours.evaluation.uri) == threshold_failures(theirs.evaluation.uri)
    assert ours.blessing.get_int_custom_property("blessed") == 0
    blessings = [artifacts.folder / name / "blessing/NOT_BLESSED" for name in ("ours", "stock")]
    assert all(path.exists() for path in blessings)
    for name in ("current_model_id", "baseline_model_id", "blessed"):
        of_ours, of_stock = (one.blessing.get_int_custom_property(name) for one in (ours, theirs))
        assert of_ours == of_stock


def test_bars_are_of_all_examples_and_what_fails_is_said(artifacts):
    """In the slice of heavy users the order is wrong, overall it is not."""
    rows = [
        (0.4, 1, "heavy", []),
        (0.45, 0, "heavy", []),
        *[(0.1, 0, "light", []), (0.9, 1, "light", [])] * 4,
    ]
    places = artifacts.examples(rows), artifacts.model(), artifacts.schema()
    good = evaluate(
        Executor, artifacts.folder / "good", eval_config(EvaluationConfig(min_auc=0.9), "like"), *places
    )
    assert good.evaluation.get_string_custom_property(FAILURES) == "[]"
    assert good.blessing.get_int_custom_property("blessed") == 1
    assert (artifacts.folder / "good/blessing/BLESSED").exists()
    assert good.evaluation.get_float_custom_property("auc") == pytest.approx(24 / 25, abs=1e-6)
    assert good.evaluation.get_float_custom_property("examples") == 10
    strict = EvaluationConfig(min_auc=0.97, max_log_loss=0.1)
    bad = evaluate(Executor, artifacts.folder / "bad", eval_config(strict, "like"), *places)
    assert bad.blessing.get_int_custom_property("blessed") == 0
    assert sorted(json.loads(bad.evaluation.get_string_custom_property(FAILURES))) == [
        "auc of all examples is 0.9600, the floor is 0.97",
        "log_loss of all examples is 0.2357, the ceiling is 0.1",
    ]


def test_a_metric_that_is_no_number_is_not_among_the_properties(artifacts):
    """Nobody likes anything, so that the mean prediction is held against nothing, and there is no order to judge."""
    rows = [(0.1, 0, "heavy", []), (0.2, 0, "light", ["War"])]
    places = artifacts.examples(rows), artifacts.model(), artifacts.schema()
    found = evaluate(Executor, artifacts.folder / "out", eval_config(EvaluationConfig(), "like"), *places)
    assert math.isnan(found.values()["candidate"][()]["calibration"])
    assert not found.evaluation.has_custom_property("calibration")
    assert found.evaluation.get_float_custom_property("accuracy") == 1
    assert found.blessing.get_int_custom_property("blessed") == 0
    (failure,) = json.loads(found.evaluation.get_string_custom_property(FAILURES))
    assert failure.startswith("auc of all examples is 0.0000, the floor is ")


def test_nothing_to_evaluate_is_told(artifacts):
    places = artifacts.shard([]), artifacts.model(), artifacts.schema()
    with pytest.raises(DataError, match=r"(?s)nothing to evaluate.*no examples"):
        evaluate(Executor, artifacts.folder / "out", eval_config(EvaluationConfig(), "like"), *places)
    assert not list((artifacts.folder / "out/blessing").iterdir())


def test_a_change_of_the_evaluator_is_seen_by_the_cache():
    from pipeline.pipeline import create_pipeline

    made = create_pipeline(load_config())
    (evaluator,) = (one for one in made.components if one.id == "Evaluator")
    assert evaluator.exec_properties["code"] == code_fingerprint(
        "shared/features.py", "shared/model_blessing.py", "shared/saved_models.py", "evaluator/*.py"
    )
