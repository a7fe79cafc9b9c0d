"""The PipelineSpec as kfp loads it; `make test-kubeflow` executes its tasks."""

from __future__ import annotations

import kfp.components
import pytest
import yaml

from components.shared.errors import ConfigError, StorageError
from pipeline.config import load_config
from pipeline.operations.kubeflow import check, inlined, write_spec

GRAPH = {"First": [], "Gate": ["First"], "Last": ["First", "Gate"]}
PLACED = ["root=/marquee/root", "data.path=/marquee/data"]


def written(path, **changes):
    values = {
        "name": "It's_1.0",
        "graph": GRAPH,
        "options": ['--set=a="b"'],
        "image": "r/marquee:1",
        "volume": "claim",
        "mount": "/marquee",
        "secrets": ["hidden=ONE, TWO"],
    }
    write_spec(path, **{**values, **changes})
    return list(yaml.safe_load_all(path.read_text()))


def test_kfp_loads_a_task_a_node_after_those_above_it(tmp_path):
    spec, platform = written(tmp_path / "new" / "pipeline.yaml")
    assert kfp.components.load_component_from_file(str(tmp_path / "new" / "pipeline.yaml")).name == "it-s-1-0"
    assert spec["schemaVersion"].startswith("2.1")
    tasks = spec["root"]["dag"]["tasks"]
    assert {name: sorted(task.get("dependentTasks", [])) for name, task in tasks.items()} == {
        "first": [],
        "gate": ["first"],
        "last": ["first", "gate"],
    }
    assert [task["taskInfo"]["name"] for task in tasks.values()] == ["First", "Gate", "Last"]
    assert not any(task["cachingOptions"].get("enableCache") for task in tasks.values())
    container = spec["deploymentSpec"]["executors"]["exec-gate"]["container"]
    assert (container["image"], container["command"]) == ("r/marquee:1", ["marquee"])
    assert container["args"] == ["node", "Gate", "--run", "{{$.inputs.parameters['run']}}", '--set=a="b"']
    of_gate = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-gate"]
    assert of_gate["pvcMount"][0]["mountPath"] == "/marquee"
    assert [one["envVar"] for one in of_gate["secretAsEnv"][0]["keyToEnv"]] == ["ONE", "TWO"]


def test_what_is_in_a_configuration_file_is_the_same_configuration_without_it(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(
        "model: {name: mlp, hidden_units: [8]}\nname: 'yes'\nretrieval: null\nnotify: {metrics_file: /m/a b.prom}\n"
    )
    options = inlined(str(file), ["model.epochs=3"], {"name": "2024"})
    assert all(one.startswith("--set=") and "\n" not in one for one in options)
    again = load_config(None, [one.removeprefix("--set=") for one in options])
    assert again == load_config(str(file), ["model.epochs=3"])


@pytest.mark.parametrize("name", ["2024", "no", "1e3", "ml-1m"])
def test_a_name_stays_a_text(name):
    *options, last = inlined(None, ["model.epochs=3"], {"name": name})
    assert load_config(None, [one.removeprefix("--set=") for one in options]).name == name
    assert last == "--set=model.epochs=3"


def test_paths_below_the_volume_object_stores_and_built_in_data_are_seen_by_the_pods():
    for data in ("/marquee/data", "s3://bucket/folder", "builtin:ml-100k"):
        check(load_config(None, ["root=/marquee/root", f"data.path={data}"]), "/marquee")


@pytest.mark.parametrize(
    ("overrides", "mount", "where"),
    [
        ([PLACED[1]], "/marquee", "key root"),
        ([*PLACED, "root=/marquee"], "/marquee", "key root"),
        ([*PLACED, "data.path=/marquee/../data"], "/marquee", "key data.path"),
        ([*PLACED, "data.path=ml-1m"], "/marquee", "key data.path"),
        ([*PLACED, "schema_path=mine.pbtxt"], "/marquee", "key schema_path"),
        (PLACED, "marquee", "--mount"),
        (PLACED, "/", "--mount"),
    ],
)
def test_what_the_pods_would_not_see_is_told(overrides, mount, where):
    with pytest.raises(ConfigError) as raised:
        check(load_config(None, overrides), mount)
    assert raised.value.where == where


@pytest.mark.parametrize("wrong", ["hidden", "=ONE", "hidden=,"])
def test_a_secret_without_keys_is_told(tmp_path, wrong):
    with pytest.raises(ConfigError, match="names no keys"):
        written(tmp_path / "pipeline.yaml", secrets=[wrong])
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="PipelineSpec cannot be written"):
        written(tmp_path / "file" / "pipeline.yaml")
