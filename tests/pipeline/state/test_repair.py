"""What was lost or damaged is found and brought back; on a real ML Metadata. Whole runs are in tests/e2e."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from components.shared.artifacts import BLESSING, COMPONENT_ID, PUSH, SERVING_FOLDER
from components.shared.errors import LockedError, ModelError
from pipeline.config import PipelineConfig, load_config
from pipeline.operations import garbage, release
from pipeline.operations.history import history
from pipeline.state import recovery, repair
from pipeline.state.locking import locked
from pipeline.state.store import Output, Store, connection_config, open_store, properties


class Root:
    """A pipeline's root with what `push` and `make` have put there."""

    def __init__(self, folder: Path) -> None:
        self.config: PipelineConfig = load_config(None, [f"root={folder}", "name=p"])
        self.config.pipeline_root.mkdir(parents=True)
        raw = MetadataStore(connection_config(self.config))
        kind = raw.put_context_type(mlmd.ContextType(name="pipeline"))
        raw.put_contexts([mlmd.Context(type_id=kind, name="p")])
        store = open_store(self.config)
        assert store
        self.store: Store = store

    def make(self, node: str, key: str, kind: str, files: dict[str, bytes]) -> mlmd.Artifact:
        """An artifact that a component has made."""
        execution = self.store.start(node, node, {}, {})
        folder = self.config.artifact_root / node / key / str(execution.id)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        (made,) = self.store.complete(execution, node, [Output(key, kind, str(folder), {})])
        repair.record(self.config, node)
        return self.artifact(made)

    def push(self, content: bytes) -> Path:
        """A model, and the version that it was pushed as."""
        files = {
            "saved_model.pb": content,
            "variables/x": content * 9,
            "assets.extra/movies.parquet": b"movies",
        }
        export = {f"{SERVING_FOLDER}/{name}": of for name, of in files.items()}
        model = self.make("MovieTrainer", "model", "Model", export)
        execution = self.store.start("Pusher", "Pusher", {"model": model}, {})
        path, marker = versions.push(
            Path(model.uri) / SERVING_FOLDER,
            self.config.serving_model_dir,
            versions.Marker(
                PUSH,
                model.id,
                model.uri,
                "r",
                execution.id,
                blessing_id=model.id,
                metrics={"auc": 0.7},
            ),
        )
        recovery.record(self.config, self.store, execution, "Pusher", marker)
        return path

    def artifact(self, id_: int) -> mlmd.Artifact:
        (found,) = self.store.raw.get_artifacts_by_id([id_])
        return found

    def archive(self) -> Path:
        """Folder of the newest copy that a push kept."""
        return Path(self.store.artifacts("PushedModel")[-1].uri)


@pytest.fixture
def root(tmp_path) -> Root:
    return Root(tmp_path)


# --- the version that is served


def test_a_lost_serving_folder_comes_back_under_its_number_from_the_copy_of_the_push(root):
    root.push(b"old")
    path = root.push(b"new")
    marker = versions.read_marker(path)
    shutil.rmtree(root.config.serving_model_dir)
    (sentence,) = repair.restore(root.config, root.store)
    assert sentence == (
        f"version {path.name} was gone from serving/, and is back from the copy that its push kept"
    )
    assert versions.versions(root.config.serving_model_dir) == [path]
    assert versions.read_marker(path) == marker
    assert versions.damage(path, marker.model_digest) == ""
    assert repair.repair(root.config, root.store) == []


def test_without_that_copy_it_comes_back_from_the_model(root):
    path = root.push(b"new")
    shutil.rmtree(path)
    shutil.rmtree(root.archive())
    (sentence, copy) = repair.repair(root.config, root.store)
    assert "is back from model" in sentence
    assert "is made again" in copy
    assert versions.digest(path) == versions.digest(root.archive()) == versions.read_marker(path).model_digest
    assert repair.repair(root.config, root.store) == []


@pytest.mark.parametrize("lost", ["variables", "saved_model.pb", "assets.extra/movies.parquet"])
def test_a_damaged_version_is_made_whole(root, lost):
    path = root.push(b"new")
    marker = versions.read_marker(path)
    shutil.rmtree(path / lost) if (path / lost).is_dir() else (path / lost).unlink()
    (sentence,) = repair.restore(root.config, root.store)
    assert f"version {path.name} was damaged (" in sentence
    assert versions.damage(path, marker.model_digest) == ""
    assert [one.name for one in path.parent.iterdir() if one.is_dir()] == [path.name]


def test_a_file_cut_short_under_both_its_names_comes_from_the_model(root):
    path = root.push(b"new")
    (path / "saved_model.pb").write_bytes(b"n")  # a hard link: the kept copy has it too
    assert "is back from model" in repair.restore(root.config, root.store)[0]
    assert (path / "saved_model.pb").read_bytes() == b"new"


def test_what_cannot_be_brought_back_is_pushed_again(root):
    path = root.push(b"new")
    for folder in (path, root.archive(), *root.config.artifact_root.glob("MovieTrainer/model/*")):
        shutil.rmtree(folder)
    (sentence,) = repair.restore(root.config, root.store)
    assert "the Pusher runs again" in sentence
    assert root.store.artifacts("PushedModel")[-1].state == mlmd.Artifact.DELETED
    assert repair.restore(root.config, root.store) == []


def test_rollback_brings_back_a_version_that_is_gone(root):
    old, new = root.push(b"old"), root.push(b"new")
    shutil.rmtree(root.config.serving_model_dir)
    # The one pushed last: it is served again as it was.
    assert release.rollback(root.config, root.store, new.name).version == new.name
    assert versions.versions(root.config.serving_model_dir) == [new]
    done = release.rollback(root.config, root.store, old.name)
    assert (done.state, done.of_version) == ("served", old.name)
    assert old.is_dir()
    assert versions.digest(root.config.serving_model_dir / done.version) == versions.digest(old)


def test_rollback_without_a_number_goes_before_the_one_that_was_lost(root):
    old, new = root.push(b"old"), root.push(b"new")
    shutil.rmtree(new)
    assert release.rollback(root.config, root.store, None).of_version == old.name


def test_rollback_to_what_is_damaged_for_good_is_refused(root):
    old, _ = root.push(b"old"), root.push(b"new")
    model = properties(root.store.artifacts("PushedModel")[0])["model_uri"]
    (old / "saved_model.pb").write_bytes(b"other")
    (Path(model) / SERVING_FOLDER / "saved_model.pb").unlink()
    with pytest.raises(ModelError, match="not what was pushed"):
        release.rollback(root.config, root.store, old.name)


def test_who_has_lost_the_lock_changes_nothing(root):
    pushed = [root.push(content) for content in (b"1", b"2", b"3")]
    with locked(root.config.pipeline_root, "gc"):
        (root.config.pipeline_root / ".lock").unlink()
        with pytest.raises(LockedError, match="was lost"):
            garbage.collect(root.config, root.store, 1)
        with pytest.raises(LockedError, match="was lost"):
            release.rollback(root.config, root.store, None)
    assert versions.versions(root.config.serving_model_dir) == pushed
    assert all(artifact.state == mlmd.Artifact.LIVE for artifact in root.store.artifacts("PushedModel"))


# --- what is no version


def test_gc_leaves_what_nobody_has_pushed_and_keeps_the_real_versions(root):
    pushed = [root.push(content) for content in (b"1", b"2", b"3")]
    stray = root.config.serving_model_dir / "9999999999"
    stray.mkdir()
    (sentence,) = repair.strays(root.config, root.store)
    assert str(stray) in sentence
    removal = garbage.collect(root.config, root.store, 2)
    assert removal.versions == pushed[:1]
    assert versions.versions(root.config.serving_model_dir) == pushed[1:]
    assert stray.is_dir()
    assert history(root.config, root.store)[-1].state == "served"


def test_gc_keeps_what_a_lost_serving_folder_can_be_made_of(root):
    path = root.push(b"new")
    shutil.rmtree(root.config.serving_model_dir)
    garbage.collect(root.config, root.store, 1)
    assert "is back from the copy" in repair.restore(root.config, root.store)[0]
    assert path.is_dir()


# --- the artifacts


def test_a_file_cut_short_gives_the_artifact_up(root):
    """And with it goes what TFX could take from its cache; the others are left as they are, to the last bit."""
    good = root.make(
        "StatisticsGen", "statistics", "ExampleStatistics", {"Split-train/FeatureStats.pb": b"12"}
    )
    bad = root.make("Transform", "transformed_examples", "Examples", {"Split-train/a.gz": b"12", "b": b""})
    assert repair.check(root.config, root.store) == []
    (Path(bad.uri) / "Split-train" / "a.gz").write_bytes(b"1")
    (sentence,) = repair.check(root.config, root.store)
    assert sentence == (
        f"Examples {bad.id} (Transform/transformed_examples/{Path(bad.uri).name}) was damaged: Split-train/a.gz has"
        " 1 bytes, expected 2 bytes; it is made again where it is needed"
    )
    assert root.artifact(bad.id).state == mlmd.Artifact.DELETED
    assert "Split-train/a.gz" in properties(root.artifact(bad.id))["damaged"]
    assert not Path(bad.uri).exists()
    assert root.artifact(good.id) == good
    assert repair.check(root.config, root.store) == []


def test_a_folder_that_is_gone_is_noticed_also_where_its_files_were_never_recorded(root):
    bad = root.make("Transform", "transform_graph", "TransformGraph", {"a": b"12"})
    (execution,) = root.store.executions()
    del execution.custom_properties["files"]
    root.store.raw.put_executions([execution])
    shutil.rmtree(bad.uri)
    (sentence,) = repair.check(root.config, root.store)
    assert "its folder is gone" in sentence


def test_artifacts_of_before_are_recorded_when_they_are_first_seen(root):
    artifact = root.make("Transform", "transform_graph", "TransformGraph", {"a": b"12"})
    (execution,) = root.store.executions()
    del execution.custom_properties["files"]
    root.store.raw.put_executions([execution])
    assert repair.check(root.config, root.store) == []
    (Path(artifact.uri) / "a").unlink()
    assert "a is gone, expected 2 bytes" in repair.check(root.config, root.store)[0]


def test_gc_keeps_the_baseline_that_is_left_where_the_newest_blessed_model_was_damaged(root):
    """That is the model before it, however old it is."""
    old = root.make("MovieTrainer", "model", "Model", {"a": b"12"})
    new = root.make("MovieTrainer", "model", "Model", {"a": b"12"})
    for model in (old, new):
        execution = root.store.start("Blessing", "Blessing", {"model": model}, {})
        blessed = {"blessed": 1, "current_model_id": model.id, COMPONENT_ID: BLESSING}
        folder = root.config.artifact_root / "Blessing" / str(execution.id)
        folder.mkdir(parents=True)
        root.store.complete(
            execution, "Blessing", [Output("blessing", "ModelBlessing", str(folder), blessed)]
        )
    shutil.rmtree(new.uri)
    (sentence,) = repair.check(root.config, root.store)
    assert "until then the blessed model before it is the baseline" in sentence
    garbage.collect(root.config, root.store, 1)
    assert root.artifact(old.id).state == mlmd.Artifact.LIVE
