"""What is swept over, how the outcomes read, and a real sweep over two dimensions."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from components.shared.errors import ConfigError, StorageError
from pipeline.cli.sweep import print_report
from pipeline.config import load_config
from pipeline.operations import sweep
from pipeline.operations.variants import Outcome
from pipeline.state.runs import Run, read_runs

UNDER = {
    "train_loss": 0.61,
    "val_loss": 0.62,
    "val_auc": 0.70,
    "test_ndcg@10": 0.05,
    "best_epoch": 9,
    "epochs": 13,
}
RIGHT = {
    "train_loss": 0.52,
    "val_loss": 0.57,
    "val_auc": 0.77,
    "test_ndcg@10": 0.07,
    "best_epoch": 5,
    "epochs": 9,
}
OVER = {
    "train_loss": 0.30,
    "val_loss": 0.60,
    "val_auc": 0.74,
    "test_ndcg@10": 0.06,
    "best_epoch": 2,
    "epochs": 6,
}
DIMS = [
    Outcome("2", "done", 10.0, UNDER),
    Outcome("16", "done", 11.0, RIGHT),
    Outcome("128", "cached", 1.0, OVER),
    Outcome("512", "failed", 3.0, error="MovieTrainer failed.\n  found:    no memory"),
]


def printed(key: str, outcomes: list[Outcome]) -> str:
    file = io.StringIO()
    print_report(Console(file=file, width=140, highlight=False), key, outcomes)
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("2,4, 8", ["2", "4", "8"]),
        ("8", ["8"]),
        ("[64],[128,64]", ["[64]", "[128,64]"]),
        ("""",",'|'""", ['","', "'|'"]),
        ("{name: mlp, seed: 1},{name: dot_product}", ["{name: mlp, seed: 1}", "{name: dot_product}"]),
        ("my ratings/a,null", ["my ratings/a", "null"]),
    ],
)
def test_values_are_split_at_the_outer_commas(text, values):
    assert sweep.split_values(text, "key") == values


@pytest.mark.parametrize(
    ("over", "overrides", "problem", "where"),
    [
        ("model.embedding_dim", [], "not of the form", "--over"),
        ("=1,2", [], "not of the form", "--over"),
        ("model.embedding_dim=", [], "no value", "--over model.embedding_dim"),
        ("model.embedding_dim=2,,4", [], "not YAML separated by commas", "--over model.embedding_dim"),
        ("model.embedding_dim=[2", [], "not YAML separated by commas", "--over model.embedding_dim"),
        ("model.embeding_dim=2", [], "There is no key 'model.embeding_dim'", "--over model.embeding_dim=2"),
        ("model.embedding_dim=2,0", [], "not allowed", "--over model.embedding_dim=0"),
        ("model.embedding_dim=2,4,2.0", [], "twice", "--over model.embedding_dim"),
        ("name=a,b", [], "would show nothing", "--over name=a,b"),
        ("blessing.confidence=0.9,0.99", [], "would show nothing", "--over blessing.confidence=0.9,0.99"),
        (
            "model.name=mlp,dot_product",
            ["model.dropout=0.1"],
            "There is no key 'model.dropout'",
            "--over model.name=dot_product: --set, key model.dropout",
        ),
    ],
)
def test_what_cannot_be_swept_over_is_told_before_anything_runs(over, overrides, problem, where):
    with pytest.raises(ConfigError) as error:
        sweep.plan(over, None, overrides)
    assert problem in error.value.problem
    assert error.value.where == where


def test_values_are_of_one_pipeline_which_is_not_the_one_that_is_served():
    key, values = sweep.plan("data.path=builtin:ml-100k,elsewhere", None, ["model.epochs=3"])
    assert key == "data.path"
    assert [value.config.name for value in values] == ["ml-100k-sweep"] * 2
    assert [value.config.data.path for value in values] == ["builtin:ml-100k", "elsewhere"]
    assert values[0].config == load_config(None, ["model.epochs=3", "name=ml-100k-sweep"])


def test_the_swept_value_comes_after_the_overrides():
    _, values = sweep.plan("model.embedding_dim=2,4", None, ["model.embedding_dim=64"])
    assert [value.config.model.embedding_dim for value in values] == [2, 4]


def test_table_shows_under_and_overfitting_and_marks_the_best():
    text = printed("model.embedding_dim", DIMS)
    rows = {line.split()[0]: line.split() for line in text.splitlines()[3:7]}
    assert text.splitlines()[1] == "Sweep over model.embedding_dim"
    assert rows["2"][1:4] == ["0.6100", "0.6200", "+0.0100"]
    assert rows["16"][-1] == "best"
    assert "5 of 9" in " ".join(rows["16"])
    assert rows["128"][3] == "+0.3000"
    assert rows["512"][-1] == "failed"
    assert "Best by validation AUC, 0.7700: model.embedding_dim=16" in text
    assert "penalties" not in text


def test_table_says_what_cannot_be_compared():
    penalised = [Outcome("[64]", "done", 1.0, {"loss": 0.6, "val_loss": 0.5})]
    assert "has the L2 penalties in it" in printed("model.hidden_units", penalised)
    assert "model.hidden_units=[64]" in printed("model.hidden_units", penalised)
    assert "compare with care" in printed("label.min_rating", DIMS)


def test_csv_has_a_row_a_value(tmp_path):
    file = tmp_path / "sweeps" / "o.csv"
    sweep.write_csv(file, "model.embedding_dim", DIMS)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["model.embedding_dim"] for row in rows] == ["2", "16", "128", "512"]
    assert float(rows[1]["val_auc"]) == 0.77
    assert (rows[3]["state"], rows[3]["val_auc"]) == ("failed", "")
    assert rows[3]["error"].startswith("MovieTrainer failed.")
    with pytest.raises(StorageError):
        sweep.write_csv(file / "below-a-file.csv", "model.embedding_dim", DIMS)


@pytest.mark.parametrize(
    "values", [["2", "16", "128"], ["0.5", "0.7", "0.6"], ["mlp", "[64]", "null"], ["2"]]
)
def test_plot_is_a_picture(values, tmp_path):
    outcomes = [Outcome(text, one.state, 1.0, one.figures) for text, one in zip(values, DIMS, strict=False)]
    sweep.write_plot(tmp_path / "o.png", "model.embedding_dim", outcomes)
    assert (tmp_path / "o.png").read_bytes().startswith(b"\x89PNG")


@dataclass(frozen=True)
class Swept:
    """A sweep over two dimensions; then one over a bar of the data gate, which its first value does not pass."""

    root: Path
    folder: Path
    done: subprocess.CompletedProcess[str]
    refused: subprocess.CompletedProcess[str]

    def runs(self) -> list[Run]:
        return read_runs(load_config(None, [f"root={self.root}", "name=ml-slice-sweep"]))


@pytest.fixture(scope="module")
def swept(marquee, small_slice, tmp_path_factory) -> Swept:
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("out")
    options = [f"--set=data.path={small_slice}", f"--set=root={root}", "--set=model.epochs=2"]
    outputs = ["--csv", str(folder / "o.csv"), "--plot", str(folder / "o.png")]
    return Swept(
        root,
        folder,
        marquee("sweep", "--over", "model.embedding_dim=2,8", *options, *outputs),
        marquee(
            "sweep",
            "--over",
            "data_gate.minimum.users=1000,50",
            "--set=model.embedding_dim=8",
            "--set=retrieval=null",  # as a key of the one model is swept
            "--json",
            *options,
        ),
    )


@pytest.mark.long
def test_sweep_prints_a_line_a_value_and_the_table(swept):
    assert swept.done.returncode == 0, swept.done.stdout + swept.done.stderr
    assert swept.done.stderr == ""
    lines = swept.done.stdout.splitlines()
    assert lines[0].startswith("ml-slice-sweep: model.embedding_dim over 2, 8, log in ")
    assert [line.split()[:2] for line in lines[1:3]] == [["2", "done"], ["8", "done"]]
    assert "val AUC 0." in lines[1]
    table = lines[lines.index("Sweep over model.embedding_dim") + 2 :][:2]
    assert [line.split()[0] for line in table] == ["2", "8"]
    assert sum(line.rstrip().endswith("best") for line in table) == 1
    for column in ("val loss", "val AUC", "NDCG@10", "recall@10", "test AUC", "test loss"):
        assert column in swept.done.stdout


@pytest.mark.long
def test_sweep_writes_csv_and_plot(swept):
    kept = swept.root / "ml-slice-sweep" / "sweeps" / "model.embedding_dim.csv"
    assert kept.read_text() == (swept.folder / "o.csv").read_text()
    with kept.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["model.embedding_dim"] for row in rows] == ["2", "8"]
    assert int(rows[0]["parameters"]) < int(rows[1]["parameters"])
    assert 0 < float(rows[0]["val_loss"]) < 1
    assert 0 < float(rows[0]["test_auc"]) < 1
    assert float(rows[0]["test_ndcg@10"]) > 0
    assert (swept.folder / "o.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_what_the_key_does_not_touch_runs_once(swept):
    first, second, refused, cached = swept.runs()
    assert [run.state for run in (first, second, refused, cached)] == ["done", "done", "failed", "cached"]
    states = {name: (node.state, second.nodes[name].state) for name, node in first.nodes.items()}
    trained = {"MovieTrainer", "RankingEvaluator"}
    assert set(states) > trained
    for name, of in states.items():
        if not first.nodes[name].resolver:
            assert of == ("done", "done" if name in trained else "cached"), name


@pytest.mark.long
def test_nothing_is_blessed_or_pushed(swept):
    assert not any({"Evaluator", "Blessing", "Pusher"} & set(run.nodes) for run in swept.runs())
    assert not (swept.root / "ml-slice-sweep" / "serving").exists()
    assert not (swept.root / "ml-slice").exists()


@pytest.mark.long
def test_a_value_that_fails_leaves_the_others(swept):
    assert swept.refused.returncode == 1
    content = json.loads(swept.refused.stdout)
    assert [(one["value"], one["state"]) for one in content["values"]] == [
        ("1000", "failed"),
        ("50", "cached"),
    ]
    assert "The data gate refuses" in content["values"][0]["error"]
    assert content["best"] == {"value": "50", "metric": "val_auc"}
    assert content["values"][1]["figures"]["val_loss"] > 0
    assert "The data gate refuses" in swept.refused.stderr
    with Path(content["csv"]).open(encoding="utf-8", newline="") as lines:
        assert [row["state"] for row in csv.DictReader(lines)] == ["failed", "cached"]
