"""The pipeline as a PipelineSpec of Kubeflow Pipelines v2, whose tasks call the command.

Not by TFX's KubeflowV2DagRunner: it refuses resolvers and artifact types that are not TFX's own, its executors get
integers as floats and ids as hashes, and what they make is in no ML Metadata that `marquee status`, a baseline or a
rollback could ask. Here a node is what it is under the other orchestrators.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from kfp import compiler, dsl, kubernetes

from components.shared.errors import ConfigError
from components.shared.storage import storage, write_aside
from pipeline.config import SCHEMA, PipelineConfig
from pipeline.sections import BUILTIN
from pipeline.yaml_text import find_file, read_file


def check(config: PipelineConfig, mount: str) -> None:
    """Checks that the pods can reach what the configuration names.

    Raises:
        ConfigError: The mount is no whole path; the root, the schema or the ratings are not below it.
    """
    volume = PurePosixPath(mount)
    if not volume.is_absolute() or volume == PurePosixPath("/"):
        raise ConfigError(
            "The volume is mounted at no folder.",
            where="--mount",
            found=mount,
            expected="a path such as /marquee",
        )
    named = {"root": config.root, "data.path": config.data.path}
    if config.schema_path != str(SCHEMA):
        named["schema_path"] = config.schema_path
    for key, value in named.items():
        if key == "data.path" and (value.startswith(BUILTIN) or "://" in value):
            continue
        path = PurePosixPath(value)
        if volume not in path.parents or ".." in path.parts:
            raise ConfigError(
                "The pods do not see this path.",
                where=f"key {key}",
                found=value,
                expected=f"a path on the volume, below {mount}"
                + (", s3://..., gs://... or builtin:ml-100k" if key == "data.path" else ""),
                fix=f"--set {key}={volume / key.split('.')[0]}, say, or another --mount",
            )


def write_spec(
    path: Path,
    name: str,
    graph: Mapping[str, Sequence[str]],
    options: Sequence[str],
    image: str,
    volume: str,
    mount: str,
    secrets: Sequence[str],
) -> None:
    """Writes the PipelineSpec (schema 2.1, YAML), of a container task a node.

    Args:
        path: The file.
        name: Of the pipeline.
        graph: Each node with those that it comes after.
        options: Of the command, the same for each node.
        image: With `marquee` on its PATH, see the Dockerfile.
        volume: The PersistentVolumeClaim that holds the root, and the ratings where they are files.
        mount: Where the pods see it.
        secrets: `NAME=KEY[,KEY...]` each: keys of a Kubernetes secret, which become environment variables.

    Raises:
        ConfigError: One of the secrets is written otherwise.
        StorageError: The file cannot be written.
    """
    variables = [_secret(one) for one in secrets]

    def pipeline() -> None:
        tasks: dict[str, Any] = {}
        for node, above in graph.items():
            # The launcher fills in a task's parameters, and only there the id of the run.
            task = _component(node, image, options)(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
            task.set_display_name(node)
            task.set_caching_options(False)  # ML Metadata knows better what has changed
            task.after(*(tasks[one] for one in above))
            kubernetes.mount_pvc(task, pvc_name=volume, mount_path=mount)
            for secret, keys in variables:
                kubernetes.use_secret_as_env(task, secret, {key: key for key in keys})
            tasks[node] = task

    pipeline.__annotations__.clear()  # which kfp reads, and takes texts for types of artifacts
    named = dsl.pipeline(name=re.sub("[^a-z0-9]+", "-", name.lower()).strip("-"), display_name=name)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(named(pipeline), str(made))
        text = made.read_text(encoding="utf-8")
    with storage(path.parent, "The PipelineSpec cannot be written."):
        write_aside(path, text)


def inlined(file: str | None, overrides: Sequence[str], defaults: Mapping[str, Any]) -> list[str]:
    """The options of the command with a configuration file's keys in its place, as the file is not in the pods.

    Args:
        file: Of `--config`.
        overrides: Of `--set`.
        defaults: Keys that hold where neither says otherwise.

    Raises:
        ConfigError: The file is missing, or is no YAML.
    """
    keys = {**defaults, **(read_file(find_file(file)) if file else {})}
    written = [
        f"{key}={yaml.safe_dump(value, default_flow_style=True, width=10**9)}" for key, value in keys.items()
    ]
    return [
        f"--set={one.removesuffix(chr(10)).removesuffix(chr(10) + '...')}" for one in (*written, *overrides)
    ]


def _component(node: str, image: str, options: Sequence[str]) -> Any:
    def component(run: str) -> Any:
        return dsl.ContainerSpec(
            image=image, command=["marquee"], args=["node", node, "--run", run, *options]
        )

    component.__name__ = node
    component.__annotations__ = {"run": str, "return": dsl.ContainerSpec}
    return dsl.container_component(component)


def _secret(given: str) -> tuple[str, list[str]]:
    name, _, keys = given.partition("=")
    found = [key.strip() for key in keys.split(",") if key.strip()]
    if not name or not found:
        raise ConfigError(
            "This names no keys of a secret.",
            where="--secret",
            found=given,
            expected="its name and its keys, such as marquee=MARQUEE_METADATA_PASSWORD,MARQUEE_WEBHOOK",
        )
    return name, found
