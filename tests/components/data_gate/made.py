"""Data of a run with nothing amiss, to change, and the gate's answer to them."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_gate import rules
from components.data_gate.counts import SplitCounts
from components.data_gate.findings import Data, Expectations, Finding
from components.data_gate.settings import DataGateSettings
from components.shared.features import SPLITS
from tests.conftest import REPOSITORY

NOW = 1_700_000_000
SCHEMA = text_format.Parse((REPOSITORY / "schema" / "schema.pbtxt").read_text(), schema_pb2.Schema())


def split(rows: int = 2000, **changes: object) -> SplitCounts:
    """Counts of a split of 100 users and 100 movies with nothing amiss."""
    each = max(rows // 100, 1)
    counts = SplitCounts(
        rows,
        rows // 2,
        Counter({f"u{n}".encode(): each for n in range(100)}),
        Counter({f"m{n}".encode(): each for n in range(100)}),
        Counter({b"Drama": rows}),
        0,
        NOW - 1000,
        NOW - 100,
    )
    return dataclasses.replace(counts, **changes)  # type: ignore[arg-type]


def statistics(shares: dict[str, float], rows: int = 2000) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Statistics with a distribution of genres alone."""
    ranks = "".join(f'buckets {{ label: "{k}" sample_count: {v * rows} }}' for k, v in shares.items())
    return text_format.Parse(
        f"""datasets {{ num_examples: {rows} features {{ path {{ step: "genres" }} type: STRING string_stats {{
        common_stats {{ num_non_missing: {rows} tot_num_values: {rows} min_num_values: 1 max_num_values: 1
        avg_num_values: 1 }} unique: {len(shares)} rank_histogram {{ {ranks} }} }} }} }}""",
        statistics_pb2.DatasetFeatureStatisticsList(),
    )


EVEN = statistics({"Drama": 0.5, "War": 0.5})


def data(num_duplicates: int = 0, **changes: SplitCounts) -> Data:
    splits = {name: changes.get(name, split()) for name in SPLITS}
    return Data(splits, dict.fromkeys(SPLITS, EVEN), num_duplicates)


def ratings(values: dict[float, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(values), float), np.array(list(values.values()))


def check(current: Data, baseline: Data | None = None, **settings: object) -> list[Finding]:
    return rules.check(
        current,
        baseline,
        {},
        SCHEMA,
        DataGateSettings.model_validate(settings),
        Expectations(NOW),
    )


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding
