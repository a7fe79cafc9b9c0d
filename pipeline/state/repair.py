"""Finds what was lost or damaged since it was written, and brings it back or has it made again; under the lock.

When a component ends, the sizes of the files of its outputs are recorded with its execution. Not with the artifacts:
TFX's cache key has these with all their properties. At the start of a run the files are looked at. An artifact of which
some are gone or of another size is marked DELETED, so that TFX neither resolves it nor takes it from its cache: the
component runs again, and of models and data that are compared with the one before is taken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.metadata_store import ListOptions, OrderByField
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from components.shared.artifacts import SERVING_FOLDER, makes_baseline
from components.shared.storage import storage
from components.shared.tfx_internals import NODE
from pipeline.config import PipelineConfig
from pipeline.state.recovery import DAMAGED, remove_files
from pipeline.state.store import Store, open_store, properties, set_properties

# Of an execution: the size of each file of each output, as JSON: {artifact id: {file: bytes}}.
_FILES = "files"

Sizes = dict[str, int]


@dataclass(frozen=True)
class _Source:
    """Where the files of a version are; `own` if they are its own ones, of which hard links do."""

    folder: Path
    own: bool


# --- the version that is served


def pushes(store: Store | None) -> dict[str, list[mlmd.Artifact]]:
    """What ML Metadata has of each pushed version, the push first; nothing of those that were collected."""
    found: dict[str, list[mlmd.Artifact]] = {}
    for artifact in store.artifacts("PushedModel") if store else []:
        of = properties(artifact)
        if artifact.state == mlmd.Artifact.LIVE and of.get("pushed") == 1:
            found.setdefault(of["pushed_version"], []).append(artifact)
    return found


def bring_back(config: PipelineConfig, recorded: list[mlmd.Artifact], wrong: str) -> str:
    """Restores a version from the copies that its pushes kept, or from its model.

    Args:
        config: The pipeline.
        recorded: What `pushes` has of the version.
        wrong: What is wrong with it, as `damage` says it.

    Returns:
        A sentence; "" where neither a whole copy nor its model is left.

    Raises:
        StorageError: It cannot be written.
    """
    marker = marker_of(recorded)
    candidates = [_Source(Path(artifact.uri), True) for artifact in recorded]
    if marker.model_digest and marker.model_uri:
        candidates.append(_Source(Path(marker.model_uri) / SERVING_FOLDER, False))
    for one in candidates:
        if versions.damage(one.folder, marker.model_digest):
            continue
        versions.restore(one.folder, config.serving_model_dir, marker, one.own)
        kept = "the copy that its push kept" if one.own else f"model {marker.model_id}"
        return f"{_lost(config, marker.version, wrong)}, and is back from {kept}"
    return ""


def marker_of(recorded: list[mlmd.Artifact]) -> versions.Marker:
    """The marker of a version by what `pushes` has of it."""
    return versions.Marker.of_properties(properties(recorded[0]))


def _lost(config: PipelineConfig, version: str, wrong: str) -> str:
    state = "was gone from" if wrong == versions.GONE else f"was damaged ({wrong}) in"
    return f"version {version} {state} {config.serving_model_dir.name}/"


def repair(config: PipelineConfig, store: Store) -> list[str]:
    """Puts right the version that is served, then the artifacts. Only for whoever holds the lock.

    Returns:
        A sentence for each thing that was not as it had been written.

    Raises:
        StorageError: Something cannot be written or removed.
    """
    return [*restore(config, store), *check(config, store)]


def strays(config: PipelineConfig, store: Store | None) -> list[str]:
    """A sentence for each entry of the serving folder that has a number for a name, and yet is no version."""
    return [
        f"{path} has a number for a name, but nothing has pushed it; it is left as it is, but TensorFlow Serving"
        " may serve it: move it away"
        for path in versions.strays(config.serving_model_dir, pushes(store))
    ]


def restore(config: PipelineConfig, store: Store) -> list[str]:
    """Brings back the version pushed last where it is gone from the serving folder, or damaged.

    What cannot be brought back is marked, so that the Pusher runs again.

    Returns:
        A sentence if there was something to do.
    """
    recorded = pushes(store)
    base = config.serving_model_dir
    newest = max(recorded, key=int, default="")
    present = versions.versions(base, recorded)
    if not newest or (present and int(present[-1].name) > int(newest)):
        return []
    wrong = versions.damage(base / newest, marker_of(recorded[newest]).model_digest)
    if not wrong:
        return []
    back = bring_back(config, recorded[newest], wrong)
    if back:
        return [back]
    _mark(config, store, {artifact.id: wrong for artifact in recorded[newest]}, recorded[newest])
    return [
        f"{_lost(config, newest, wrong)}, and neither a copy of it nor its model is left: the Pusher runs again, and"
        " `marquee rollback VERSION` serves another one of `marquee history`",
    ]


# --- the artifacts


def record(config: PipelineConfig, node: str) -> None:
    """Records the files that a component has made, right after it has ended."""
    store = open_store(config)
    if not store:
        return
    context = store.raw.get_context_by_type_and_name(NODE, f"{store.name}.{node}")
    newest = ListOptions(limit=1, order_by=OrderByField.ID, is_asc=False)
    executions = store.raw.get_executions_by_context(context.id, newest) if context else []
    made = [one for one in executions if one.last_known_state == mlmd.Execution.COMPLETE]
    events = store.raw.get_events_by_execution_ids([one.id for one in made]) if made else []
    outputs = [event.artifact_id for event in events if event.type == mlmd.Event.OUTPUT]
    artifacts = store.raw.get_artifacts_by_id(outputs) if outputs else []
    _record(
        store,
        made,
        {one.id: {artifact.id: sizes(Path(artifact.uri)) for artifact in artifacts} for one in made},
    )


def check(config: PipelineConfig, store: Store) -> list[str]:
    """Looks at the files of all artifacts that could be used, and gives up those that are not as they were written.

    Artifacts whose files were never recorded, as those of earlier versions of this program, are recorded now.

    Returns:
        A sentence for each that is given up or put right.
    """
    executions = store.executions()
    recorded: dict[int, Sizes] = {}
    for execution in executions:
        recorded |= {int(id_): files for id_, files in _recorded(execution).items()}
    live = [
        artifact
        for artifact in store.artifacts()
        if artifact.state == mlmd.Artifact.LIVE and Path(artifact.uri).is_relative_to(config.artifact_root)
    ]
    told, wrong = [], {}
    for artifact in live:
        files = recorded.get(artifact.id)
        if files and artifact.type == "PushedModel":
            files = {name: size for name, size in files.items() if Path(name) not in versions.BESIDE}
        found = _difference(Path(artifact.uri), files)
        if found and _relinked(config, artifact):
            told.append(
                f"the copy of version {properties(artifact)['pushed_version']} was damaged, and is made again"
            )
        elif found:
            wrong[artifact.id] = found
    new = [artifact for artifact in live if artifact.id not in recorded and artifact.id not in wrong]
    _record_missing(store, executions, new)
    baselines = _baselines(store)
    for artifact in live:
        if artifact.id in wrong:
            what = Path(artifact.uri).relative_to(config.artifact_root)
            follows = "it is made again where it is needed"
            if artifact.id in baselines:
                follows += ", and until then the blessed model before it is the baseline"
            told.append(
                f"{artifact.type} {artifact.id} ({what}) was damaged: {wrong[artifact.id]}; {follows}"
            )
    _mark(config, store, wrong, live)
    return told


def sizes(folder: Path) -> Sizes:
    """Bytes of each file below a folder by relative path; of a file itself by "."."""
    if folder.is_file():
        return {".": folder.stat().st_size}
    return dict(_walk(str(folder), "")) if folder.is_dir() else {}


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False).st_size


def _difference(folder: Path, expected: Sizes | None) -> str:
    """What is wrong with the files, in words; "" if nothing is. What was added since does not matter."""
    if not folder.exists():
        total = f", expected {len(expected)} files of {sum(expected.values()):,} bytes" if expected else ""
        return f"its folder is gone{total}"
    found = sizes(folder)
    for name, size in sorted((expected or {}).items()):
        if found.get(name) != size:
            now = f"has {found[name]:,} bytes" if name in found else "is gone"
            return f"{name} {now}, expected {size:,} bytes"
    return ""


def _relinked(config: PipelineConfig, artifact: mlmd.Artifact) -> bool:
    """Makes the copy of a version anew from the version itself, where that is whole."""
    of = properties(artifact)
    if artifact.type != "PushedModel" or not of.get("model_digest"):
        return False
    folder = config.serving_model_dir / of["pushed_version"]
    if versions.damage(folder, of["model_digest"]):
        return False
    with storage(Path(artifact.uri), "The copy of a version cannot be made again."):
        remove_files(config, artifact)
        versions.copy_tree(folder, Path(artifact.uri), link=True)
    return True


def _baselines(store: Store) -> set[int]:
    """Ids of the models that a blessing makes a baseline."""
    blessings = [properties(one) for one in store.artifacts("ModelBlessing")]
    return {of.get("current_model_id", 0) for of in blessings if makes_baseline(of)}


def _mark(
    config: PipelineConfig, store: Store, wrong: Mapping[int, str], artifacts: Iterable[mlmd.Artifact]
) -> None:
    """Gives up artifacts. Their remains go first: a process that dies in between leaves what is found again."""
    given_up = [artifact for artifact in artifacts if artifact.id in wrong]
    with storage(config.artifact_root, "The remains of a damaged artifact cannot be removed."):
        for artifact in given_up:
            remove_files(config, artifact)
    for artifact in given_up:
        artifact.state = mlmd.Artifact.DELETED
        set_properties(artifact.custom_properties, {DAMAGED: wrong[artifact.id]})
    if given_up:
        store.raw.put_artifacts(given_up)


def _recorded(execution: mlmd.Execution) -> dict[str, Sizes]:
    if _FILES not in execution.custom_properties:
        return {}
    found: dict[str, Sizes] = json.loads(execution.custom_properties[_FILES].string_value)
    return found


def _record_missing(store: Store, executions: list[mlmd.Execution], artifacts: list[mlmd.Artifact]) -> None:
    events = store.raw.get_events_by_artifact_ids([one.id for one in artifacts]) if artifacts else []
    complete = {one.id for one in executions if one.last_known_state == mlmd.Execution.COMPLETE}
    made_by = {
        event.artifact_id: event.execution_id
        for event in events
        if event.type == mlmd.Event.OUTPUT and event.execution_id in complete
    }
    of: dict[int, dict[int, Sizes]] = {}
    for artifact in artifacts:
        if artifact.id in made_by:
            of.setdefault(made_by[artifact.id], {})[artifact.id] = sizes(Path(artifact.uri))
    _record(store, [one for one in executions if one.id in of], of)


def _record(store: Store, executions: list[mlmd.Execution], files: Mapping[int, Mapping[int, Sizes]]) -> None:
    changed = [one for one in executions if files[one.id]]
    for execution in changed:
        merged = _recorded(execution) | {str(id_): of for id_, of in files[execution.id].items()}
        set_properties(execution.custom_properties, {_FILES: json.dumps(merged, separators=(",", ":"))})
    if changed:
        store.raw.put_executions(changed)
