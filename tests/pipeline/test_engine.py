"""What TFX gives to Beam, of `beam.args`."""

from __future__ import annotations

import pytest

from components.shared.errors import ConfigError
from pipeline.config import load_config
from pipeline.engine import IN_PROCESS, beam_arguments
from pipeline.pipeline import create_pipeline


def test_without_any_the_engine_is_in_this_process():
    assert beam_arguments(()) == IN_PROCESS


def test_those_given_are_all_there_is():
    assert beam_arguments(["--runner=DirectRunner"]) == ["--runner=DirectRunner"]


def test_workers_with_an_environment_of_their_own_are_sent_nothing():
    given = ["--runner=PortableRunner", "--environment_type=EXTERNAL", "--environment_config=localhost:1"]
    assert beam_arguments(given) == [*given, "--sdk_container_image=none"]
    assert "--sdk_container_image=none" not in beam_arguments([*given, "--sdk_container_image=ours"])
    assert beam_arguments(["--environment_type=DOCKER"]) == ["--environment_type=DOCKER"]


def test_a_job_server_is_given_time():
    given = ["--job_endpoint=localhost:1"]
    assert beam_arguments(given)[-1] == "--job_server_timeout=3600"
    assert beam_arguments([*given, "--job_server_timeout=9"]) == [*given, "--job_server_timeout=9"]


def test_a_variable_is_resolved_by_tfx(monkeypatch):
    monkeypatch.setenv("PORT", "8099")
    (argument,) = beam_arguments(["--flink_master=localhost:${PORT}"])
    encoded = argument.encode()
    assert "environment_variable" in str(encoded).lower() or "PORT" in str(encoded)
    assert "8099" not in str(encoded)


def test_a_variable_that_is_not_set_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("PORT", raising=False)
    config = load_config(None, [f"root={tmp_path}", "beam.args=['--flink_master=localhost:${PORT}']"])
    with pytest.raises(ConfigError, match="PORT in the environment"):
        create_pipeline(config)


@pytest.mark.parametrize("wrong", ["runner=FlinkRunner", "-runner=x", "--", "FlinkRunner"])
def test_what_is_no_option_is_told(wrong):
    with pytest.raises(ConfigError, match=r"beam\.args"):
        load_config(None, [f"beam.args=['{wrong}']"])


DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=europe-west1",
    "--temp_location=gs://bucket/tmp",
    "--sdk_container_image=example/marquee-worker:1",
]


def test_a_pipeline_for_dataflow_is_built_with_its_options(tmp_path):
    config = load_config(None, [f"root={tmp_path}", f"beam.args={DATAFLOW}"])
    assert create_pipeline(config).beam_pipeline_args == DATAFLOW


def test_one_of_two_folders_on_google_s_storage_is_enough(tmp_path):
    staged = [one.replace("temp_location", "staging_location") for one in DATAFLOW]
    config = load_config(None, [f"root={tmp_path}", f"beam.args={staged}"])
    assert create_pipeline(config).beam_pipeline_args == staged


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([one for one in DATAFLOW if "region" not in one], "region"),
        ([one for one in DATAFLOW if "temp_location" not in one], "temp_location"),
        (["--runner=Datflow"], "Unexpected pipeline runner: Datflow"),
        (["--runner=PortableRunner", "--environment_type=EXTERNAL"], "external_service_address is required"),
        (["--autoscaling_algorithm=x"], "found:    argument --autoscaling_algorithm: invalid choice: 'x'"),
        (["--runner"], "argument --runner: expected one argument"),
        (["--runner=apache_beam.runners.direct.Bar"], "Bar"),
        (["--help"], "found:    --help"),
    ],
)
def test_what_beam_cannot_use_is_told_before_anything_runs(tmp_path, given, told):
    config = load_config(None, [f"root={tmp_path}", f"beam.args={given}"])
    with pytest.raises(ConfigError, match=told):
        create_pipeline(config)
