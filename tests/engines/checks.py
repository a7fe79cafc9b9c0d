"""What must be the same whatever the engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from components.shared.artifacts import EXAMPLE_GEN
from pipeline.config import PipelineConfig
from pipeline.state.runs import Run, read_runs

FIGURES = ("auc", "log_loss", "ndcg@10", "recall@10")


def last_run(config: PipelineConfig) -> Run:
    return read_runs(config, last=1)[0]


def check_same(one: PipelineConfig, other: PipelineConfig) -> None:
    """The examples byte for byte, the vocabularies, and the figures."""
    runs = last_run(one), last_run(other)
    examples = [_files(run.nodes[EXAMPLE_GEN].output("examples").uri) for run in runs]
    assert examples[0].keys() == examples[1].keys()
    assert [name for name in examples[0] if examples[0][name] != examples[1][name]] == []
    graphs = [
        _files(f"{run.nodes['Transform'].output('transform_graph').uri}/transform_fn/assets") for run in runs
    ]
    assert graphs[0] == graphs[1]
    summaries = [run.summary() for run in runs]
    for name in FIGURES:
        np.testing.assert_allclose(summaries[0][name], summaries[1][name], atol=1e-4, err_msg=name)
    assert summaries[0]["blessed"] == summaries[1]["blessed"]


def _files(uri: str) -> dict[str, object]:
    """Each file of a folder; of Parquet its rows, as the writer's metadata hold no more than that."""
    return {
        str(path.relative_to(uri)): pq.read_table(path) if path.suffix == ".parquet" else path.read_bytes()
        for path in Path(uri).rglob("*")
        if path.is_file()
    }
