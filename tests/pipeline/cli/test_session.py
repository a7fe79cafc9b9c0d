"""How a run that is broken off ends."""

from __future__ import annotations

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.shared.errors import LockedError, MarqueeError
from pipeline.cli.console import captured
from pipeline.cli.session import execute
from pipeline.config import PipelineConfig, load_config
from pipeline.state.locking import locked
from pipeline.state.store import Store, connection_config


def broken_off(config: PipelineConfig, run) -> list[BaseException | None]:
    """Has `run` executed in place of a runner; the errors that were told."""
    told: list[BaseException | None] = []
    with captured(None) as console:
        execute(
            console,
            config,
            config.log_dir / "log",
            lambda: None,
            lambda name, seconds, error: told.append(error),
            run=run,
        )
    return told


@pytest.mark.parametrize("lost", [False, True])
def test_who_has_lost_the_lock_leaves_the_runs_of_the_next_alone(tmp_path, lost):
    config = load_config(None, [f"root={tmp_path}"])

    def run(pipeline: object, observe: object) -> None:
        if lost:
            (config.pipeline_root / ".lock").unlink()
        raise RuntimeError("its temporary folder is gone")

    with locked(config.pipeline_root, "run"):
        raw = MetadataStore(connection_config(config))
        kind = raw.put_context_type(mlmd.ContextType(name="pipeline"))
        raw.put_contexts([mlmd.Context(type_id=kind, name=config.name)])
        of_next = Store(raw, config.name).start("Train", "Trainer", {}, {})
        with pytest.raises(MarqueeError) as error:
            broken_off(config, run)
    assert isinstance(error.value, LockedError) == lost
    assert ("The lock of this pipeline was lost" in str(error.value)) == lost
    (found,) = raw.get_executions_by_id([of_next.id])
    assert (found.last_known_state == mlmd.Execution.RUNNING) == lost


def test_a_server_that_goes_away_in_a_run_is_told_as_at_its_start(tmp_path, monkeypatch):
    monkeypatch.setenv("MARQUEE_METADATA_PASSWORD", "secret-of-the-server")
    overrides = ["metadata.kind=postgresql", "metadata.host=127.0.0.1", "metadata.port=1"]
    config = load_config(None, [f"root={tmp_path}", *overrides])

    def run(pipeline: object, observe: object) -> None:
        # As TFX wraps what ML Metadata says.
        try:
            MetadataStore(connection_config(config))
        except Exception as error:
            raise RuntimeError(f"Failed to establish connection: {error}") from error

    with pytest.raises(MarqueeError, match="failed: ML Metadata cannot be reached") as error:
        broken_off(config, run)
    assert "no connection: Connection refused" in str(error.value)
    assert "secret-of-the-server" not in str(error.value)
