"""Runs one node of a pipeline in this process, as LocalDagRunner would: for orchestrators with a task a node.

TFX leaves it to the orchestrator that a node starts after those above it; here it is checked. Between two nodes nobody
holds the lock, so it is also checked that no other run has come in between: what this one was compared with might not
be what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from components.pusher import versions
from components.shared.errors import ConfigError, MarqueeError
from pipeline.config import PipelineConfig
from pipeline.runners.local import Observer, launching
from pipeline.state.runs import Run, read_runs

_ENDED = ("done", "cached")


def graph(pipeline: Pipeline) -> dict[str, list[str]]:
    """Each node, in an order in which they can run, with those that it comes after."""
    compiled = compiler.Compiler().compile(pipeline)
    return {
        one.pipeline_node.node_info.id: sorted(one.pipeline_node.upstream_nodes) for one in compiled.nodes
    }


def run(pipeline: Pipeline, name: str, run_id: str, config: PipelineConfig, observe: Observer) -> Run:
    """Runs a node, and returns the run so far; what the node raises is raised here.

    Args:
        pipeline: Of the same configuration as the nodes before.
        name: The node.
        run_id: The run.
        config: Where ML Metadata is.
        observe: Called when it starts and when it ends.

    Raises:
        ConfigError: There is no such node, those that it comes after have not completed in this run, or another run has
            started or another version was pushed since.
        MarqueeError: The node's inputs are not there.
    """
    compiled = compiler.Compiler().compile(pipeline)
    nodes = {one.pipeline_node.node_info.id: one.pipeline_node for one in compiled.nodes}
    if name not in nodes:
        raise ConfigError(
            "There is no such node.", where="NAME", found=name, expected=f"one of {', '.join(nodes)}"
        )
    runs = read_runs(config)
    _check_turn(name, run_id, nodes[name].upstream_nodes, runs)
    _check_served(config.serving_model_dir, _of(run_id, runs))
    with launching(pipeline, observe):
        _launch(compiled, nodes[name], run_id)
    found = _of(run_id, read_runs(config))
    # A launcher that could not resolve its inputs returns as if all were well.
    if not found or name not in found.nodes or found.nodes[name].state not in _ENDED:
        raise MarqueeError(
            f"{name} did not run: what it reads is not there.",
            where=f"run {run_id}",
            fix="run the nodes that it comes after again, with the same --run",
        )
    return found


def _launch(compiled: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode, run_id: str) -> None:
    """As `LocalDagRunner.run_with_ir` does for each node."""
    runtime_parameter_utils.substitute_runtime_parameter(
        compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    deployment = runner_utils.extract_local_deployment_config(compiled)
    connection = deployment.metadata_connection_config
    name = node.node_info.id
    launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=metadata.Metadata(getattr(connection, connection.WhichOneof("connection_config"))),
        pipeline_info=compiled.pipeline_info,
        pipeline_runtime_spec=compiled.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, name),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
    ).launch()


def _check_turn(name: str, run_id: str, upstream: Sequence[str], runs: Sequence[Run]) -> None:
    own = _of(run_id, runs)
    states = {one: own.nodes[one].state if own and one in own.nodes else "not run" for one in upstream}
    waiting = [f"{one} ({state})" for one, state in states.items() if state not in _ENDED]
    if waiting:
        raise ConfigError(
            f"{name} comes after what has not completed in this run.",
            where=f"run {run_id}",
            found=", ".join(waiting),
            expected="done or cached",
            fix="run those first, with the same --run",
        )
    if own and own is not runs[-1]:
        raise ConfigError(  # which no retry heals
            "Another run has started since this one.",
            where=f"run {run_id}",
            found=f"run {runs[-1].id}",
            expected="one run at a time, as what a model is compared with may have changed",
            fix="start a new run",
        )


def _check_served(serving: Path, own: Run | None) -> None:
    """A rollback between two nodes must not be undone by a model that was compared with what was served before."""
    served = versions.versions(serving)[-1:]
    marker = versions.read_marker(served[0]) if served else None
    if own and marker and marker.run_id != own.id and datetime.fromisoformat(marker.pushed_at) > own.started:
        raise ConfigError(
            "Another version has been pushed since this run started.",
            where=f"run {own.id}",
            found=f"version {marker.version} of {marker.pushed_at} ({marker.kind})",
            expected="the version that this run is compared with",
            fix="start a new run",
        )


def _of(run_id: str, runs: Sequence[Run]) -> Run | None:
    return next((one for one in reversed(runs) if one.id == run_id), None)
