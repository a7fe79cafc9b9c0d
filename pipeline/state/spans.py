"""The input of a run against what earlier runs have read: what is new, and what has changed since."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping

from components.example_gen.detection import Source
from components.shared.artifacts import EXAMPLE_GEN, FINGERPRINT, LAST_SPAN
from components.shared.tfx_internals import fingerprint
from pipeline.config import PipelineConfig
from pipeline.state.runs import Artifact, Run, read_runs

_SEEN = 20  # runs in which a span is looked for


def fingerprints(source: Source) -> dict[str, str]:
    """TFX's fingerprint of each split of the input: of the ratings of each span, and of the movies."""
    base = glob.escape(source.base)
    # A URI, which pathlib would mangle.
    return {name: fingerprint(name, os.path.join(base, pattern)) for name, pattern in source.inputs}  # noqa: PTH118


def changed(config: PipelineConfig, source: Source) -> list[str]:
    """Names of the spans that are not what the last run that came to its end has read."""
    return changed_since(read_runs(config, last=_SEEN), fingerprints(source))


def changed_since(runs: Iterable[Run], now: Mapping[str, str]) -> list[str]:
    """The same, of some runs and of the fingerprints as they are now; what a stopped run has read was never used."""
    known: dict[str, str] = {}
    for run in _ended(runs):
        known |= _fingerprints(_examples(run))
    return [
        name.partition("-")[2]
        for name, value in now.items()
        if "-" in name and known.get(name, value) != value
    ]


def nothing_new(config: PipelineConfig, source: Source) -> str | None:
    """What to say where the last run that came to its end has read just this; else None."""
    return nothing_since(read_runs(config, last=_SEEN), fingerprints(source))


def nothing_since(runs: Iterable[Run], now: Mapping[str, str]) -> str | None:
    """The same, of some runs and of the fingerprints as they are now."""
    ended = _ended(runs)
    examples = _examples(ended[-1]) if ended else None
    if not examples or _fingerprints(examples) != now:
        return None
    last = examples.properties.get(LAST_SPAN)
    return f"No new data since {f'span {last}' if last else f'the run of {ended[-1].started:%Y-%m-%d %H:%M:%S}'}."


def _ended(runs: Iterable[Run]) -> list[Run]:
    return [run for run in runs if run.state in ("done", "cached")]


def _examples(run: Run) -> Artifact | None:
    node = run.nodes.get(EXAMPLE_GEN)
    return node.output("examples") if node else None


def _fingerprints(examples: Artifact | None) -> dict[str, str]:
    text = examples.properties.get(FINGERPRINT, "") if examples else ""
    return {line.removeprefix("split:").partition(",")[0]: line for line in text.split("\n") if line}
