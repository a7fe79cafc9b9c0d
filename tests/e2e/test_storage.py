"""A full disk and a read-only target: a clear error, and the version before is served still. Real file systems."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from components.shared.errors import StorageError
from pipeline.state.locking import locked
from tests.components.pusher.test_versions import MARKER, saved_model
from tests.faults.checks import check_put_right
from tests.pipeline.state.test_repair import Root


@pytest.fixture
def tmpfs(tmp_path) -> Iterator[Path]:
    """A file system of 3 MB of its own."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            return path


def read_only(folder: Path, yes: bool) -> None:
    subprocess.run(["mount", "-o", f"remount,{'ro' if yes else 'rw'}", str(folder)], check=True)


def test_push_to_a_full_disk(tmpfs, tmp_path):
    base = tmpfs / "serving"
    older, _ = versions.push(saved_model(tmp_path / "old", b"old"), base, replace(MARKER, blessing_id=1))
    large = saved_model(tmp_path / "large", b"x" * 2500)
    ballast = fill(tmpfs)
    with pytest.raises(StorageError, match="No space left on device") as error:
        versions.push(large, base, MARKER)
    assert "served version is as before" in str(error.value)
    assert "marquee gc" in str(error.value)
    assert versions.versions(base) == [older]
    assert not list(base.glob(".pushing*"))
    ballast.unlink()
    assert versions.push(large, base, MARKER)[0] == versions.versions(base)[-1]


def test_push_to_a_read_only_target(tmpfs, tmp_path):
    base = tmpfs / "serving"
    older, _ = versions.push(saved_model(tmp_path / "old", b"old"), base, replace(MARKER, blessing_id=1))
    read_only(tmpfs, True)
    with pytest.raises(StorageError, match="Read-only file system") as error:
        versions.push(saved_model(tmp_path / "model"), base, MARKER)
    assert str(base) in str(error.value)
    assert versions.versions(base) == [older]
    with pytest.raises(StorageError, match="root cannot be written"), locked(tmpfs, "run"):
        pass
    read_only(tmpfs, False)


@pytest.mark.long
def test_run_on_a_full_disk(tmpfs, marquee, small_slice):
    """Refused before TFX is imported where there is room for nothing, stopped with the cause where it runs out."""
    options = ["--set", f"data.path={small_slice}", "--set", f"root={tmpfs}", "--set", "model.epochs=1"]
    ballast = fill(tmpfs)
    done = marquee("run", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    # Room for the metadata and the examples, not for what follows.
    os.truncate(ballast, 3 * 2**20 - 1_200_000)
    done = marquee("run", *options)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "No space left on device" in done.stderr, done.stdout + done.stderr
    assert "free some space" in done.stderr
    assert not versions.versions(tmpfs / "ml-slice" / "serving")


def test_run_on_a_read_only_root(tmpfs, marquee, small_slice):
    read_only(tmpfs, True)
    done = marquee("run", "--set", f"data.path={small_slice}", "--set", f"root={tmpfs}")
    read_only(tmpfs, False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Read-only file system" in done.stderr
    assert "mount it writable" in done.stderr


def test_gc_on_a_full_disk_frees_space(tmpfs, marquee):
    """Also where an execution is to be given up first, for which ML Metadata has no room."""
    root = Root(tmpfs)
    old = root.make("Transform", "transformed_examples", "Examples", {"a": bytes(1_000_000)})
    versions_ = [root.push(content * 20) for content in (b"old", b"new")]
    root.store.start("Transform", "Transform", {}, {})
    fill(tmpfs)
    assert os.statvfs(tmpfs).f_bavail == 0
    done = marquee("gc", "--keep", "1", "--set", f"root={tmpfs}", "--set", "name=p")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "3 artifacts and 1 versions are removed" in done.stdout
    assert not Path(old.uri).exists()
    assert root.artifact(old.id).state == mlmd.Artifact.DELETED
    assert versions.versions(root.config.serving_model_dir) == versions_[1:]
    check_put_right(root.config)
    root.store.raw = None  # or its file is in use still


COMMANDS = [
    (["status"], 0),
    (["history"], 0),
    (["explain"], 1),
    (["rollback"], 1),
    (["bless", "--force", "--reason", "x"], 1),
    (["gc", "--keep", "1"], 1),
]


def test_commands_on_a_read_only_root(tmpfs, marquee):
    """Those that only read answer, the others say why they do not."""
    root = Root(tmpfs)
    for content in (b"old", b"new"):
        root.push(content)
    root.store.raw = None  # or its file is in use still
    read_only(tmpfs, True)
    for command, code in COMMANDS:
        done = marquee(*command, "--set", f"root={tmpfs}", "--set", "name=p")
        assert done.returncode == code, (command, done.stdout + done.stderr)
        assert "Traceback" not in done.stderr, command
        assert "Read-only file system" in done.stderr or code == 0 or command == ["explain"]
    read_only(tmpfs, False)


def test_commands_on_a_read_only_file_of_ml_metadata(tmp_path, marquee):
    root = Root(tmp_path)
    for content in (b"old", b"new"):
        root.push(content)
    before = versions.versions(root.config.serving_model_dir)
    root.store.raw = None
    file = str(root.config.metadata_path)
    done = subprocess.run(["mount", "--bind", file, file], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", file], check=True)
        for command, code in COMMANDS:
            done = marquee(*command, "--set", f"root={tmp_path}", "--set", "name=p")
            assert done.returncode == code, (command, done.stdout + done.stderr)
            assert "Traceback" not in done.stderr, command
            if command[0] in ("rollback", "gc"):
                assert "Read-only file system" in done.stderr, command
    finally:
        subprocess.run(["umount", file], check=True)
    assert versions.versions(root.config.serving_model_dir) == before


@pytest.mark.parametrize("command", ["status", "history", "explain", "gc --keep 1", "rollback"])
@pytest.mark.parametrize("root", ["file", "too long"])
def test_a_root_that_can_be_none(tmp_path, marquee, command, root):
    (tmp_path / "file").touch()
    path = tmp_path / "file" if root == "file" else f"{tmp_path}/{'x' * 5000}"
    done = marquee(*command.split(), "--set", f"root={path}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "Error: The pipeline's root" if root == "file" else "Error: The path of the"
    )
