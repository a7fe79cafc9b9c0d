"""The component writes the blessing that Pusher honours; the export's warm-up file is TensorFlow Serving's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.components.serving_validator.conftest import SETTINGS


def artifact(kind: str, uri: Path):
    from tfx.types import standard_artifacts

    made = getattr(standard_artifacts, kind)()
    made.uri = str(uri)
    uri.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture(scope="module", params=["whole", "truncated"])
def blessed(request, exported, tmp_path_factory):
    """The blessing that the executor writes, by what the export is, and the model."""
    import shutil

    from tfx.types import artifact_utils

    from components.serving_validator.component import Executor

    folder = tmp_path_factory.mktemp("artifacts")
    model = artifact("Model", folder / "model")
    target = Path(shutil.copytree(exported.path, Path(model.uri) / "Format-Serving"))
    if request.param == "truncated":
        (target / "saved_model.pb").write_bytes(b"")
    examples = artifact("Examples", folder / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval", "test"])
    shutil.copytree(
        Path(exported.examples[0]).parent, folder / "examples" / "Split-test", ignore=_not_examples
    )
    blessing = artifact("InfraBlessing", folder / "blessing")
    Executor().Do(
        {"model": [model], "examples": [examples]},
        {"blessing": [blessing]},
        {"settings": SETTINGS.model_dump_json(), "code": ""},
    )
    return request.param, model, blessing


def _not_examples(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".gz")]


def test_blessing_and_report(blessed):
    state, _, blessing = blessed
    names = {path.name for path in Path(blessing.uri).iterdir()}
    failures = json.loads(blessing.get_string_custom_property("failures"))
    report = json.loads((Path(blessing.uri) / "report.json").read_text())
    assert report["failures"] == failures
    if state == "whole":
        assert names == {"INFRA_BLESSED", "report.json", "probe.log"}
        assert blessing.get_int_custom_property("blessed") == 1
        assert failures == []
        assert blessing.get_float_custom_property("p95_ms") > 0
        assert blessing.get_string_custom_property("slowest") in report["latency_ms"]
    else:
        assert names == {"INFRA_NOT_BLESSED", "report.json", "probe.log"}
        assert blessing.get_int_custom_property("blessed") == 0
        assert len(failures) == 1
        assert failures[0].startswith("export: found ")
    # A copy of the model is not in the blessing, so Pusher is to take the Trainer's.
    assert blessing.get_int_custom_property("has_model") == 0


def test_pusher_pushes_only_what_is_blessed(blessed, tmp_path):
    from google.protobuf import json_format
    from tfx.components.pusher.executor import Executor
    from tfx.proto import pusher_pb2

    state, model, blessing = blessed
    filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=str(tmp_path / "serving"))
    pushed = artifact("PushedModel", tmp_path / "pushed")
    Executor().Do(
        {"model": [model], "infra_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {
            "push_destination": json_format.MessageToJson(pusher_pb2.PushDestination(filesystem=filesystem)),
            "custom_config": "null",
        },
    )
    versions = [*(tmp_path / "serving").glob("*")]
    if state == "whole":
        assert pushed.get_int_custom_property("pushed") == 1
        (version,) = versions
        assert (version / "assets.extra" / "tf_serving_warmup_requests").is_file()
    else:
        assert pushed.get_int_custom_property("pushed") == 0
        assert versions == []


def test_warmup_requests_are_what_tensorflow_serving_sends(exported):
    """One PredictRequest for each signature, with the dtypes and ranks of its inputs, and it is answered."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    loaded = tf.saved_model.load(str(exported.path))
    path = str(exported.path / "assets.extra" / "tf_serving_warmup_requests")
    asked = []
    for record in tf.data.TFRecordDataset(path):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        signature = loaded.signatures[request.model_spec.signature_name]
        specs = signature.structured_input_signature[1]
        assert set(request.inputs) == set(specs)
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        for name, spec in specs.items():
            assert spec.is_compatible_with(inputs[name])
        answer = signature(**inputs)
        if "known" in answer:
            assert answer["known"].numpy().tolist() == [True]
        asked.append(request.model_spec.signature_name)
    assert sorted(asked) == sorted(loaded.signatures)


def test_reference_is_of_the_model_in_process(exported):
    """With known and unknown ids; the ids of pairs are those of their indices."""
    import numpy as np

    from tests.components.conftest import ROWS

    with np.load(exported.path / "assets.extra" / "reference_predictions.npz", allow_pickle=False) as stored:
        reference = dict(stored)
    rated = int(reference["num_rated"])
    pairs = list(zip(reference["user_ids"].tolist(), reference["movie_ids"].tolist(), strict=True))
    assert sorted(pairs[:rated]) == sorted((user, movie) for user, movie, _, _ in ROWS)
    assert {user for user, _ in pairs[rated:]} == {"ann", "bob", "cid", "no such user"}
    assert pairs[-1] == ("no such user", "no such movie")
    assert sorted(reference["catalogue"].tolist()) == ["m1", "m2", "m3", "m4"]
    assert np.isfinite(reference["probability"]).all()
    assert len(np.unique(reference["probability"])) > rated


def test_stock_infra_validator_by_configuration(tmp_path, movielens_slice):
    """It needs a Docker engine to run; here it is only compiled, with the blessing that Pusher waits for."""
    from tfx.dsl.compiler.compiler import Compiler

    from pipeline.config import load_config
    from pipeline.pipeline import create_pipeline

    overrides = [f"root={tmp_path}", f"data.path={movielens_slice}", "serving.kind=docker"]
    overrides.append("serving.max_load_seconds=30")
    compiled = Compiler().compile(create_pipeline(load_config(None, overrides)))
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in compiled.nodes}
    assert "ServingValidator" not in nodes
    validator = nodes["InfraValidator"]
    assert "Blessing" in validator.upstream_nodes
    assert "InfraValidator" in nodes["Pusher"].upstream_nodes
    channel = nodes["Pusher"].inputs.inputs["infra_blessing"].channels[0]
    assert channel.producer_node_query.id == "InfraValidator"
    parameters = {
        key: value.field_value.string_value for key, value in validator.parameters.parameters.items()
    }
    spec = json.loads(parameters["serving_spec"])
    assert spec["tensorflow_serving"]["tags"] == ["2.16.1"]
    assert "local_docker" in spec
    assert json.loads(parameters["validation_spec"])["max_loading_time_seconds"] == 30
    assert json.loads(parameters["request_spec"])["split_name"] == "test"
