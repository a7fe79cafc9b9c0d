"""Going back to an earlier version, and blessing by force; needs no TensorFlow."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from components.shared.artifacts import (
    FIRST_SPAN,
    FORCED,
    FORCED_BLESSING,
    LAST_SPAN,
    ROLLBACK,
    ROLLBACK_NODE,
    SERVING_FOLDER,
)
from components.shared.errors import ModelError
from components.shared.features import deciding_metric
from pipeline.config import PipelineConfig
from pipeline.operations import cards
from pipeline.operations.history import Release, history, origin
from pipeline.state import repair
from pipeline.state.locking import check_held
from pipeline.state.recovery import record
from pipeline.state.runs import Run, read_runs
from pipeline.state.store import Store, properties


def rollback(config: PipelineConfig, store: Store | None, version: str | None, reason: str = "") -> Release:
    """Makes an earlier version the served one, as a new version, and its model the baseline.

    A version that is gone or damaged is brought back first; of the one pushed last this is all there is to do.

    Args:
        config: The pipeline, whose lock the caller holds.
        store: Its ML Metadata.
        version: Which version; None: the one before the served one that had another model.
        reason: Recorded.

    Raises:
        ModelError: There is no such version, it is the served one, or it is lost and nothing is left of it.
        StorageError: It cannot be written; the served version is as before.
        LockedError: The lock was lost; the same holds.
    """
    releases = history(config, store)
    by_version = {one.version: one for one in releases}
    recorded = repair.pushes(store)
    at_hand = {one.version for one in releases if one.state != "removed"} | recorded.keys()
    if not at_hand or not store:
        raise ModelError(
            "Nothing has been pushed yet.", where=str(config.serving_model_dir), fix="run `marquee run` first"
        )
    current = by_version[max(at_hand, key=int)]  # served, or lost
    target = _earlier(releases, by_version, current, at_hand) if version is None else by_version.get(version)
    kept = ", ".join(one.version for one in releases if one.version in at_hand)
    if not target or target.version not in at_hand:
        raise ModelError(
            "There is no earlier version with another model."
            if version is None
            else "There is no such version.",
            where=str(config.serving_model_dir),
            found=version if not target else f"{target.version}, which has been removed",
            expected=f"one of {kept}",
            fix="`marquee history` shows them; name one: `marquee rollback VERSION`",
        )
    was_whole = _whole(config, recorded.get(target.version, []), target.version)
    if target == current and not was_whole:
        return next(one for one in history(config, store) if one.version == target.version)
    if origin(target, by_version).version == origin(current, by_version).version:
        raise ModelError(
            "This version is already the served one.",
            where=str(config.serving_model_dir),
            found=target.version
            if target == current
            else f"{target.version}, the same model as {current.version}",
            expected=f"another of {kept}",
        )
    model = _live_model(store, target.model_id or _model_pushed_as(store, target.version), target.version)
    new = versions.Marker(
        kind=ROLLBACK,
        model_id=model.id,
        model_uri=model.uri,
        run_id=target.run_id,
        execution_id=0,
        data_span=target.data_span,
        first_span=target.first_span,
        last_span=target.last_span,
        oldest_timestamp=target.oldest_timestamp,
        newest_timestamp=target.newest_timestamp,
        objective=target.objective,
        metric=target.metric,
        retrieval_metric=target.retrieval_metric,
        metrics=target.metrics,
        of_version=origin(target, by_version).version,
        reason=reason,
        by=_who(),
    )
    folder = config.serving_model_dir / target.version
    return _push(config, store, ROLLBACK_NODE, "marquee.Rollback", model, folder, new, link=True)


def bless(config: PipelineConfig, store: Store | None, run: str | None, reason: str) -> Release:
    """Blesses the refused model of a run by force, records who and why, and pushes it.

    Args:
        config: The pipeline, whose lock the caller holds.
        store: Its ML Metadata.
        run: Id of a run or the beginning of one; None: the newest that has a model.
        reason: Shown for ever.

    Raises:
        ModelError: There is no such run, or it has no model, or its model is blessed.
        StorageError: The model cannot be pushed; the served version is as before.
        LockedError: The lock was lost; the same holds.
    """
    found = _run(read_runs(config), run)
    model = next(
        (
            artifact
            for node in found.nodes.values()
            if not node.resolver
            for artifacts in node.outputs.values()
            for artifact in artifacts
            if artifact.type == "Model"
        ),
        None,
    )
    if not model or not store:
        raise ModelError(
            "This run has no model.", where=f"run {found.id}", found=found.state, fix="choose another run"
        )
    summary = found.summary()
    metric = summary.get("metric") or deciding_metric(
        summary.get("objective", ""), summary.get("primary_k", 10)
    )
    if summary.get("blessed"):
        raise ModelError(
            "The model of this run is blessed already.",
            where=f"run {found.id}",
            fix="`marquee history` shows its version; `marquee rollback VERSION` serves it again",
        )
    releases = history(config, store)
    for one in releases:
        if one.kind == FORCED and one.model_id == model.id and one.state != "removed":
            raise ModelError(
                "The model of this run has been blessed by force already.",
                where=f"run {found.id}",
                found=f"version {one.version}, {one.blessing}",
                fix=f"`marquee rollback {one.version}` serves it again",
            )
    of = {
        name: value
        for node in found.nodes.values()
        for artifacts in node.outputs.values()
        for artifact in artifacts
        if artifact.type in ("ModelEvaluation", "Examples")
        for name, value in artifact.properties.items()
    }
    marker = versions.Marker(
        kind=FORCED,
        model_id=model.id,
        model_uri=model.uri,
        run_id=found.id,
        execution_id=0,
        data_span=of.get("span"),
        first_span=of.get(FIRST_SPAN, ""),
        last_span=of.get(LAST_SPAN, ""),
        oldest_timestamp=of.get("oldest_timestamp"),
        newest_timestamp=of.get("newest_timestamp"),
        objective=summary.get("objective", ""),
        metric=metric,
        retrieval_metric=summary.get("retrieval_metric", ""),
        metrics={
            **{name: summary[name] for name in (metric, summary.get("retrieval_metric")) if name in summary},
            **{name: value for name, value in of.items() if isinstance(value, float)},
        },
        reason=reason,
        by=_who(),
    )
    artifact = _live_model(store, model.id, f"run {found.id}")
    source = Path(model.uri) / SERVING_FOLDER
    written = cards.of_run(config, found, model)
    return _push(
        config, store, FORCED_BLESSING, "marquee.ForcedBlessing", artifact, source, marker, files=written
    )


def _push(
    config: PipelineConfig,
    store: Store,
    node: str,
    type_name: str,
    model: mlmd.Artifact,
    source: Path,
    marker: versions.Marker,
    link: bool = False,
    files: Callable[[versions.Marker], Mapping[str, str]] | None = None,
) -> Release:
    check_held()
    # The new version's appearance decides: before it nothing has happened; what is missing after it
    # `recovery.recover` completes from the marker.
    execution = store.start(type_name, node, {"model": model}, {"reason": marker.reason, "by": marker.by})
    marker = versions.Marker(**{**vars(marker), "execution_id": execution.id})
    try:
        _, marker = versions.push(source, config.serving_model_dir, marker, link, files)
    except Exception:
        execution.last_known_state = mlmd.Execution.FAILED
        store.raw.put_executions([execution])
        raise
    record(config, store, execution, node, marker)
    return next(one for one in history(config, store) if one.version == marker.version)


def _whole(config: PipelineConfig, recorded: list[mlmd.Artifact], version: str) -> bool:
    """Sees that a version is there as it was pushed; whether it was so before.

    Raises:
        ModelError: It is not, and nothing is left of which it could be made.
    """
    folder = config.serving_model_dir / version
    marker = versions.read_marker(folder) or (repair.marker_of(recorded) if recorded else None)
    wrong = versions.damage(folder, marker.model_digest if marker else "")
    if not wrong:
        return True
    if recorded and repair.bring_back(config, recorded, wrong):
        return False
    raise ModelError(
        "This version is not what was pushed, and neither a copy of it nor its model is left.",
        where=str(folder),
        found=wrong,
        fix="choose another version of `marquee history`",
    )


def _earlier(
    releases: list[Release], by_version: dict[str, Release], current: Release, at_hand: Collection[str]
) -> Release | None:
    first = origin(current, by_version)
    older = [
        one
        for one in releases
        if one.version in at_hand
        and one.kind != ROLLBACK
        and int(one.version) < int(first.version)
        and (one.model_id != first.model_id or not one.model_id)
    ]
    return older[-1] if older else None


def _run(runs: list[Run], wanted: str | None) -> Run:
    if wanted is None:
        with_model = [run for run in runs if "model_name" in run.summary()] or runs
        if with_model:
            return with_model[-1]
        raise ModelError("There is no run yet.", fix="run `marquee run` first")
    start = wanted.replace(" ", "T")
    found = [run for run in runs if run.id.startswith(start)]
    if len(found) == 1:
        return found[0]
    raise ModelError(
        "There is no such run." if not found else f"{len(found)} runs begin like this.",
        found=wanted,
        expected="a run's id or the beginning of one, such as "
        + ", ".join(run.id for run in (found or runs)[-3:]),
        fix="`marquee status --json` shows the ids",
    )


def _live_model(store: Store, model_id: int, what: str) -> mlmd.Artifact:
    found = store.raw.get_artifacts_by_id([model_id]) if model_id else []
    if found and found[0].state == mlmd.Artifact.LIVE and Path(found[0].uri).exists():
        return found[0]
    raise ModelError(
        "The model is not in ML Metadata any more, so that it could not be the baseline.",
        where=what,
        found=f"model {model_id} removed" if found else "no model",
        fix="choose another version or run",
    )


def _model_pushed_as(store: Store, version: str) -> int:
    """The model that the stock Pusher, which does not record it, pushed as a version."""
    for artifact in store.artifacts("PushedModel"):
        if properties(artifact).get("pushed_version") != version:
            continue
        pushed_by = store.raw.get_events_by_artifact_ids([artifact.id])
        executions = [event.execution_id for event in pushed_by if event.type == mlmd.Event.OUTPUT]
        for event in store.raw.get_events_by_execution_ids(executions):
            if event.type == mlmd.Event.INPUT and event.path.steps[0].key == "model":
                return event.artifact_id
    return 0


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"unknown@{socket.gethostname()}"
