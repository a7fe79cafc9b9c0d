"""A log that grows between runs, and models that start from the one blessed before."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import load_config
from pipeline.operations.garbage import collect
from pipeline.state.runs import Run, read_runs
from pipeline.state.store import open_store
from tests.conftest import LENIENT


def in_time(source: Path, folder: Path, share: float) -> None:
    """Writes the first ratings in time of a slice."""
    header, *rows = (source / "ml-slice.inter").read_text(encoding="utf-8").splitlines()
    rows = sorted(rows, key=lambda row: float(row.split("\t")[3]))[: int(share * len(rows))]
    (folder / "ml-slice.inter").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def grown(marquee, small_slice, tmp_path_factory):
    """Runs on the first ratings, on all, and on all again; what they printed, and the configuration."""
    folder = tmp_path_factory.mktemp("grown") / "ml-slice"
    shutil.copytree(small_slice, folder)
    overrides = [
        f"data.path={folder}",
        f"root={tmp_path_factory.mktemp('root')}",
        "model.epochs=2",
        "model.warm_start=true",
        "data_gate.policy.*=warn",
        *LENIENT,
    ]
    options = [part for override in overrides for part in ("--set", override)]
    done = []
    for share in (0.7, 1.0, None):
        if share:
            in_time(small_slice, folder, share)
        done.append(marquee("run", *options))
        assert done[-1].returncode == 0, done[-1].stdout + done[-1].stderr
    return done, load_config(None, overrides)


def model_of(run: Run):
    return run.nodes["MovieTrainer"].output("model")


def test_the_first_run_starts_cold_and_the_next_from_its_model(grown):
    done, config = grown
    first, second, _ = read_runs(config)
    assert model_of(first).properties["warm_start"] == "no model was blessed on earlier data"
    of = model_of(second).properties
    assert of["warm_start"] == "yes"
    assert of["base_model_id"] == model_of(first).id
    assert 0 < of["warm_user_id"] < of["num_user_id"]
    assert 0 < of["warm_movie_id"] < of["num_movie_id"]
    said = " ".join(done[1].stdout.split())  # the line is longer than the terminal
    users = f"{of['warm_user_id']:,} of {of['num_user_id']:,} users"
    movies = f"{of['warm_movie_id']:,} of {of['num_movie_id']:,} movies"
    assert f"warm start from model {model_of(first).id}: {users}, {movies} carried over" in said


def test_an_unchanged_run_comes_from_the_cache(grown):
    """Though the second run has blessed a model since: that one is no model to start from."""
    done, config = grown
    assert "every component came from the cache" in done[2].stdout
    *_, third = read_runs(config)
    assert model_of(third).properties["warm_start"] == "yes"


def test_the_weights_are_beside_the_export_and_not_pushed(grown):
    _, config = grown
    first, *_ = read_runs(config)
    with np.load(Path(model_of(first).uri) / "warm_start_like.npz") as left:
        assert left["weights/user_embedding/0"].shape[0] == len(left["tokens/user_id"]) + 1
        assert left["tokens/user_id"].dtype.kind == "S"
    assert not list(config.serving_model_dir.rglob("warm_start*.npz"))


def test_gc_keeps_the_model_that_a_kept_one_started_from(grown):
    _, config = grown
    first, second, _ = read_runs(config)
    removed = collect(config, open_store(config), keep=1, dry_run=True)
    models = {id_ for id_, kind, _ in removed.artifacts if kind == "Model"}
    assert not models & {model_of(first).id, model_of(second).id}
