"""What the latest data violate of the curated schema, and an edit of it for review.

Nothing here writes the schema: `propose` gives the text that it could have, for a person to read and to apply.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.shared.artifacts import EXAMPLE_VALIDATOR, STATISTICS_GEN
from components.shared.errors import ConfigError, DataError
from components.shared.tfx_internals import ANOMALIES_FILE, STATISTICS_FILE, files_of_splits
from pipeline.config import PipelineConfig
from pipeline.state.runs import read_runs

PROPOSED_SUFFIX, PATCH_SUFFIX = ".proposed", ".patch"


@dataclass(frozen=True)
class Violation:
    """One reason why one feature of one split is not as the schema says; `level` is what the gate makes of it."""

    feature: str
    split: str
    rule: str
    description: str
    level: str


@dataclass(frozen=True)
class Checked:
    """What ExampleValidator said in the latest run that it completed, with the statistics it looked at."""

    run: str
    violations: list[Violation]
    statistics: dict[str, statistics_pb2.DatasetFeatureStatisticsList]


@dataclass(frozen=True)
class Proposal:
    """An edit of the schema that the data of a run would satisfy: the whole text, and what changes."""

    text: str
    patch: str
    features: tuple[str, ...]


def latest(config: PipelineConfig) -> Checked:
    """Reads what ExampleValidator and StatisticsGen wrote last, in a failed run too.

    Raises:
        DataError: No run has come that far, or its files are gone.
    """
    for run in reversed(read_runs(config)):
        validator, generator = run.nodes.get(EXAMPLE_VALIDATOR), run.nodes.get(STATISTICS_GEN)
        anomalies = validator.output("anomalies") if validator else None
        statistics = generator.output("statistics") if generator else None
        if not anomalies or not statistics:
            continue
        violations: list[Violation] = []
        by_split: dict[str, statistics_pb2.DatasetFeatureStatisticsList] = {}
        for split, path in files_of_splits(anomalies.uri, ANOMALIES_FILE).items():
            violations += _violations(config, split, anomalies_pb2.Anomalies.FromString(path.read_bytes()))
        for split, path in files_of_splits(statistics.uri, STATISTICS_FILE).items():
            by_split[split] = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
        if by_split:
            return Checked(run.id, violations, by_split)
    raise DataError(
        "There is no run whose data have been validated.",
        where=f"pipeline {config.name}",
        fix="start one with `marquee run`",
    )


def _violations(
    config: PipelineConfig, split: str, anomalies: anomalies_pb2.Anomalies
) -> Iterator[Violation]:
    infos = list(anomalies.anomaly_info.items())
    if anomalies.HasField("dataset_anomaly_info"):
        infos.append(("", anomalies.dataset_anomaly_info))
    for feature, info in infos:
        for reason in info.reason:
            rule = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
            level = config.data_gate.level(rule, feature, split, "fatal")
            yield Violation(feature, split, rule, reason.description or reason.short_description, level)


def propose(
    schema: str, checked: Checked, features: Sequence[str] = (), name: str = "schema.pbtxt"
) -> Proposal:
    """Widens the schema so far that the data of the run satisfy it.

    What to change is TFDV's `update_schema`; only the blocks of the features that change are written anew, so that
    the rest of the text and the comments stay as they are.

    Args:
        schema: Text of the curated schema.
        checked: What `latest` found.
        features: Only these; all that the data violate when empty.
        name: Of the file, for the patch.

    Raises:
        DataError: A feature has no violations.
    """
    import tensorflow_data_validation as tfdv

    violated = [violation.feature for violation in checked.violations if violation.feature]
    wanted = tuple(dict.fromkeys(features or violated))
    for feature in wanted:
        if feature not in violated:
            close = difflib.get_close_matches(feature, violated, n=1)
            raise DataError(
                f"The data violate nothing that the schema says of {feature!r}.",
                where=f"run {checked.run}",
                found="violations of " + (", ".join(dict.fromkeys(violated)) or "no feature"),
                fix=f"did you mean {close[0]!r}?" if close else "see `marquee schema diff`",
            )
    before = text_format.Parse(schema, schema_pb2.Schema())
    after = schema_pb2.Schema()
    after.CopyFrom(before)
    for statistics in checked.statistics.values():
        after = tfdv.update_schema(after, statistics)
    _inline_domains(before, after)
    old = {feature.name: feature for feature in before.feature}
    text, changed = schema, []
    for feature in after.feature:
        if feature.name not in wanted or feature == old.get(feature.name):
            continue
        changed.append(feature.name)
        if feature.name in old:
            start, end = _block(text, feature.name)
            text = text[:start] + _write(feature, text[start:end]) + text[end:]
        else:
            text = text.rstrip("\n") + "\n" + _write(feature, "") + "\n"
    # What is proposed is what was meant, whatever the text looked like.
    expected = schema_pb2.Schema()
    expected.CopyFrom(before)
    replaced = {feature.name: feature for feature in after.feature if feature.name in changed}
    del expected.feature[:]
    expected.feature.extend([replaced.pop(feature.name, feature) for feature in before.feature])
    expected.feature.extend(replaced.values())
    assert text_format.Parse(text, schema_pb2.Schema()) == expected
    patch = difflib.unified_diff(
        schema.splitlines(keepends=True), text.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return Proposal(text, "".join(patch), tuple(changed))


def _inline_domains(before: schema_pb2.Schema, after: schema_pb2.Schema) -> None:
    """Moves into the features what `update_schema` changed in the domains that the schema names apart."""
    old = {domain.name: domain for domain in before.string_domain}
    new = {domain.name: domain for domain in after.string_domain}
    for feature in after.feature:
        if feature.WhichOneof("domain_info") != "domain" or old.get(feature.domain) == new.get(
            feature.domain
        ):
            continue
        if feature.domain in old:
            feature.string_domain.CopyFrom(new[feature.domain])
        else:
            feature.ClearField("domain")  # of a new feature: which values it may have is for a person to say


def read(path: Path) -> str:
    """The text of the schema.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "The schema cannot be read.", where=f"schema_path {path}", found=str(error)
        ) from None


def write(proposal: Proposal, schema: Path) -> tuple[Path, Path]:
    """Writes the proposed text and the patch beside the schema, or here where that is read-only."""
    for folder in (schema.parent, Path.cwd()):
        proposed, patch = folder / f"{schema.name}{PROPOSED_SUFFIX}", folder / f"{schema.name}{PATCH_SUFFIX}"
        try:
            proposed.write_text(proposal.text, encoding="utf-8")
            patch.write_text(proposal.patch, encoding="utf-8")
        except OSError as error:
            failed = error
            continue
        return proposed, patch
    raise ConfigError("The proposal cannot be written.", where=str(schema.parent), found=str(failed))


def _block(text: str, name: str) -> tuple[int, int]:
    """Where `feature { ... }` of a name begins and ends in the text of a schema."""
    for match in re.finditer(r"^feature\s*:?\s*\{", text, re.MULTILINE):
        depth, position = 0, match.end() - 1
        # Braces within strings and comments are none.
        for token in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|#[^\n]*|[{}]', text[position:]):
            depth += {"{": 1, "}": -1}.get(token.group(), 0)
            if depth == 0:
                end = position + token.end()
                parsed = text_format.Parse(text[match.start() : end], schema_pb2.Schema())
                if parsed.feature[0].name == name:
                    return match.start(), end
                break
    raise DataError(
        f"The block of the feature {name!r} is not found in the schema.",
        expected="`feature {` at the start of a line",
        fix="edit the schema by hand",
    )


def _write(feature: schema_pb2.Feature, before: str) -> str:
    """A feature as the curated schema writes it: a line a field, with the comments that stood above each."""
    comments: dict[str, list[str]] = {}
    pending: list[str] = []
    for line in before.splitlines()[1:]:
        stripped = line.strip()
        if stripped.startswith("#"):
            pending.append(stripped)
        elif pending and (word := re.match(r"\w+", stripped)):
            comments[word.group()] = pending
            pending = []
    order = re.findall(r"^  (\w+)", before, re.MULTILINE)
    fields = feature.ListFields()
    position = {
        name: order.index(name) if name in order else len(order) for name in (f.name for f, _ in fields)
    }
    lines = ["feature {"]
    for descriptor, _ in sorted(fields, key=lambda item: position[item[0].name]):
        alone = schema_pb2.Feature()
        one = text_format.MessageToString(_only(feature, descriptor.name, alone), as_one_line=True).strip()
        lines += [f"  {comment}" for comment in comments.get(descriptor.name, [])]
        # A repeated field is one entry a line.
        entries = re.split(rf"(?<=\S) (?={descriptor.name}: )", one)
        lines += [f"  {re.sub(r'{ *}', '{}', entry)}" for entry in entries]
    return "\n".join([*lines, *(f"  {comment}" for comment in pending), "}"])


def _only(feature: schema_pb2.Feature, name: str, alone: schema_pb2.Feature) -> schema_pb2.Feature:
    alone.CopyFrom(feature)
    for descriptor, _ in feature.ListFields():
        if descriptor.name != name:
            alone.ClearField(descriptor.name)
    return alone
