"""The arithmetic of a comparison on tables of simulated users, and how it is written."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.ranking import metrics
from components.ranking.bootstrap import Estimate
from components.ranking.settings import RankingSettings
from components.shared.artifacts import PER_USER_FILE
from components.shared.errors import StorageError
from pipeline.operations import answers
from pipeline.operations.variants import Outcome

USERS = 400
SETTINGS = RankingSettings(bootstrap_samples=500)
NOISE = np.random.default_rng(0)
OWNER = np.repeat(np.arange(USERS), NOISE.integers(5, 30, USERS))
LOGITS = NOISE.normal(size=len(OWNER))
LIKED = NOISE.random(len(OWNER)) < 1 / (1 + np.exp(-LOGITS))
HARD = NOISE.random(USERS) * 0.2
# Skill at likes, and at rankings; None for a floor that does not say how likely a like is.
FLOORS = {"ease": (None, 0.15), "popularity": (None, 0.05), "bias_logistic_regression": (0.5, 0.0)}


def of_model(name: str, seed: int, skill: float | None, ndcg: float) -> dict[str, np.ndarray]:
    """Columns of per_user.parquet."""
    random = np.random.default_rng(seed)
    ranks = np.where(np.bincount(OWNER, LIKED) > 0, HARD, np.nan)
    columns = {
        f"{name}.ndcg@10": ranks + ndcg + 0.02 * random.normal(size=USERS),
        f"{name}.recall@10": ranks + ndcg / 2,
    }
    if skill is None:
        return columns
    p = 1 / (1 + np.exp(-(skill * LOGITS + (1 - skill) * random.normal(size=len(OWNER)))))
    placed = metrics.placements(LIKED, p)
    return columns | {
        f"{name}.log_loss": np.bincount(OWNER, metrics.log_losses(LIKED, p)),
        f"{name}.auc_liked": np.bincount(OWNER, placed * LIKED),
        f"{name}.auc_others": np.bincount(OWNER, placed * ~LIKED),
    }


def trained(
    folder: Path, name: str, skill: float, ndcg: float, validation: float, seed: int = 1, users: str = "u"
) -> Outcome:
    """A model that has been evaluated: its table of users in a folder, as the RankingEvaluator leaves it."""
    liked = np.bincount(OWNER, LIKED).astype(int)
    columns = {"num_test": np.bincount(OWNER), "num_liked": liked, "num_positives": liked}
    columns |= of_model("candidate", seed, skill, ndcg)
    for place, (floor, skills) in enumerate(FLOORS.items()):
        columns |= of_model(floor, 100 + place, *skills)
    ranking = folder / name
    ranking.mkdir()
    table = pa.table({"user_id": [f"{users}{i}" for i in range(USERS)], **columns})
    pq.write_table(table, ranking / PER_USER_FILE)
    figures = {"val_auc": validation, "parameters": 1000, "training_cpu_seconds": 2.5, "test_auc": 0.7}
    return Outcome(name, "done", 3.0, figures, ranking=str(ranking))


@pytest.fixture
def outcomes(tmp_path: Path) -> list[Outcome]:
    """dot_product is best on test, two_tower as good within chance and best on validation, mlp worse, neumf failed."""
    return [
        trained(tmp_path, "mlp", 0.6, 0.08, 0.60, seed=2),
        trained(tmp_path, "dot_product", 0.9, 0.12, 0.70),
        trained(tmp_path, "two_tower", 0.8995, 0.1205, 0.71, seed=3),
        Outcome("neumf", "failed", 1.0, error="MovieTrainer failed.", component="MovieTrainer"),
    ]


def named(found: answers.Answer) -> dict[str, answers.Row]:
    return {row.name: row for row in found.rows}


def test_models_are_sorted_and_held_against_the_best_beyond_chance(outcomes):
    found = answers.answer("like", outcomes, SETTINGS)
    rows = named(found)
    assert [row.name for row in found.rows][-1] == "neumf"
    values = [row.figures["auc"].value for row in found.rows if row.figures]
    assert values == sorted(values, reverse=True)
    assert {name: row.verdict for name, row in rows.items()} == {
        "dot_product": "best",
        "two_tower": "within chance",
        "mlp": "worse",
        "bias regression": "worse",
        "neumf": "failed",
    }
    assert rows["dot_product"].differences == {}
    assert found.users == USERS
    assert answers.answer("interaction", outcomes, SETTINGS).users == (np.bincount(OWNER, LIKED) > 0).sum()
    assert found.metrics == ("auc", "log_loss")


def test_a_difference_is_that_of_the_figures_and_paired(outcomes):
    rows = named(answers.answer("interaction", outcomes, SETTINGS))
    for name, row in rows.items():
        if name not in ("neumf", "two_tower"):
            of = row.differences["ndcg@10"]
            best = rows["two_tower"].figures["ndcg@10"]
            assert of.value == pytest.approx(row.figures["ndcg@10"].value - best.value)
            # What is hard about a user is hard for all: each interval alone is about twice as wide.
            assert (of.high - of.low) < 0.6 * (best.high - best.low)
            assert of.low < of.value < of.high
    assert rows["mlp"].differences["recall@10"].value == pytest.approx((0.08 - 0.1205) / 2)


def test_the_floors_are_those_of_the_question_and_may_be_better(outcomes):
    likes = named(answers.answer("like", outcomes, SETTINGS))
    ranks = named(answers.answer("interaction", outcomes, SETTINGS))
    assert {name for name, row in likes.items() if not row.outcome} == {"bias regression"}
    assert {name for name, row in ranks.items() if not row.outcome} == {"EASE", "popularity"}
    assert (ranks["EASE"].verdict, ranks["popularity"].verdict) == ("better", "worse")
    # But it is a model that is best.
    assert ranks["two_tower"].verdict == "best"


def test_validation_chooses_and_not_test(outcomes):
    found = answers.answer("like", outcomes, SETTINGS)
    assert (found.chosen[0], found.chosen[1].value) == ("val_auc", "two_tower")


def test_intervals_follow_the_confidence(outcomes):
    wide = answers.answer("like", outcomes, RankingSettings(bootstrap_samples=500, confidence=0.99))
    narrow = answers.answer("like", outcomes, SETTINGS)
    for name in ("dot_product", "mlp"):
        a, b = (named(found)[name].figures["auc"] for found in (wide, narrow))
        assert a.value == b.value
        assert a.high - a.low > b.high - b.low


def test_models_of_other_ratings_are_not_compared(outcomes, tmp_path):
    """The log has grown after the first two: they are not of the users of those that came then."""
    later = [*outcomes, trained(tmp_path, "genre_mlp", 0.5, 0.1, 0.6, users="v")]
    found = answers.answer("like", later, SETTINGS)
    assert [row.name for row in found.rows if row.outcome and row.verdict != "failed"] == ["genre_mlp"]
    errors = {row.name: row.outcome.error for row in found.rows if row.verdict == "failed"}
    assert "The ratings have changed since" in errors["dot_product"]
    assert errors["neumf"] == "MovieTrainer failed."


def test_nothing_is_known_of_those_that_all_failed(outcomes):
    found = answers.answer("like", outcomes[-1:], SETTINGS)
    assert [(row.name, row.verdict) for row in found.rows] == [("neumf", "failed")]
    assert (found.chosen, found.sentence, found.users) == (None, "", 0)


def test_without_likes_in_test_there_is_no_best(outcomes, tmp_path):
    path = Path(outcomes[0].ranking) / PER_USER_FILE
    table = pq.read_table(path).to_pydict()
    for name in table:
        if name in ("num_liked", "num_positives") or "auc" in name or "@" in name:
            table[name] = [0 if name.startswith("num") else math.nan] * USERS
    pq.write_table(pa.table(table), path)
    for question in ("like", "interaction"):
        found = answers.answer(question, outcomes[:1], SETTINGS)
        assert not [row.verdict for row in found.rows if row.verdict]
        assert "NaN" not in json.dumps(answers.as_json(found))


def brings(names: list[str], values: dict[str, float], error: float = 0.001) -> str:
    def difference(name: str, other: str) -> Estimate:
        value = values[name] - values[other]
        return Estimate(value, value - error, value + error)

    return answers.what_it_brings(names, difference, "AUC")


def test_a_sentence_says_what_the_top_brings():
    values = {"dot_product": 0.80, "neumf": 0.78, "two_tower": 0.81, "mlp": 0.79, "genre_mlp": 0.8005}
    assert brings(list(values), values) == (
        "Of what is put on the embeddings, two_tower (+0.0100) does better in AUC than dot_product here;"
        " within chance of it: genre_mlp (+0.0005); worse: mlp (-0.0100), neumf (-0.0200);"
        " genres change mlp by +0.0105."
    )
    assert brings(["dot_product", "mlp"], values) == (
        "Of what is put on the embeddings, nothing does better in AUC than dot_product here; worse: mlp (-0.0100)."
    )
    assert "genres change mlp by +0.0105, within chance" in brings(list(values), values, 0.02)
    # Without a dot product the first takes its place, and genres are not told twice.
    assert brings(["mlp", "genre_mlp", "neumf"], values) == (
        "Of what is put on the embeddings, genre_mlp (+0.0105) does better in AUC than mlp here;"
        " worse: neumf (-0.0100)."
    )
    assert brings(["mlp"], values) == brings([], values) == ""


def test_csv_has_a_row_for_each_model_and_floor_under_each_question(outcomes, tmp_path):
    both = [answers.answer(question, outcomes, SETTINGS) for question in ("like", "interaction")]
    file = tmp_path / "below" / "o.csv"
    answers.write_csv(file, both)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = {(row["objective"], row["name"]): row for row in csv.DictReader(lines)}
    assert len(rows) == (4 + 1) + (4 + 2)
    mlp, best = rows["like", "mlp"], rows["like", "dot_product"]
    assert float(mlp["auc_less_best"]) == pytest.approx(float(mlp["auc"]) - float(best["auc"]))
    assert float(mlp["auc_less_best_low"]) < float(mlp["auc_less_best"]) < float(mlp["auc_less_best_high"])
    assert (best["auc_less_best"], best["ndcg@10"], best["parameters"]) == ("", "", "1000")
    assert rows["interaction", "EASE"]["kind"] == "floor"
    assert rows["like", "neumf"]["error"] == "MovieTrainer failed."
    with pytest.raises(StorageError):
        answers.write_csv(file / "below-a-file.csv", both)


def test_json_has_all_of_it(outcomes):
    content = json.loads(json.dumps(answers.as_json(answers.answer("like", outcomes, SETTINGS))))
    assert (content["best"], content["split"]) == ("dot_product", "test")
    assert content["best_by_validation"] == {"model": "two_tower", "metric": "val_auc"}
    assert [one["name"] for one in content["models"]] == ["dot_product", "two_tower", "mlp", "neumf"]
    assert [one["name"] for one in content["floors"]] == ["bias regression"]
    assert set(content["models"][1]["less_best"]["auc"]) == {"value", "low", "high"}
    assert content["models"][0]["recorded"]["parameters"] == 1000


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
@pytest.mark.parametrize("against", ["cpu", "parameters"])
def test_plot_is_a_picture(outcomes, tmp_path, suffix, start, against):
    both = [answers.answer(question, outcomes, SETTINGS) for question in ("like", "interaction")]
    answers.write_plot(tmp_path / f"o{suffix}", both, against, {})
    assert (tmp_path / f"o{suffix}").read_bytes().startswith(start)
    with pytest.raises(StorageError):
        answers.write_plot(tmp_path / f"o{suffix}" / "below-a-file.png", both, against, {})
