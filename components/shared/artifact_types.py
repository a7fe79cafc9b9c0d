"""The types of artifacts that TFX does not have, how properties are set, and what a Schema artifact holds.

What they are called and what files they hold is in `artifacts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.utils import io_utils


class Movies(types.Artifact):
    """The movies table: one file movies.parquet, see `executor.Executor`."""

    TYPE_NAME = "Movies"


class DataVerdict(types.Artifact):
    """What the data gate found: findings.json, a list of objects with the fields of `rules.Finding`.

    Custom properties: `num_fatal` (0, as a run with one has failed), `num_warn`, `compared` (1 where there
    was a baseline), `train_rows`, `train_liked` (those of them with a positive), and `warnings`, the sentences
    of the first few as JSON.
    """

    TYPE_NAME = "DataVerdict"


class RankingEvaluation(types.Artifact):
    """The files metrics.json, per_user.parquet and perhaps compared.parquet, see `RankingEvaluator`."""

    TYPE_NAME = "RankingEvaluation"


class BlessingReport(types.Artifact):
    """The file decision.json, see `Blessing`.

    Custom properties: `blessed` (0 or 1), `num_rules`, `failures` and `warnings` (sentences, as JSON), and what the
    decision rests on: `objective`, `metric` (`log_loss`, or the ranking metric such as `ndcg@10`), `candidate_metric`
    and, where the two are compared by it, `baseline_metric`, both on `compared_rows` test rows; `left_out_rows` are
    those that the baseline was trained on. `compared_rows` is 0 where there is nothing to compare with, and
    `candidate_metric` then of the whole test split. Where a second model recommends, `metric` and the two figures are
    of likes, and `retrieval_metric` and the other two of that one. In the artifacts of older versions all but the first
    four are missing.
    """

    TYPE_NAME = "BlessingReport"


class Report(types.Artifact):
    """The file report.html, see `RunReport`."""

    TYPE_NAME = "Report"


def set_properties(artifact: types.Artifact, values: Mapping[str, str | int | float]) -> None:
    """Sets custom properties, each of the type of its value."""
    for name, value in values.items():
        if isinstance(value, str):
            artifact.set_string_custom_property(name, value)
        elif isinstance(value, int):
            artifact.set_int_custom_property(name, value)
        else:
            artifact.set_float_custom_property(name, value)


def properties_of(artifact: types.Artifact) -> dict[str, Any]:
    """Properties and custom properties together."""
    found = {}
    for values in (artifact.mlmd_artifact.properties, artifact.mlmd_artifact.custom_properties):
        for name, value in values.items():
            kind = value.WhichOneof("value")
            found[name] = getattr(value, kind) if kind else None
    return found


def read_schema(artifact: types.Artifact) -> schema_pb2.Schema:
    """The schema in a Schema artifact."""
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(artifact.uri))
