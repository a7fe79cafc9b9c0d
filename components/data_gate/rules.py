"""All that is to be told of the ratings of a run: statistics, anomalies and counts in, findings out.

Importing this module fills the registry: the rules are functions of `data_rules` and `baseline_rules`.
"""

from __future__ import annotations

import dataclasses

from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_gate import baseline_rules, data_rules  # noqa: F401  their functions are registered
from components.data_gate.anomalies import RANGE, Anomalies, schema_anomalies
from components.data_gate.findings import LABELS, Case, Data, Expectations, Finding
from components.data_gate.registry import in_order
from components.data_gate.settings import DataGateSettings
from components.shared.features import RATED, RATING_KEY

_ORDER = {"fatal": 0, "warn": 1, "ignore": 2}


def check(
    current: Data,
    baseline: Data | None,
    anomalies: Anomalies,
    schema: schema_pb2.Schema,
    settings: DataGateSettings,
    expectations: Expectations,
) -> list[Finding]:
    """Everything that is to be told, the fatal first; what the policy ignores is left out."""
    case = Case(current, baseline, schema, settings, expectations)
    findings = [*schema_anomalies(anomalies, current, settings)]
    for rule in in_order():
        if baseline is not None or not rule.against_baseline:
            findings += rule.find(case)
    if expectations.label.positives == RATED:
        findings = [_no_gate(f) if _is_of_ratings(f) else f for f in findings]
    levelled = [
        dataclasses.replace(f, level=settings.level(f.rule, f.feature, f.split, f.level)) for f in findings
    ]
    return sorted((f for f in levelled if f.level != "ignore"), key=lambda f: _ORDER[f.level])


def _is_of_ratings(finding: Finding) -> bool:
    """Whether it is about values of ratings or labels: nothing learns from them where every rating is a positive."""
    if finding.feature == RATING_KEY:
        return finding.rule in (*RANGE, "drift", "skew", "changed_ratings")
    return finding.feature in ("positives", *LABELS)


def _no_gate(finding: Finding) -> Finding:
    return dataclasses.replace(finding, level="warn") if finding.level == "fatal" else finding
