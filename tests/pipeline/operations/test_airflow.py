"""The files of the DAGs, without Airflow: `make test-airflow` runs them under a scheduler."""

from __future__ import annotations

import ast

import pytest

from components.shared.errors import ConfigError, StorageError
from pipeline.operations.airflow import write_dags

GRAPH = {"First": [], "Gate": ["First"], "Last": ["First", "Gate"]}


def written(tmp_path, **changes):
    values = {"name": "it's", "graph": GRAPH, "file": None, "overrides": ['a="b"'], "schedule": "0 3 * * *"}
    return [path for path, _ in write_dags(tmp_path, **{**values, **changes})]


def test_the_files_are_python_that_imports_airflow_and_nothing_heavy(tmp_path):
    for path in written(tmp_path):
        tree = ast.parse(path.read_text())
        imported = {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert imported == {"signal", "subprocess", "datetime", "airflow"}
        assert "schedule='0 3 * * *'" in path.read_text()


def test_names_and_options_are_those_of_the_call(tmp_path):
    one, components = written(tmp_path)
    assert (one.name, components.name) == ("it_s.py", "it_s_components.py")
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(components.read_text()))
        if isinstance(node, ast.Assign) and node.targets[0].id in ("OPTIONS", "FINAL", "GRAPH")
    }
    assert values == {"OPTIONS": ['--set=a="b"'], "FINAL": (2, 3, 4), "GRAPH": GRAPH}


def test_a_configuration_file_is_named_by_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "my.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert f'["--config", "{tmp_path}/my.yaml"' in written(tmp_path, file="my.yaml")[0].read_text()
    assert '["--config", "ml-1m"' in written(tmp_path, file="ml-1m")[0].read_text()


@pytest.mark.parametrize("wrong", ["tomorrow", "0 3 * *", ""])
def test_what_is_no_schedule_is_told(tmp_path, wrong):
    with pytest.raises(ConfigError, match="no cron expression"):
        written(tmp_path, schedule=wrong)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="The DAGs cannot be written"):
        written(tmp_path / "file")
