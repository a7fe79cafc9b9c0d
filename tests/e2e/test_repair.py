"""What was lost or damaged between two runs: brought back or made again, and said; on one root, in this order."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.pusher import versions
from pipeline.config import PipelineConfig, load_config
from pipeline.state.runs import Run, read_runs
from tests.conftest import COMMAND, LENIENT, REPOSITORY
from tests.faults.checks import check_at_rest

pytestmark = pytest.mark.long

MLP = ["--set", "model.name=mlp"]


@dataclass
class Workspace:
    """A pipeline that has pushed two models."""

    config: PipelineConfig
    options: list[str]
    marquee: Callable[..., subprocess.CompletedProcess[str]]

    def __call__(self, command: str, *arguments: str, code: int = 0) -> str:
        """Both outputs of a command, in one line."""
        done = self.marquee(command, *self.options, *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def versions(self) -> list[Path]:
        return versions.versions(self.config.serving_model_dir)

    def last(self) -> Run:
        return read_runs(self.config, last=1)[0]


@pytest.fixture(scope="module")
def workspace(marquee, small_slice, tmp_path_factory) -> Workspace:
    root = tmp_path_factory.mktemp("root")
    overrides = [f"data.path={small_slice}", f"root={root}", "model.epochs=1", *LENIENT]
    options = [part for one in overrides for part in ("--set", one)]
    made = Workspace(load_config(None, overrides), options, marquee)
    made("run")
    assert "Repaired" not in made("run", *MLP)
    return made


def test_a_served_version_without_its_variables(workspace):
    """`recommend` says what is wrong and what to do, and that is right: the next run brings the version back."""
    before = workspace.versions()
    marker = versions.read_marker(before[-1])
    shutil.rmtree(before[-1] / "variables")
    told = workspace("recommend", "7", code=1)
    assert "The served model is damaged" in told
    assert "variables is missing" in told
    assert " brings the version back as it was pushed" in told
    told = workspace("run", *MLP)
    assert f"version {before[-1].name} was damaged (variables is missing) in serving/, and is back" in told
    assert "every component came from the cache" in told
    assert workspace.versions() == before
    assert versions.damage(before[-1], marker.model_digest) == ""
    workspace("recommend", "7")
    for path, question in (
        ("variables", ["recommend", "7"]),
        ("assets.extra/movies.parquet", ["similar", "50"]),
    ):
        file = next(one for one in (before[-1] / path, *(before[-1] / path).glob("*.data*")) if one.is_file())
        file.write_bytes(file.read_bytes()[:50])
        assert "The served model is damaged" in workspace(*question, code=1)
    assert "its files are not those that were pushed" in workspace("run", *MLP)
    workspace("recommend", "7")


def test_a_lost_serving_folder(workspace):
    """A run brings the served version back, and `marquee rollback VERSION` whichever one names."""
    first, second = workspace.versions()
    shutil.rmtree(workspace.config.serving_model_dir)
    told = workspace("run", *MLP)
    assert f"version {second.name} was gone from serving/, and is back" in told
    assert "every component came from the cache" in told
    assert workspace.versions() == [second]
    workspace("rollback", first.name)
    assert workspace.versions()[:2] == [first, second]
    assert versions.digest(workspace.versions()[2]) == versions.digest(first)
    workspace("rollback", second.name)
    check_at_rest(workspace.config)


def test_a_folder_with_a_number_that_nobody_has_pushed(workspace):
    before = workspace.versions()
    (workspace.config.serving_model_dir / "9999999999").mkdir()
    told = workspace("gc", "--keep", "99")
    assert "9999999999 has a number for a name, but nothing has pushed it" in told
    assert "0 artifacts and 0 versions are removed" in told
    assert workspace.versions() == before
    assert json.loads(workspace("status", "--json"))["pushed"][-1] == before[-1].name
    workspace("recommend", "7")
    (workspace.config.serving_model_dir / "9999999999").rmdir()


def test_a_second_checkout_on_the_same_root_comes_from_the_cache(workspace, tmp_path):
    for folder in ("components", "pipeline", "schema"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    done = subprocess.run(
        [*COMMAND, "run", *workspace.options, *MLP],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every component came from the cache" in done.stdout


def test_a_shard_that_was_cut_short(workspace):
    """It does not come from the cache, and is made again."""
    examples = workspace.last().nodes["RatingsExampleGen"].output("examples")
    shard = next(Path(examples.uri).glob("Columns-train/*"))
    size = shard.stat().st_size
    with shard.open("r+b") as file:
        file.truncate(size // 2)
    told = workspace("run", *MLP)
    assert f"Examples {examples.id} (RatingsExampleGen/examples/" in told
    assert f"{shard.name} has {size // 2:,} bytes, expected {size:,} bytes; it is made again" in told
    assert workspace.last().nodes["RatingsExampleGen"].state == "done"
    assert "Repaired" not in workspace("run", *MLP)
    assert workspace.last().state == "cached"
    check_at_rest(workspace.config)


def test_the_baselines_model_is_gone(workspace):
    """The blessed model before it is the baseline then; what that was trained on has been made again since."""
    model = workspace.last().nodes["MovieTrainer"].output("model")
    assert workspace.last().summary()["blessed"]
    shutil.rmtree(model.uri)
    told = workspace("run", "--set", "model.embedding_dim=4")
    assert f"Model {model.id} (MovieTrainer/model/" in told
    assert "its folder is gone" in told
    assert "until then the blessed model before it is the baseline" in told
    baseline = workspace.last().nodes["latest_blessed_model"].output("model")
    assert baseline.id < model.id
    assert "the ratings that it was trained on are gone" in told
    summary = workspace.last().summary()
    assert (summary["baseline_model_id"], summary["compared_rows"]) == (baseline.id, 0)
    assert workspace.last().nodes["Evaluator"].state == "done"
    check_at_rest(workspace.config)
