"""`marquee node`, `marquee airflow` and `marquee kubeflow`: the pipeline as tasks of an orchestrator."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from components.shared.artifacts import PUSHER
from pipeline.cli.options import configured, flags_of, path_type, short, verbosely
from pipeline.cli.report import reporting
from pipeline.cli.run import Ending, report, tell_node, telling
from pipeline.cli.session import execute, session
from pipeline.operations.outcome import ExitCode

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.config import PipelineConfig
    from pipeline.state.runs import Run


@click.command()
@click.argument("name")
@click.option(
    "--run", "run_id", required=True, metavar="ID", help="The run that it is of, the same for all nodes."
)
@configured
@verbosely
def node(name: str, run_id: str, file: str | None, overrides: tuple[str, ...], verbose: bool) -> None:
    """Run one node of the pipeline, for orchestrators with a task a node.

    NAME is one of the lines that `marquee run` prints. It refuses to start before the nodes that it comes after have
    completed in this run, and where another run has started since. Pusher, the last one, ends with 3 where the model
    was refused; else exit codes are those of `marquee run`. Waits for another process on this pipeline.

    \b
    Examples:
      marquee node RatingsExampleGen --run 2026-11-26
    """
    from pipeline.config import load_config

    config = load_config(file, overrides)
    config.data.source()
    with telling(config, failed_alone=name != PUSHER) as ending:
        blessed = _run_node(config, name, run_id, verbose, flags_of(file, overrides), ending)
    sys.exit(ExitCode.DONE if blessed else ExitCode.REFUSED)


def _run_node(
    config: PipelineConfig, name: str, run_id: str, verbose: bool, flags: str, ending: Ending
) -> bool:
    """Whether the model is blessed, for the node that ends a run; True for the others."""
    found: list[Run] = []
    # As a name of folders.
    safe_id = re.sub(r"[^\w.:+-]", "-", run_id)

    def create() -> Pipeline:
        from pipeline.pipeline import create_pipeline

        return create_pipeline(config)

    with (
        session(config, "node", True, verbose, f"{name} of run {run_id}") as (console, log),
        # The component Report comes after the Pusher, and does not run where that has refused.
        reporting(console, config, safe_id, failed_alone=name != PUSHER),
    ):
        ending.log = log

        def run(pipeline: Pipeline, observe: object) -> None:
            from pipeline.runners import node as runner

            found.append(runner.run(pipeline, name, safe_id, config, observe))  # type: ignore[arg-type]

        execute(console, config, log, create, lambda *ended: tell_node(console, config, *ended), run=run)
        (done,) = found
        blessed = name != PUSHER or report(console, config, done, flags)
        ending.run = done
        return blessed


@click.command()
@click.option(
    "--out", type=path_type, default=Path("dags"), show_default=True, help="Airflow's folder of DAGs."
)
@click.option("--schedule", metavar="CRON", help="When, such as '0 3 * * *'; default: when it is triggered.")
@configured
def airflow(out: Path, schedule: str | None, file: str | None, overrides: tuple[str, ...]) -> None:
    """Write two DAGs for Airflow 2.11: the run as one task, and a task a component.

    They call this installation with these options; Airflow may be in an environment of its own. A refused model and bad
    data fail a task at once, what is worth a retry is tried again. Take one of the two; new DAGs are paused.

    \b
    Examples:
      marquee airflow --out ~/airflow/dags --schedule '0 3 * * *' --config my.yaml
    """
    from pipeline.cli.console import captured, spinner
    from pipeline.config import load_config
    from pipeline.operations.airflow import write_dags
    from pipeline.runners.loading import loading

    config = load_config(file, overrides)
    config.data.source()
    with captured(None) as console:
        with spinner(console, "Loading TFX..."), loading(config.tuning.tune, bool(config.beam.args)):
            from pipeline.pipeline import create_pipeline
            from pipeline.runners.node import graph

            nodes = graph(create_pipeline(config))
        for path, sentence in write_dags(out, config.name, nodes, file, overrides, schedule):
            console.print(f"{short(path)}: {sentence}", soft_wrap=True)
        console.print(f"Next: airflow dags unpause {config.name}", soft_wrap=True)


@click.group()
def kubeflow() -> None:
    """The pipeline on Kubeflow Pipelines v2."""


@kubeflow.command("compile")
@click.option("--image", required=True, help="With this installation, see the Dockerfile.")
@click.option("--volume", required=True, metavar="PVC", help="The PersistentVolumeClaim that holds the root.")
@click.option("--mount", default="/marquee", show_default=True, help="Where the pods see it.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=KEY,...",
    help="Keys of a Kubernetes secret, as environment variables. Repeatable.",
)
@click.option(
    "--out", type=path_type, default=Path("pipeline.yaml"), show_default=True, help="The PipelineSpec."
)
@configured
def compile_spec(
    image: str,
    volume: str,
    mount: str,
    secrets: tuple[str, ...],
    out: Path,
    file: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Write the PipelineSpec, in which each node is a container task: `marquee node NAME`.

    The keys of --config go into the spec. Root and ratings lie on the volume; nothing is read from them here. Pods of
    several machines want ML Metadata on PostgreSQL (key metadata).

    \b
    Examples:
      marquee kubeflow compile --image registry/marquee:1 --volume marquee --set root=/marquee/root
    """
    from pipeline.cli.console import captured, spinner
    from pipeline.config import load_config
    from pipeline.operations.kubeflow import check, inlined, write_spec
    from pipeline.runners.loading import loading

    config = load_config(file, overrides)
    check(config, mount)
    with captured(None) as console:
        with spinner(console, "Loading TFX..."), loading(config.tuning.tune, bool(config.beam.args)):
            nodes = _graph_alone(config)
        options = inlined(file, overrides, {"name": config.name})
        write_spec(out, config.name, nodes, options, image, volume, mount, secrets)
        console.print(f"{short(out)}: PipelineSpec of {config.name}, {len(nodes)} tasks", soft_wrap=True)
        if config.metadata.kind == "sqlite":
            console.headed(
                "Warning",
                "yellow",
                ": ML Metadata is a file on the volume (SQLite), which pods of several machines may damage:"
                " take metadata.kind=postgresql, or a volume of one node.",
            )
        console.print(f"Next: kfp pipeline create -p {config.name} {short(out)}", soft_wrap=True)


def _graph_alone(config: PipelineConfig) -> dict[str, list[str]]:
    """The nodes of a pipeline of which nothing that its pods see is to be seen from here, or changes them."""
    from tempfile import TemporaryDirectory

    from pipeline.config import SCHEMA
    from pipeline.pipeline import create_pipeline
    from pipeline.runners.node import graph
    from pipeline.sections import BeamConfig, DataConfig, MetadataConfig

    with TemporaryDirectory() as root:
        elsewhere = {"root": root, "schema_path": str(SCHEMA), "data": DataConfig()}
        elsewhere |= {"metadata": MetadataConfig(), "beam": BeamConfig()}
        return graph(create_pipeline(config.model_copy(update=elsewhere)))
