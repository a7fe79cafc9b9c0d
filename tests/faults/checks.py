"""What must hold of a pipeline's root whenever no process is at it."""

from __future__ import annotations

from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.pusher import versions
from pipeline.config import PipelineConfig
from pipeline.state.store import open_store


def check_at_rest(config: PipelineConfig) -> None:
    """Nothing half-made can be resolved or served; holds at every moment, also right after a kill."""
    for version in versions.versions(config.serving_model_dir):
        marker = versions.read_marker(version)
        assert marker, version
        assert versions.digest(version) == marker.model_digest, f"{version} is not whole"
    try:
        store = open_store(config)
    except Exception as error:  # the message is the point
        raise AssertionError(f"ML Metadata is damaged: {error}") from error
    for artifact in store.artifacts() if store else []:
        if artifact.state == mlmd.Artifact.LIVE:
            assert Path(artifact.uri).exists(), f"{artifact.uri} is recorded as good and is not there"


def check_put_right(config: PipelineConfig) -> None:
    """After the next start nothing of the dead process is left either."""
    check_at_rest(config)
    store = open_store(config)
    assert store
    states = {execution.last_known_state for execution in store.executions()}
    assert not states & {mlmd.Execution.RUNNING, mlmd.Execution.NEW}
    live = {artifact.uri for artifact in store.artifacts() if artifact.state == mlmd.Artifact.LIVE}
    outputs = {str(path) for path in config.artifact_root.glob("*/[!.]*/*")}
    assert outputs <= live, f"left behind: {outputs - live}"
    assert not [path for path in config.serving_model_dir.glob(".*") if path.is_dir()]
    assert not (config.pipeline_root / "tmp").exists()
    of_models = [marker.model_digest for marker in map(versions.read_marker, _versions(config)) if marker]
    assert len(of_models) == len(set(of_models)), "a model was pushed twice"


def _versions(config: PipelineConfig) -> list[Path]:
    return versions.versions(config.serving_model_dir)
