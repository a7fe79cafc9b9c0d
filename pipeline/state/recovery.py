"""Puts right what a process that died in the middle of a run, a push or a collection has left; under the lock.

TFX writes an execution's end and its outputs in one transaction, so that nothing half-made is ever recorded as an
output. What stays behind is an execution that seems to run for ever, its folders, and, if the process died between a
push and its record, a version that is served but not recorded.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from components.shared.artifacts import (
    BLESSED_FILE,
    FORCED,
    FORCED_BLESSING,
    PUSH,
    PUSHER,
    ROLLBACK,
    ROLLBACK_NODE,
)
from components.shared.tfx_internals import execution_folders
from pipeline.config import PipelineConfig
from pipeline.state.store import Output, Store, set_properties

INTERRUPTED = "interrupted"
# Of an artifact that is marked DELETED as its files are gone or damaged: what was wrong.
DAMAGED = "damaged"
# Node of a push that a person asked for -> kind of its marker.
NODES = {FORCED_BLESSING: FORCED, ROLLBACK_NODE: ROLLBACK, PUSHER: PUSH}
_UNFINISHED = (mlmd.Execution.RUNNING, mlmd.Execution.NEW)


def recover(config: PipelineConfig, store: Store) -> list[str]:
    """Completes or gives up what was interrupted, and removes its remains. Only for whoever holds the lock.

    Returns:
        A sentence for each thing put right.
    """
    done = []
    versions.clean(config.serving_model_dir)
    markers = {}
    for path in versions.versions(config.serving_model_dir):
        marker = versions.read_marker(path)
        if marker:
            markers[marker.execution_id] = marker
    for execution in store.executions():
        if execution.last_known_state not in _UNFINISHED:
            continue
        node, run_id = store.names(execution)
        marker = markers.get(execution.id)
        if marker and _is_of(store, marker, execution, node, run_id):
            record(config, store, execution, node, marker)
            done.append(f"version {marker.version} had been pushed but not recorded; it is now")
            continue
        _remove_outputs(config.artifact_root, node, execution.id)
        _abandon(store, execution)
        done.append(
            f"{node or execution.type} of run {run_id or '-'} had been interrupted; its remains are gone"
        )
    done += [
        f"artifact {artifact.id} was to be removed; its files are gone now"
        for artifact in store.artifacts()
        if artifact.state == mlmd.Artifact.DELETED
        and DAMAGED not in artifact.custom_properties  # whose folder may be back, from a disk that was away
        and remove_files(config, artifact)
    ]
    return done


def mark_interrupted(store: Store) -> None:
    """Says of what failed in the newest run that a signal was behind it: Beam makes an error of its own of that."""
    newest = store.run_contexts()[-1:]
    failed = [
        execution
        for context in newest
        for execution in store.raw.get_executions_by_context(context.id)
        if execution.last_known_state == mlmd.Execution.FAILED
    ]
    for execution in failed:
        set_properties(execution.custom_properties, {INTERRUPTED: 1})
    if failed:
        store.raw.put_executions(failed)


def record(
    config: PipelineConfig, store: Store, execution: mlmd.Execution, node: str, marker: versions.Marker
) -> None:
    """Completes an execution that has pushed the version of `marker`: its blessing, if it is one, and its push."""
    target = config.serving_model_dir / marker.version
    properties: dict[str, str | int | float] = {
        **marker.properties(),
        "pushed": 1,
        "pushed_destination": str(target),
    }
    outputs = []
    if marker.kind != PUSH:
        blessing = config.artifact_root / node / "blessing" / str(execution.id)
        blessing.mkdir(parents=True, exist_ok=True)
        (blessing / BLESSED_FILE).touch()
        blessed: dict[str, str | int | float] = {
            "blessed": 1,
            "current_model": marker.model_uri,
            "current_model_id": marker.model_id,
            "kind": marker.kind,
            "reason": marker.reason,
            "by": marker.by,
            "run_id": marker.run_id,
            "of_version": marker.of_version,
            "pushed_version": marker.version,
        }
        outputs.append(Output("blessing", "ModelBlessing", str(blessing), blessed))
    archive = config.artifact_root / node / "pushed_model" / str(execution.id)
    shutil.rmtree(archive, ignore_errors=True)
    archive.parent.mkdir(parents=True, exist_ok=True)
    versions.copy_tree(target, archive, link=True)
    outputs.append(Output("pushed_model", "PushedModel", str(archive), properties))
    store.complete(execution, node, outputs)


def remove_files(config: PipelineConfig, artifact: mlmd.Artifact) -> bool:
    """Removes an artifact's folder if it is one of this pipeline's; whether there was something to remove."""
    folder = Path(artifact.uri)
    if not folder.is_relative_to(config.artifact_root) or not folder.exists():
        return False
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink()
    return True


def _is_of(store: Store, marker: versions.Marker, execution: mlmd.Execution, node: str, run_id: str) -> bool:
    # Ids start again when somebody removes the metadata, so the id alone does not do.
    inputs = {
        event.artifact_id
        for event in store.raw.get_events_by_execution_ids([execution.id])
        if event.type == mlmd.Event.INPUT
    }
    return (
        NODES.get(node) == marker.kind
        and marker.model_id in inputs
        and (marker.kind != PUSH or marker.run_id == run_id)
    )


def _remove_outputs(root: Path, node: str, execution_id: int) -> None:
    """Removes the folders of an execution."""
    if not re.fullmatch(r"[\w.-]+", node) or node in (".", ".."):
        return
    for folder in execution_folders(root, node, execution_id):
        shutil.rmtree(folder)


def _abandon(store: Store, execution: mlmd.Execution) -> None:
    pending = [
        event.artifact_id
        for event in store.raw.get_events_by_execution_ids([execution.id])
        if event.type in (mlmd.Event.OUTPUT, mlmd.Event.PENDING_OUTPUT)
    ]
    artifacts = store.raw.get_artifacts_by_id(pending) if pending else []
    for artifact in artifacts:
        artifact.state = mlmd.Artifact.ABANDONED
    if artifacts:
        store.raw.put_artifacts(artifacts)
    execution.last_known_state = mlmd.Execution.FAILED
    set_properties(execution.custom_properties, {INTERRUPTED: 1})
    store.raw.put_executions([execution])
