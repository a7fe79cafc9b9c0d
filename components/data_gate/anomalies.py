"""What ExampleValidator found against the schema, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.data_gate.findings import Data, Finding, unit_hint
from components.data_gate.settings import DataGateSettings
from components.shared.features import TIMESTAMP_KEY

Anomalies = Mapping[str, anomalies_pb2.Anomalies]

_PLAIN = {
    "FLOAT_TYPE_BIG_FLOAT": "is above the greatest value allowed",
    "FLOAT_TYPE_SMALL_FLOAT": "is below the least value allowed",
    "FLOAT_TYPE_HAS_NAN": "is not a number (NaN)",
    "FLOAT_TYPE_HAS_INF": "is infinite",
    "INT_TYPE_BIG_INT": "is above the greatest value allowed",
    "INT_TYPE_SMALL_INT": "is below the least value allowed",
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": "has values that the schema does not list",
    "SCHEMA_MISSING_COLUMN": "is missing altogether",
    "SCHEMA_NEW_COLUMN": "is not in the schema",
    "FEATURE_TYPE_NOT_PRESENT": "is missing altogether",
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": "is missing in too many rows",
    "FEATURE_TYPE_LOW_NUMBER_PRESENT": "is in too few rows",
    "FEATURE_TYPE_LOW_NUMBER_VALUES": "has too few values in a row",
    "FEATURE_TYPE_HIGH_NUMBER_VALUES": "has too many values in a row",
    "INVALID_FEATURE_SHAPE": "does not have exactly one value in every row",
    "UNEXPECTED_DATA_TYPE": "is of another type than the schema says",
}

# Types of anomalies of values outside of the domain.
RANGE = ("FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT", "INT_TYPE_BIG_INT", "INT_TYPE_SMALL_INT")


def schema_anomalies(anomalies: Anomalies, current: Data, settings: DataGateSettings) -> Iterator[Finding]:
    """What ExampleValidator found, one finding a reason."""
    for split, of_split in anomalies.items():
        infos = list(of_split.anomaly_info.items())
        if of_split.HasField("dataset_anomaly_info"):
            infos.append(("", of_split.dataset_anomaly_info))
        for feature, info in infos:
            domain = _domain(of_split.baseline, feature)
            for reason in info.reason:
                rule = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
                found = _observed(current, feature, split) or reason.description
                expected = (domain.partition(", ")[0] if rule in RANGE else domain) or reason.description
                rows = _anomalous_rows(current, feature, split, rule)
                plain = _PLAIN.get(rule, f"is not as the schema says ({reason.short_description})")
                hint = ""
                if rule == "INT_TYPE_BIG_INT" and feature == TIMESTAMP_KEY:
                    hint = unit_hint(current)
                elif rule == "INT_TYPE_SMALL_INT" and feature == TIMESTAMP_KEY:
                    hint = "; is data.timestamp_unit what they are in?"
                subject = f"{feature} of {split}" if feature else f"the {split} split"
                count = f" in {rows:,} of {current.profile[split].rows:,} rows" if rows else ""
                yield Finding(
                    rule,
                    settings.level(rule, feature, split, "fatal"),
                    feature,
                    split,
                    found,
                    expected,
                    rows,
                    f"{subject} {plain}{count}: found {found}, the schema says {expected}{hint}",
                    f"`marquee schema diff`, then `marquee schema accept {feature}`, which proposes an edit of the"
                    f" schema; or {_policy(rule, feature, split)}",
                )
        if of_split.data_missing:
            yield Finding(
                "NO_DATA_IN_SPAN",
                "fatal",
                "",
                split,
                "no rows",
                "rows",
                0,
                f"the {split} split has no rows",
                _policy("NO_DATA_IN_SPAN", "", split),
            )


def _domain(schema: schema_pb2.Schema, name: str) -> str:
    """What the schema allows, in words."""
    for feature in schema.feature:
        if feature.name != name:
            continue
        parts = []
        kind = feature.WhichOneof("domain_info")
        if kind in ("int_domain", "float_domain"):
            bound = getattr(feature, kind)
            low, high = (getattr(bound, b) if bound.HasField(b) else None for b in ("min", "max"))
            parts.append(f"{_number(low)} to {_number(high)}")
        if kind == "string_domain":
            parts.append(f"one of {len(feature.string_domain.value)} values")
        if feature.HasField("shape"):
            parts.append("exactly one value a row")
        if feature.HasField("value_count"):
            parts.append(f"{feature.value_count.min} to {feature.value_count.max} values a row")
        return ", ".join([*parts, schema_pb2.FeatureType.Name(feature.type).lower()])
    return ""


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _statistics(current: Data, feature: str, split: str) -> statistics_pb2.FeatureNameStatistics | None:
    for dataset in current.statistics[split].datasets if split in current.statistics else ():
        for of_feature in dataset.features:
            if (of_feature.name or ".".join(of_feature.path.step)) == feature:
                return of_feature
    return None


def _observed(current: Data, feature: str, split: str) -> str:
    of_feature = _statistics(current, feature, split)
    if of_feature is None:
        return "no such column" if feature else ""
    if of_feature.HasField("num_stats"):
        numbers = of_feature.num_stats
        text = f"{_number(numbers.min)} to {_number(numbers.max)}"
        if of_feature.type == statistics_pb2.FeatureNameStatistics.INT:
            text = f"{int(numbers.min)} to {int(numbers.max)}"
        nans = sum(h.num_nan for h in numbers.histograms[:1])
        return text + (f" and {int(nans):,} NaN" if nans else "")
    if of_feature.HasField("string_stats"):
        top = [value.value for value in of_feature.string_stats.top_values[:3]]
        return f"{of_feature.string_stats.unique:,} different values such as {', '.join(map(repr, top))}"
    return ""


def _anomalous_rows(current: Data, feature: str, split: str, rule: str) -> int | None:
    counts = current.profile.get(split)
    if counts is None:
        return None
    for part, counter in (("_SMALL_", counts.below), ("_BIG_", counts.above), ("_NAN", counts.nan)):
        if part in rule and counter[feature]:
            return counter[feature]
    of_feature = _statistics(current, feature, split)
    if of_feature is None:
        return counts.rows if feature else None
    common = (
        of_feature.num_stats if of_feature.HasField("num_stats") else of_feature.string_stats
    ).common_stats
    return common.num_missing or None


def _policy(rule: str, feature: str, split: str) -> str:
    del split  # accepting it in one split alone is rarely meant
    return f"--set data_gate.policy.{rule}{':' + feature if feature else ''}=warn"
