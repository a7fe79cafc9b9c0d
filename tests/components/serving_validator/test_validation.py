"""A good export is blessed with its figures; each tampered one is refused with a sentence that says what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from components.serving_validator.probe.asking import ASK
from components.serving_validator.probe.session import SIGNATURES
from components.serving_validator.settings import LatencyBudgets, ServingValidatorSettings
from tests.components.serving_validator.conftest import SETTINGS


@pytest.fixture
def judge(exported, tmp_path):
    """Validates a folder with the real probe."""
    from components.serving_validator.validation import validate

    def run(model: Path, settings: ServingValidatorSettings = SETTINGS) -> SimpleNamespace:
        folder = tmp_path / "blessing"
        report = validate(str(model), exported.examples, settings, folder)
        assert json.loads((folder / "report.json").read_text())["failures"] == report["failures"]
        assert "Traceback" not in " ".join(report["failures"])
        return SimpleNamespace(**report, text="\n".join(report["failures"]))

    return run


def resaved(exported, target: Path, **changed: Any) -> Path:
    """The export saved again with signatures left out (None) or replaced by functions of the loaded module."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported.path))
    module = tf.Module()
    module.loaded = loaded
    signatures = dict(loaded.signatures)
    for name, make in changed.items():
        del signatures[name]
        if make:
            module.changed = make(loaded)
            signatures[name] = module.changed
    tf.saved_model.save(module, str(target), signatures=signatures)
    shutil.copytree(exported.path / "assets.extra", target / "assets.extra")
    return target


def recommending(change):
    """A signature `recommend` whose answer is changed."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec([None], tf.string, name="user_ids"),
        tf.TensorSpec([], tf.int32, name="k"),
        tf.TensorSpec([], tf.bool, name="exclude_rated"),
    ]

    def make(loaded):
        @tf.function(input_signature=specs)
        def recommend(user_ids, k, exclude_rated):
            return change(
                loaded.signatures["recommend"], {"user_ids": user_ids, "k": k, "exclude_rated": exclude_rated}
            )

        return recommend

    return make


def test_good_export_is_blessed_with_figures(exported, judge):
    report = judge(exported.path)
    assert report.failures == []
    assert report.blessed is True
    assert report.attempts == 1
    assert set(report.latency_ms) == set(SIGNATURES)
    for of in report.latency_ms.values():
        assert 0 < of["p50"] <= of["p95"] <= of["max"]
    assert 0 < report.load_seconds < 60
    # A process with TensorFlow, and not with what this one holds.
    assert 100 < report.memory_mb < 2000
    assert report.parity <= SETTINGS.tolerance
    # predict and serving_default on all pairs of the reference, the cosines, an unknown user's whole catalogue, asked
    # twice of recommend and of score_catalogue, and known users' scores, asked once of each.
    with np.load(exported.path / "assets.extra" / "reference_predictions.npz") as reference:
        pairs, cosines, blend = (len(reference[key]) for key in ("probability", "cosine", "blend"))
        assert report.compared == 2 * pairs + cosines + 4 * blend + 2 * reference["scores"].size
    files = [path for path in exported.path.rglob("*") if path.is_file()]
    assert report.size_mb == pytest.approx(sum(path.stat().st_size for path in files) / 1e6)


def test_each_signature_is_asked():
    assert set(ASK) == set(SIGNATURES)


def test_weights_changed_after_the_export(exported, judge, tmp_path):
    """Also by so little that no metric would tell."""
    bias = exported.model.get_layer("movie_embedding").embeddings
    before = bias.numpy()
    try:
        bias.assign(before * 1.01)
        exported.export(tmp_path / "changed")
    finally:
        bias.assign(before)
    name = "assets.extra/reference_predictions.npz"
    shutil.copy(exported.path / name, tmp_path / "changed" / name)
    report = judge(tmp_path / "changed")
    assert report.blessed is False
    assert {finding["check"] for finding in report.findings} == {"parity"}
    assert re.search(
        r"^predict: sent \d+ pairs of the reference, \d+ with unknown ids, found 0\.\d+ for user '[^']+',"
        r" movie '[^']+', and \d+ of \d+ beyond 1e-05; expected 0\.\d+, as the Trainer's model says$",
        report.text,
        re.M,
    )
    assert "serving_default: sent" in report.text


def test_weights_that_are_not_numbers(exported, judge, tmp_path):
    """A single one, which no request reaches: no movie has an unknown genre."""
    embeddings = exported.model.get_layer("genre_embedding").embeddings
    before = embeddings.numpy()
    try:
        broken = before.copy()
        broken[-1, 0] = np.nan
        embeddings.assign(broken)
        exported.export(tmp_path / "broken")
    finally:
        embeddings.assign(before)
    report = judge(tmp_path / "broken")
    assert len(report.failures) == 1
    assert re.fullmatch(
        rf"variable .*embeddings.*: found 1 of {before.size} not finite; expected numbers", report.text
    )


def test_a_signature_is_missing_and_another_raises(exported, judge, tmp_path):
    """The latter only for a large batch; the sentence says so."""
    import tensorflow as tf

    def raising(signature, inputs):
        tf.debugging.assert_less(tf.size(inputs["user_ids"]), 50, "too many users for me")
        return signature(**inputs)

    model = resaved(exported, tmp_path / "less", similar_movies=None, recommend=recommending(raising))
    missing, raises = judge(model).failures
    assert missing == (
        "similar_movies: found no such signature; there are predict, recommend, score_catalogue, serving_default,"
        " transform_features;"
        " expected the signature"
    )
    assert raises.startswith("recommend: sent 100 users, k = 10, exclude_rated, found InvalidArgumentError:")
    assert "too many users for me" in raises
    assert raises.endswith("; expected an answer")


def test_wrong_order_repeated_movies_and_scores_that_are_not_numbers(exported, judge, tmp_path):
    import tensorflow as tf

    def worst_first(signature, inputs):
        answer = signature(user_ids=inputs["user_ids"], k=inputs["k"], exclude_rated=tf.constant(False))
        ids, scores = (tf.reverse(answer[key], [1]) for key in ("movie_ids", "scores"))
        ids = tf.where(inputs["k"] > 1000, tf.tile(ids[:, :1], [1, tf.shape(ids)[1]]), ids)
        scores = tf.where(tf.size(inputs["user_ids"]) == 1, float("nan"), scores)
        liked = tf.reverse(answer["probability"], [1])
        return {"movie_ids": ids, "scores": scores, "probability": liked, "known": answer["known"]}

    report = judge(resaved(exported, tmp_path / "worst", recommend=recommending(worst_first)))
    assert "recommend: sent 1 users, k = 10, exclude_rated, found scores that are not finite" in report.text
    assert "found scores that rise, for 'ann'; expected the best first" in report.text
    assert "found a movie twice for 'ann'; expected each movie once" in report.text


def test_unknown_users_get_what_the_crowd_says(exported, judge, tmp_path):
    """The answer of a known user in their place is refused, and so are unknown movies that are marked as known."""
    import tensorflow as tf

    def as_ann(signature, inputs):
        unknown = tf.reduce_all(inputs["user_ids"][:, None] != ["ann", "bob", "cid"], axis=1)
        answer = signature(
            user_ids=tf.where(unknown, "ann", inputs["user_ids"]),
            k=inputs["k"],
            exclude_rated=inputs["exclude_rated"] & ~tf.reduce_any(unknown),
        )
        return {**answer, "known": ~unknown}

    specs = [tf.TensorSpec([None], tf.string, name=name) for name in ("user_ids", "movie_ids")]

    def boasting(loaded):
        @tf.function(input_signature=specs)
        def predict(user_ids, movie_ids):
            answer = loaded.signatures["predict"](user_ids=user_ids, movie_ids=movie_ids)
            return {**answer, "known_movie": tf.ones_like(answer["known_movie"])}

        return predict

    report = judge(resaved(exported, tmp_path / "ann", recommend=recommending(as_ann), predict=boasting))
    assert "as the training rows say for an unknown user" in report.text
    assert re.search(
        r"^predict: .* found known_movie is True for user '\w+', movie 'm9'; expected", report.text, re.M
    )


def test_rated_movies_are_not_left_out(exported, judge, tmp_path):
    import tensorflow as tf

    def everything(signature, inputs):
        return signature(user_ids=inputs["user_ids"], k=inputs["k"], exclude_rated=tf.constant(False))

    report = judge(resaved(exported, tmp_path / "rated", recommend=recommending(everything)))
    assert {finding["check"] for finding in report.findings} == {"rated"}
    assert "found movies that user 'ann' has rated are among them: 'm1', 'm2', 'm3'" in report.text


def test_truncated_graph(copy, judge):
    content = (copy / "saved_model.pb").read_bytes()
    (copy / "saved_model.pb").write_bytes(content[: len(content) // 2])
    report = judge(copy)
    assert report.failures == [report.text]
    assert report.text.startswith(
        "export, whose saved_model.pb cannot be read: found OutOfRangeError: Read less "
    )
    assert report.text.endswith("; expected a SavedModel that TensorFlow alone can load")


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_damaged_variables(copy, judge, damage):
    (data,) = copy.glob("variables/variables.data-*")
    if damage == "missing":
        data.unlink()
    else:
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 0x40
        data.write_bytes(content)
    report = judge(copy)
    assert report.failures == [report.text]
    assert report.text.startswith("export: found ")
    assert ("No such file" if damage == "missing" else "Checksum does not match") in report.text


def test_an_operation_that_tensorflow_does_not_have(copy, judge):
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    nodes = [node for of in model.meta_graphs[0].graph_def.library.function for node in of.node_def]
    next(node for node in nodes if node.op == "Sigmoid").op = "MarqueeSigmoid"
    (copy / "saved_model.pb").write_bytes(model.SerializeToString())
    report = judge(copy)
    assert report.failures == [report.text]
    assert "Op type not registered 'MarqueeSigmoid'" in report.text


def test_python_code_that_is_not_in_the_export(exported, judge, tmp_path):
    import tensorflow as tf

    def python(signature, inputs):
        user_ids = tf.numpy_function(lambda ids: ids, [inputs["user_ids"]], tf.string)
        return signature(**{**inputs, "user_ids": tf.ensure_shape(user_ids, [None])})

    report = judge(resaved(exported, tmp_path / "python", recommend=recommending(python)))
    assert "recommend: sent 0 users, k = 10, exclude_rated, found " in report.text
    assert "pyfunc" in report.text


def test_a_crash_is_told_as_one(exported, judge, tmp_path):
    import tensorflow as tf

    def abort(signature, inputs):
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="deliberate")]):
            return signature(**inputs)

    report = judge(resaved(exported, tmp_path / "abort", recommend=recommending(abort)))
    assert report.failures == [
        "recommend: 0 users, k = 10, exclude_rated: found the process was ended by signal SIGABRT; expected answers"
    ]


def test_time_out(exported, judge, tmp_path):
    """It says what it waited for."""
    import tensorflow as tf

    def waits(signature, inputs):
        (ever,) = tf.while_loop(lambda i: i >= 0, lambda i: (i * 0,), (inputs["k"],))
        with tf.control_dependencies([ever]):
            return signature(**inputs)

    model = resaved(exported, tmp_path / "waits", recommend=recommending(waits))
    report = judge(model, SETTINGS.model_copy(update={"timeout_seconds": 8}))
    assert report.failures == [
        "recommend: 0 users, k = 10, exclude_rated: found no end after 8 s (serving.timeout_seconds);"
        " expected answers"
    ]


def test_budgets(exported, judge):
    """What a busy machine may cause is measured twice."""
    budgets = {"max_load_seconds": 0.01, "latency_ms": LatencyBudgets(predict=0.01)}
    report = judge(exported.path, SETTINGS.model_copy(update=budgets))
    assert report.attempts == 2
    load, latency = report.failures
    assert re.fullmatch(
        r"export: found \d\.\d\d s to load; expected at most 0.01 \(serving.max_load_seconds\)", load
    )
    assert re.fullmatch(
        r"predict: sent 20 requests of one row, found 95 % of them within \d+\.\d\d ms; expected within 0.01 ms"
        r" \(serving.latency_ms.predict\)",
        latency,
    )


def test_size_and_memory_budgets_and_no_reference_and_no_warmup(copy, judge):
    (copy / "assets.extra" / "reference_predictions.npz").unlink()
    (copy / "assets.extra" / "tf_serving_warmup_requests").unlink()
    report = judge(copy, SETTINGS.model_copy(update={"max_size_mb": 0.1, "max_memory_mb": 50}))
    assert report.attempts == 1
    assert [finding["check"] for finding in report.findings] == ["reference", "warm-up", "size", "memory"]
    assert "expected the Trainer's predictions in reference_predictions.npz" in report.text
    assert "MB of files; expected at most 0.1 (serving.max_size_mb)" in report.text
    assert "MB of memory; expected at most 50 (serving.max_memory_mb)" in report.text


def test_warmup_requests_are_tried(copy, judge):
    """One for a signature that is not there, one that the signature refuses, and one of another dtype."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    path = str(copy / "assets.extra" / "tf_serving_warmup_requests")
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(path)
    ]
    logs[0].predict_log.request.model_spec.signature_name = "classify"
    logs[2].predict_log.request.inputs["user_ids"].CopyFrom(tf.make_tensor_proto(["a", "b"]))
    logs[3].predict_log.request.inputs["k"].CopyFrom(tf.make_tensor_proto(10, tf.int64))
    with tf.io.TFRecordWriter(path) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    report = judge(copy)
    assert len(report.failures) == 3
    assert "warm-up request 1: found signature 'classify'; expected one of serving_default" in report.text
    assert "warm-up request 3: sent to predict, found InvalidArgumentError:" in report.text
    assert "must have the same length" in report.text
    assert re.search(
        r"warm-up request 4: sent to recommend, found InvalidArgumentError: .*int32 but int64", report.text
    )
