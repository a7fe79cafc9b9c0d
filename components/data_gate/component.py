"""The component: spec and executor of the data gate."""

# Paths may be URIs, which pathlib would mangle.
# ruff: noqa: PTH118

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, ClassVar

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx import types
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.data_gate import counts, rules
from components.data_gate.findings import DAY, Data, Expectations, Finding
from components.data_gate.settings import DataGateSettings
from components.shared.artifact_types import DataVerdict, read_schema
from components.shared.artifacts import (
    FINDINGS_FILE,
    NUM_SPANS,
    TRAIN_LIKED,
    TRAIN_ROWS,
    WARNINGS,
    WITHOUT_TIMES,
)
from components.shared.errors import DataError
from components.shared.features import LabelRule
from components.shared.fingerprint import code_fingerprint

NUM_FATAL, NUM_WARN = "num_fatal", "num_warn"
_SHOWN = 5  # how many of many findings a message lists


class Executor(base_executor.BaseExecutor):
    """Counts the examples, holds them against the rules, and fails where one of the findings is fatal."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the class.

        Raises:
            DataError: A finding is fatal. TFX deletes what a failed execution wrote, so the message has the
                first of them, and the log all.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        schema = read_schema(artifact_utils.get_single_instance(input_dict["schema"]))
        expectations = Expectations(
            time.time(),
            bool(exec_properties["expect_genres"]),
            exec_properties["split_method"],
            LabelRule.model_validate_json(exec_properties["label"]),
        )
        baseline = None
        if input_dict.get("baseline_examples") and input_dict.get("baseline_statistics"):
            baseline = read_data(
                input_dict["baseline_examples"][0], input_dict["baseline_statistics"][0], schema, expectations
            )
        current = read_data(
            artifact_utils.get_single_instance(input_dict["examples"]),
            artifact_utils.get_single_instance(input_dict["statistics"]),
            schema,
            expectations,
        )
        findings = rules.check(
            current,
            baseline,
            read_anomalies(artifact_utils.get_single_instance(input_dict["anomalies"])),
            schema,
            DataGateSettings.model_validate_json(exec_properties["settings"]),
            expectations,
        )
        for finding in findings:
            logging.info("Data gate: %s", json.dumps(finding.as_dict(), ensure_ascii=False))
        fatal = [finding for finding in findings if finding.level == "fatal"]
        if fatal:
            raise refusal(fatal, len(findings) - len(fatal))
        verdict = artifact_utils.get_single_instance(output_dict["verdict"])
        write_verdict(verdict, findings, current, compared=baseline is not None)


class DataGateSpec(ComponentSpec):
    """See DataGate."""

    PARAMETERS: ClassVar = {
        "settings": ExecutionParameter(type=str),
        "label": ExecutionParameter(type=str),
        "split_method": ExecutionParameter(type=str),
        "expect_genres": ExecutionParameter(type=int),
        "code": ExecutionParameter(type=str),
        "as_of": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "baseline_statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "baseline_examples": ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS: ClassVar = {"verdict": ChannelParameter(type=DataVerdict)}


class DataGate(base_component.BaseComponent):
    """Fails, and so stops the run, where the policy calls what is wrong with the ratings fatal.

    What is to learn from the data goes downstream of it: `transform.add_upstream_node(data_gate)`.

    Args:
        anomalies: Output of ExampleValidator.
        statistics: Output of StatisticsGen.
        examples: Output of the ratings ExampleGen, with the splits `train`, `eval` and `test`.
        schema: The curated schema.
        settings: The policy and the bars.
        label: What is a like; where every rating counts their values are no gate.
        split_method: `data.split.method`: some leave users of eval and test unknown to train on purpose.
        expect_genres: Whether the input has genres.
        baseline_examples: Of the last blessed run, see `components.resolvers.data`; may be empty.
        baseline_statistics: Of the same run.
        as_of: Anything that makes the same data be checked again, such as the date where their age matters.

    Outputs: `verdict`, a DataVerdict.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        anomalies: types.BaseChannel,
        statistics: types.BaseChannel,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        settings: DataGateSettings,
        *,
        label: LabelRule,
        split_method: str = "user_time",
        expect_genres: bool = True,
        baseline_examples: types.BaseChannel | None = None,
        baseline_statistics: types.BaseChannel | None = None,
        as_of: str = "",
    ) -> None:
        super().__init__(
            spec=DataGateSpec(
                anomalies=anomalies,
                statistics=statistics,
                examples=examples,
                schema=schema,
                baseline_statistics=baseline_statistics,
                baseline_examples=baseline_examples,
                settings=settings.model_dump_json(),
                label=label.model_dump_json(),
                split_method=split_method,
                expect_genres=int(expect_genres),
                code=code_fingerprint(
                    "shared/features.py", "shared/columns.py", "shared/tally.py", "data_gate/*.py"
                ),
                as_of=as_of,
                verdict=types.Channel(type=DataVerdict),
            )
        )


def refusal(fatal: list[Finding], num_warnings: int) -> DataError:
    """The error that stops the run."""
    lines = []
    shown = fatal[:_SHOWN]
    for number, (finding, following) in enumerate(zip(shown, [*shown[1:], None], strict=True), start=1):
        lines.append(f"\n    {number}. {finding.sentence}")
        # The same holds for all splits, say.
        if following is None or following.accept != finding.accept:
            lines.append(f"\n       to accept on purpose: {finding.accept}")
    if len(fatal) > _SHOWN:
        lines.append(f"\n    and {len(fatal) - _SHOWN} more, which are in the log")
    if num_warnings:
        lines.append(f"\n    and {num_warnings} warning{'s' * (num_warnings > 1)}, in the log")
    things = "1 thing" if len(fatal) == 1 else f"{len(fatal)} things"
    return DataError(
        f"The data gate refuses these ratings for {things}. Nothing was trained or pushed.",
        found="".join(lines),
        fix="correct the ratings and run again, or accept what is meant as said above; the keys are under"
        " data_gate in the config",
    )


def write_verdict(verdict: types.Artifact, findings: list[Finding], current: Data, *, compared: bool) -> None:
    """Of data that are let pass: `findings.json`, and what is told of them on the node's line."""
    fileio.makedirs(verdict.uri)
    with fileio.open(os.path.join(verdict.uri, FINDINGS_FILE), "w") as file:
        json.dump([finding.as_dict() for finding in findings], file, indent=2, ensure_ascii=False)
    verdict.set_int_custom_property(NUM_FATAL, 0)
    verdict.set_int_custom_property(NUM_WARN, len(findings))
    verdict.set_int_custom_property("compared", int(compared))
    verdict.set_int_custom_property(TRAIN_ROWS, current.train.rows)
    verdict.set_int_custom_property(TRAIN_LIKED, current.train.positives)
    shown = [finding.sentence for finding in findings[:_SHOWN]]
    verdict.set_string_custom_property(WARNINGS, json.dumps(shown, ensure_ascii=False))


def read_data(
    examples: types.Artifact,
    statistics: types.Artifact,
    schema: schema_pb2.Schema,
    expectations: Expectations,
) -> Data:
    """The data of one run: counts its examples, and reads its statistics."""
    return Data(
        counts.count(examples, schema, expectations.label, expectations.now + DAY),
        {
            split: stats_artifact_utils.load_statistics(statistics, split).proto()
            for split in artifact_utils.decode_split_names(statistics.split_names)
        },
        examples.get_int_custom_property("num_duplicates"),
        times=not examples.get_int_custom_property(WITHOUT_TIMES),
        spans=examples.get_int_custom_property(NUM_SPANS) or None,
    )


def read_anomalies(anomalies: types.Artifact) -> dict[str, anomalies_pb2.Anomalies]:
    """Split -> what ExampleValidator found."""
    found = {}
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        path = os.path.join(artifact_utils.get_split_uri([anomalies], split), DEFAULT_FILE_NAME)
        with fileio.open(path, "rb") as file:
            found[split] = anomalies_pb2.Anomalies.FromString(file.read())
    return found
