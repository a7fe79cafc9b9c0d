"""The table of a comparison at the widths of terminals, and whole comparisons on a slice."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.ranking.bootstrap import Estimate
from pipeline.cli.compare import print_answer
from pipeline.cli.console import PlainConsole
from pipeline.config import load_config
from pipeline.operations.answers import Answer, Row
from pipeline.operations.variants import Outcome
from pipeline.state.runs import Run, read_runs
from tests.pipeline.cli.test_interrupts import start, wait_for

VALIDATION = {"like": "val_auc", "interaction": "val_ndcg@10"}
METRICS = {"like": ("auc", "log_loss"), "interaction": ("ndcg@10", "recall@10")}


def answer(question: str) -> Answer:
    metrics, validated = METRICS[question], VALIDATION[question]
    figures = {metric: Estimate(0.8043, 0.79749, 0.81101) for metric in metrics}
    less = {metric: Estimate(-0.0095, -0.01234, -0.00671) for metric in metrics}
    training = {validated: 0.7764, "parameters": 1_487_135, "training_cpu_seconds": 122.04}
    first, second = (Outcome(name, "done", 9.0, training) for name in ("two_tower", "dot_product"))
    rows = [
        Row("two_tower", first, figures, {}, "best"),
        Row("dot_product", second, figures, less, "within chance"),
        Row("bias regression" if question == "like" else "popularity", None, figures, less, "within chance"),
        Row("EASE", None, {metrics[0]: figures[metrics[0]]}, less, "worse"),
        Row("neumf", Outcome("neumf", "failed", 1.0, error="x"), verdict="failed"),
    ]
    sentence = "Of what is put on the embeddings, nothing does better."
    return Answer(question, metrics, 0.95, 943, rows, (validated, second), sentence)


def printed(question: str, width: int) -> list[str]:
    file = io.StringIO()
    console = PlainConsole(file=file, width=width, highlight=False, markup=False)
    print_answer(console, answer(question), "what it asks")
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("question", ["like", "interaction"])
def test_the_table_fits_a_hundred_columns_with_all_but_an_interval(question):
    lines = printed(question, 100)
    table = lines[1 : lines.index("", 2)]
    assert all(len(line) <= 100 for line in table)
    assert table[-1] == "Left out, as the screen is narrow: 95% of that."
    rows = {line.split()[0]: line for line in table}
    assert re.search(
        r"dot_product +0\.8043 +0\.797-0\.811 +-0\.0095 +within chance +0\.8043 +0\.7764", rows["dot_product"]
    )
    assert rows["dot_product"].endswith("1,487,135  122.0")
    assert "best" in rows["two_tower"]
    assert "floor, worse" in rows["EASE"]
    assert "failed" in rows["neumf"]
    assert len(table) == 2 + 5 + 1  # no row takes two lines


@pytest.mark.parametrize("question", ["like", "interaction"])
@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_figure_is_cut_at_any_width(question, width):
    text = "\n".join(printed(question, width))
    for figure in ("0.8043", "-0.0095", "best", "failed"):
        assert figure in text
    assert ("-0.0123 to -0.0067" in text) == (width == 140)


def test_what_is_chosen_by_is_told_beside_the_figures_of_test():
    text = "\n".join(printed("like", 100))
    assert "Of what is put on the embeddings" in text
    assert "Validation, which chooses, prefers dot_product (val AUC 0.7764)" in text


# Fails when it is built.
BROKEN = """
from components.models import Model
from components.models.dot_product import DotProductConfig, space

def build(config, sizes):
    raise ValueError("no such layer")

MODEL = Model(DotProductConfig, build, space)
"""


@dataclass(frozen=True)
class Compared:
    """Two models under both questions; then one of them beside one that fails, from the cache."""

    root: Path
    folder: Path
    done: subprocess.CompletedProcess[str]
    broken: subprocess.CompletedProcess[str]

    def runs(self) -> list[Run]:
        return read_runs(load_config(None, [f"root={self.root}", "name=ml-slice-compare"]))


@pytest.fixture(scope="module")
def options(small_slice, tmp_path_factory) -> list[str]:
    root = tmp_path_factory.mktemp("root")
    return [f"--set=data.path={small_slice}", f"--set=root={root}", "--set=model.epochs=2"]


@pytest.fixture(scope="module")
def compared(marquee, options, tmp_path_factory) -> Compared:
    folder = tmp_path_factory.mktemp("out")
    (folder / "theirs").mkdir()
    (folder / "theirs" / "broken.py").write_text(BROKEN)
    outputs = ["--csv", str(folder / "o.csv"), "--plot", str(folder / "o.svg")]
    return Compared(
        Path(options[1].partition("root=")[2]),
        folder,
        marquee("compare", "--models", "dot_product,mlp", *options, *outputs),
        marquee(
            "compare", "--models", "theirs.broken,mlp", "--objective", "like", "--json", *options, cwd=folder
        ),
    )


@pytest.mark.long
def test_it_prints_a_table_and_a_sentence_a_question(compared):
    assert compared.done.returncode == 0, compared.done.stdout + compared.done.stderr
    assert compared.done.stderr == ""
    lines = compared.done.stdout.splitlines()
    assert lines[0].startswith("ml-slice-compare: dot_product, mlp for like and interaction, log in ")
    assert [line.split()[:2] for line in (*lines[2:4], *lines[5:7])] == [
        ["dot_product", "done"],
        ["mlp", "done"],
    ] * 2
    assert "val AUC 0." in lines[2]
    assert "val NDCG@10 0." in lines[5]
    for question, words in (
        ("like", ["AUC", "95%", "log-loss", "bias regression"]),
        ("interaction", ["NDCG@10", "95%", "recall@10", "EASE", "popularity"]),
    ):
        first = next(
            i for i, line in enumerate(lines) if line.startswith(f"{question}: ") and "users" in line
        )
        table = "\n".join(lines[first : lines.index("", first)])
        for word in ("dot_product", "mlp", "best", "parameters", "CPU s", *words):
            assert word in table
    assert compared.done.stdout.count("Of what is put on the embeddings, ") == 2
    assert compared.done.stdout.count("Validation, which chooses, prefers ") == 2


@pytest.mark.long
def test_it_writes_csv_and_plot(compared):
    kept = compared.root / "ml-slice-compare" / "compare.csv"
    assert (compared.folder / "o.svg").read_bytes().startswith(b"<?xml")
    with (compared.folder / "o.csv").open(encoding="utf-8", newline="") as lines:
        rows = {(row["objective"], row["name"]): row for row in csv.DictReader(lines)}
    assert {name for _, name in rows} >= {"dot_product", "mlp", "EASE", "popularity", "bias regression"}
    for name in ("dot_product", "mlp"):
        assert 0 < float(rows["like", name]["auc_low"]) < float(rows["like", name]["auc"]) < 1
        assert float(rows["interaction", name]["ndcg@10"]) >= 0
        assert float(rows["interaction", name]["training_cpu_seconds"]) > 0
    assert kept.is_file()


@pytest.mark.long
def test_figures_are_those_that_the_ranking_evaluator_recorded(compared):
    with (compared.folder / "o.csv").open(encoding="utf-8", newline="") as lines:
        rows = {(row["objective"], row["name"]): row for row in csv.DictReader(lines)}
    recorded = {}
    for run in compared.runs()[:4]:
        of_model = run.nodes["MovieTrainer"].output("model").properties
        recorded[of_model["objective"], of_model["model_name"]] = run.nodes["RankingEvaluator"].output(
            "ranking"
        )
    assert len(recorded) == 4
    for key, artifact in recorded.items():
        metrics = METRICS[key[0]]
        report = json.loads((Path(artifact.uri) / "metrics.json").read_text())["models"]["candidate"][
            "overall"
        ]
        for metric in metrics:
            for column, part in ((metric, "value"), (f"{metric}_low", "low"), (f"{metric}_high", "high")):
                assert float(rows[key][column]) == pytest.approx(report[metric][part], abs=1e-5)


@pytest.mark.long
def test_the_data_are_read_once_and_nothing_is_pushed(compared):
    first, *others = compared.runs()
    assert first.nodes["Transform"].state == "done"
    assert {run.nodes["Transform"].state for run in others} == {"cached"}
    assert not any({"Evaluator", "Blessing", "Pusher"} & set(run.nodes) for run in (first, *others))
    assert not (compared.root / "ml-slice-compare" / "serving").exists()
    assert not (compared.root / "ml-slice").exists()


@pytest.mark.long
def test_a_model_that_fails_is_told_and_leaves_the_others(compared):
    assert compared.broken.returncode == 1, compared.broken.stdout + compared.broken.stderr
    (question,) = json.loads(compared.broken.stdout)["questions"]
    states = {one["name"]: one["state"] for one in question["models"]}
    assert states == {"mlp": "cached", "theirs.broken": "failed"}
    assert question["best"] == "mlp"
    assert "no such layer" in compared.broken.stderr
    assert compared.broken.stderr.startswith("Error: like: theirs.broken: MovieTrainer failed.")


@pytest.mark.long
def test_what_fails_for_all_is_tried_once(compared, marquee, options):
    """The data gate, which knows nothing of models."""
    done = marquee("compare", "--models", "dot_product,mlp", *options, "--set=data_gate.minimum.users=1000")
    assert done.returncode == 4
    assert done.stderr.count("The data gate refuses") == 1
    assert "  mlp  " not in done.stdout
    assert "no other is trained" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["--models", "mpl"], "--models mpl"),
        (["--csv", "/nowhere/o.csv"], "--csv /nowhere/o.csv"),
        (["--plot", "o.docx"], "--plot o.docx"),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(marquee, tmp_path, arguments, where):
    done = marquee("compare", f"--set=root={tmp_path}", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"where:    {where}" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_ctrl_c_shows_what_is_known(compared, options):
    """The first model comes from the cache, and the second is interrupted."""
    kept = compared.root / "ml-slice-compare" / "compare.csv"
    kept.unlink()
    process = start("compare", "--models", "mlp,neumf", "--objective", "like", *options)
    wait_for(kept, process)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert re.match(r"like: neumf: Interrupted (in|after) \w+: ", err)
    assert len(err.splitlines()) == 1
    assert re.search(r"^mlp +0\.\d{4} .* best ", out, re.MULTILINE), out
    assert compared.runs()[-1].state == "interrupted"
