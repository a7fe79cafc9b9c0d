"""The executor writes the page that orchestrators show, whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from components.report.component import INPUTS, Executor, ReportSpec
from components.shared.artifact_types import Report
from components.shared.features import LabelRule
from tests.components.report import made


@pytest.fixture
def execution(tmp_path):
    """Inputs, the output and the execution properties."""
    outputs = made.outputs(tmp_path / "made")
    inputs = {}
    for name, (node, key) in INPUTS.items():
        one, artifact = outputs[node][key], ReportSpec.INPUTS[name].type()
        artifact.uri, artifact.id = one.uri, one.id
        for property_name, value in one.properties.items():
            if isinstance(value, int):
                artifact.set_int_custom_property(property_name, value)
            else:
                artifact.set_string_custom_property(property_name, value)
        inputs[name] = [artifact]
    page = Report()
    page.uri = str(tmp_path / "page")
    return inputs, {"page": [page]}, {"name": "ml", "label": LabelRule().model_dump_json()}


def test_the_page_says_what_the_run_has_come_to(execution):
    Executor().Do(*execution)
    (page,) = execution[1]["page"]
    text = (Path(page.uri) / "report.html").read_text()
    assert "Model 8 is blessed and pushed as version 1795" in text
    assert "Typical user" in text
    assert page.get_string_custom_property("outcome") == "blessed"


def test_without_data_of_a_last_blessed_model_it_is_there_too(execution):
    execution[0]["baseline_examples"] = []
    Executor().Do(*execution)
    assert "Drift" not in (Path(execution[1]["page"][0].uri) / "report.html").read_text()


def test_a_report_that_fails_does_not_fail_the_run(execution):
    (ranking,) = execution[0]["ranking"]
    (Path(ranking.uri) / "metrics.json").write_text("{")
    Executor().Do(*execution)
    (page,) = execution[1]["page"]
    assert "The report could not be made: JSONDecodeError" in (Path(page.uri) / "report.html").read_text()
    assert page.get_string_custom_property("outcome") == ""


def test_each_input_has_a_channel_of_its_own():
    assert ReportSpec.INPUTS.keys() == INPUTS.keys()
    assert ReportSpec.INPUTS["infra_blessing"].type is standard_artifacts.InfraBlessing
