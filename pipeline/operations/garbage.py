"""Removes old artifacts and versions, and keeps ML Metadata true; needs no TensorFlow.

Kept are the newest runs with all they made or used, the newest versions with their models, the served version, the
baseline, and whatever those descend from in ML Metadata: examples, transform graph, schema, movies... Of the searches
for hyperparameters the values that a kept model has and those that the next runs take are kept. A removed
artifact is marked DELETED first, and its files are removed then: TFX neither resolves it nor takes it from its cache,
and a process that dies in between leaves files that `recovery.recover` removes. On a full disk, where a mark is too
much, the files go first; what a process that dies then leaves `repair.check` notices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from components.shared.artifacts import makes_baseline
from components.shared.errors import StorageError
from components.shared.storage import is_full, storage
from pipeline.config import PipelineConfig
from pipeline.operations.history import Release, history
from pipeline.state.locking import check_held
from pipeline.state.recovery import remove_files
from pipeline.state.repair import pushes
from pipeline.state.runs import read_runs
from pipeline.state.store import Store, properties

# An input with such a key is what a model was compared with, not what it was made from; were it followed, every
# model ever blessed would be kept.
_COMPARED = ("baseline",)
# The model that another one started from. It is kept, so that an unchanged run finds it and comes from the cache, but
# not what it was made from: it has started from the one before it, and so on to the first.
_STARTED_FROM = "base_model"

_HYPERPARAMETERS = "HyperParameters"


@dataclass(frozen=True)
class Removal:
    """What is or would be removed.

    Args:
        artifacts: Id, type and folder of each.
        versions: Folders of versions.
        size: Bytes that become free; files with a second name elsewhere do not count.
    """

    artifacts: list[tuple[int, str, str]]
    versions: list[Path]
    size: int


def collect(config: PipelineConfig, store: Store | None, keep: int, dry_run: bool = False) -> Removal:
    """Removes what is older than the newest `keep` runs and versions. Only for whoever holds the lock.

    Args:
        config: The pipeline.
        store: Its ML Metadata.
        keep: How many of the newest finished runs, and of the newest versions, to keep; at least 1.
        dry_run: Only say what would be removed.

    Raises:
        LockedError: The lock was lost; nothing has been removed.
        StorageError: Something cannot be removed.
    """
    if not store:
        return Removal([], [], 0)
    # What is lost from the serving folder but could be brought back is kept like the rest.
    recorded = pushes(store)
    releases = [one for one in history(config, store) if one.state != "removed" or one.version in recorded]
    old_versions = [
        config.serving_model_dir / one.version for one in releases[:-keep] if one.state != "removed"
    ]
    kept = _kept(config, store, keep, releases[-keep:])
    everything = store.artifacts()
    kept_folders = {artifact.uri for artifact in everything if artifact.id in kept}
    old = [
        artifact
        for artifact in everything
        if artifact.id not in kept
        and artifact.state == mlmd.Artifact.LIVE
        and artifact.uri not in kept_folders
        and Path(artifact.uri).is_relative_to(config.artifact_root)
    ]
    removal = Removal(
        [(artifact.id, artifact.type, artifact.uri) for artifact in old],
        old_versions,
        _size([*(Path(artifact.uri) for artifact in old), *old_versions]),
    )
    if dry_run:
        return removal
    check_held()
    marked = False
    try:
        _mark(store, old)
        marked = True
    except StorageError as error:  # ML Metadata needs some space itself
        if not is_full(error):
            raise
    for path in old_versions:
        versions.remove(path)
    with storage(config.artifact_root, "An artifact cannot be removed; `marquee gc` tries again."):
        for artifact in old:
            remove_files(config, artifact)
    if not marked:
        _mark(store, old)
    return removal


def _mark(store: Store, old: list[mlmd.Artifact]) -> None:
    for artifact in old:
        artifact.state = mlmd.Artifact.DELETED
    if old:
        store.raw.put_artifacts(old)


def _kept(config: PipelineConfig, store: Store, keep: int, releases: list[Release]) -> set[int]:
    runs = read_runs(config)
    finished = [position for position, run in enumerate(runs) if run.state in ("done", "cached")]
    # Also the runs in between that did not finish: the next one takes up what they had completed.
    first = finished[-keep:][0] if finished else 0
    roots = {
        artifact.id
        for run in runs[first:]
        for node in run.nodes.values()
        for artifacts in node.outputs.values()
        for artifact in artifacts
    }
    roots |= {release.model_id for release in releases} | {release.blessing_id for release in releases}
    blessings = [(artifact, properties(artifact)) for artifact in store.artifacts("ModelBlessing")]
    blessed = [(one, of) for one, of in blessings if makes_baseline(of) and one.state == mlmd.Artifact.LIVE]
    live = {one.id for one in store.artifacts("Model") if one.state == mlmd.Artifact.LIVE}
    baseline = [(one.id, of["current_model_id"]) for one, of in blessed if of.get("current_model_id") in live]
    roots |= set(baseline[-1]) if baseline else set()
    kept_versions = {release.version for release in releases}
    roots |= {
        artifact.id
        for artifact in store.artifacts("PushedModel")
        if properties(artifact).get("pushed_version") in kept_versions
    }
    kept = _with_ancestors(store, roots - {0})
    # A kept model that is blessed stays so: it may be the baseline of a run that is to come from the cache.
    models = {artifact.id for artifact in store.artifacts("Model")} & kept
    kept |= _tuned(store, kept)
    latest = {of["current_model_id"]: one.id for one, of in blessed if of.get("current_model_id") in models}
    return kept | set(latest.values())


def _tuned(store: Store, kept: set[int]) -> set[int]:
    """The best hyperparameters that runs go on reusing, with the trials behind these and behind kept ones."""
    everything = store.artifacts(_HYPERPARAMETERS)
    live = [one for one in everything if one.state == mlmd.Artifact.LIVE]
    latest = {properties(one).get("purpose"): one.id for one in live}
    found = {one.id for one in everything if one.id in kept} | set(latest.values())
    events = store.raw.get_events_by_artifact_ids(sorted(found)) if found else []
    made_by = {event.execution_id for event in events if event.type == mlmd.Event.OUTPUT}
    events = store.raw.get_events_by_execution_ids(sorted(made_by)) if made_by else []
    return {event.artifact_id for event in events if event.type == mlmd.Event.OUTPUT}


def _with_ancestors(store: Store, ids: Iterable[int]) -> set[int]:
    # What hyperparameters were searched on is of no use to those who take them, and may be large and old.
    ends = {artifact.id for artifact in store.artifacts(_HYPERPARAMETERS)}
    kept: set[int] = set()
    bases: set[int] = set()
    new = set(ids)
    while new:
        kept |= new
        made = sorted(new - ends)
        events = store.raw.get_events_by_artifact_ids(made) if made else []
        made_by = {event.execution_id for event in events if event.type == mlmd.Event.OUTPUT}
        events = store.raw.get_events_by_execution_ids(sorted(made_by)) if made_by else []
        inputs = [event for event in events if event.type == mlmd.Event.INPUT]
        bases |= {event.artifact_id for event in inputs if _key(event) == _STARTED_FROM}
        new = {
            event.artifact_id
            for event in inputs
            if not _key(event).startswith(_COMPARED) and _key(event) != _STARTED_FROM
        } - kept
    return kept | bases


def _key(event: mlmd.Event) -> str:
    return next((step.key for step in event.path.steps if step.key), "")


def _size(folders: Iterable[Path]) -> int:
    """Bytes of files all of whose names are in these folders."""
    files: dict[tuple[int, int], tuple[int, int, int]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                stat = path.stat()
                names = files.get((stat.st_dev, stat.st_ino), (0, 0, 0))[0]
                files[(stat.st_dev, stat.st_ino)] = (names + 1, stat.st_nlink, stat.st_size)
    return sum(size for names, links, size in files.values() if names >= links)
