"""The stages up to the gate, in this process, with the real executors.

All are what a run has, but StatisticsGen: its Beam job takes 5 s of CPU for whatever size, so the statistics are
computed by the same TFDV generators in memory. tests/e2e and `test_component.py` have the whole chain.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tfx.components.example_validator import executor as example_validator
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx_bsl.coders import example_coder

from components.data_gate.component import Executor
from components.data_gate.settings import DataGateSettings
from components.example_gen import component, detection, executor
from components.example_gen.settings import IngestSettings
from components.shared.artifact_types import DataVerdict, read_schema
from components.shared.artifacts import FINDINGS_FILE
from components.shared.errors import DataError
from components.shared.features import SPLITS, LabelRule
from pipeline.engine import IN_PROCESS
from tests.conftest import REPOSITORY

PASSED = "passed"


@dataclasses.dataclass
class Outcome:
    """Where the data got to, and what was said: `stage` is that which refused them, or `passed`."""

    stage: str
    message: str = ""
    findings: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    examples: Any = None
    statistics: Any = None
    anomalies: Any = None

    @property
    def warned(self) -> set[str]:
        """rule:feature of each warning."""
        return {f"{finding['rule']}:{finding['feature']}" for finding in self.findings}


def run(
    data: Path,
    folder: Path,
    *,
    baseline: Outcome | None = None,
    gate: DataGateSettings | None = None,
    ingest: IngestSettings | None = None,
    schema: Path = REPOSITORY / "schema" / "schema.pbtxt",
) -> Outcome:
    """Runs detect, ExampleGen, statistics, ExampleValidator and DataGate on `data`, writing to `folder`."""
    ingest = ingest or IngestSettings()
    folder.mkdir(parents=True)
    try:
        source = detection.detect(str(data), ingest)
    except DataError as error:
        return Outcome("detect", str(error))
    node = component.RatingsExampleGen(source, ingest)
    examples, movies = standard_artifacts.Examples(), component.Movies()
    examples.uri, movies.uri = str(folder / "examples"), str(folder / "movies")
    properties = {k: v for k, v in node.exec_properties.items() if v is not None}
    try:
        executor.Executor(_context(folder)).Do({}, {"examples": [examples], "movies": [movies]}, properties)
    except DataError as error:
        return Outcome("ExampleGen", str(error))

    schema_artifact = standard_artifacts.Schema()
    schema_artifact.uri = str(folder / "schema")
    (folder / "schema").mkdir()
    shutil.copy(schema, folder / "schema" / "schema.pbtxt")
    statistics = _statistics(examples, schema_artifact, folder)
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(folder / "anomalies")
    example_validator.Executor().Do(
        {"statistics": [statistics], "schema": [schema_artifact]},
        {"anomalies": [anomalies]},
        {"exclude_splits": "[]"},
    )
    done = Outcome(PASSED, examples=examples, statistics=statistics, anomalies=anomalies)
    verdict = DataVerdict()
    verdict.uri = str(folder / "verdict")
    inputs = {
        "examples": [examples],
        "statistics": [statistics],
        "anomalies": [anomalies],
        "schema": [schema_artifact],
    }
    if baseline:
        inputs |= {"baseline_examples": [baseline.examples], "baseline_statistics": [baseline.statistics]}
    try:
        Executor().Do(
            inputs,
            {"verdict": [verdict]},
            {
                "settings": (gate or DataGateSettings()).model_dump_json(),
                "label": LabelRule().model_dump_json(),
                "split_method": ingest.split.method,
                "expect_genres": int(source.movies is not None),
            },
        )
    except DataError as error:
        return dataclasses.replace(done, stage="DataGate", message=str(error))
    done.findings = json.loads((folder / "verdict" / FINDINGS_FILE).read_text())
    done.message = "; ".join(finding["sentence"] for finding in done.findings)
    return done


def _context(folder: Path) -> base_beam_executor.BaseBeamExecutor.Context:
    return base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=IN_PROCESS, tmp_dir=str(folder / "beam"), unique_id="1"
    )


def _statistics(examples: Any, schema: Any, folder: Path) -> Any:
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(folder / "statistics")
    statistics.split_names = artifact_utils.encode_split_names(list(SPLITS))
    options = tfdv.StatsOptions(schema=read_schema(schema))
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    for split in SPLITS:
        shards = sorted(map(str, Path(artifact_utils.get_split_uri([examples], split)).iterdir()))
        batches = tf.data.TFRecordDataset(shards, "GZIP").batch(1 << 20).as_numpy_iterator()
        records = [record for batch in batches for record in batch.tolist()]
        proto = stats_impl.generate_statistics_in_memory(decoder.DecodeBatch(records), options)
        path = Path(artifact_utils.get_split_uri([statistics], split)) / "FeatureStats.pb"
        path.parent.mkdir(parents=True)
        path.write_bytes(proto.SerializeToString())
    return statistics
